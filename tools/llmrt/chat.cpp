// llmrt chat FILE: talk with a model on a terminal, a line a turn.
#include "runtime/base/os.h"
#include "tools/llmrt/generate.h"
#include "tools/llmrt/verbs.h"

namespace llmrt::tool {

namespace {

struct ChatFlags {
  ModelFlags model;
  GenerationFlags generation;
  std::string system, chat_template;
};

// False at the end of input.
bool read_line(std::string *line) {
  line->clear();
  for (int c; (c = getchar()) != EOF;) {
    if (c == '\n')
      return true;
    line->push_back(static_cast<char>(c));
  }
  return !line->empty();
}

int answer(Model &model, const Flags &given, const ChatFlags &flags, nlohmann::ordered_json &messages) {
  nlohmann::ordered_json variables;
  variables["messages"] = messages;
  variables["add_generation_prompt"] = true;
  Result<std::string> text = model.render_chat(variables);
  if (!text.ok())
    return fail(text.status());
  Result<std::vector<int32_t>> ids = model.tokenizer->encode(*text, false);
  if (!ids.ok())
    return fail(ids.status());
  Generated generated;
  auto show = [](std::string_view piece) {
    print(piece);
    fflush(stdout);
  };
  int code = generate(model, given, flags.generation, std::move(*ids), show, &generated);
  print("\n");
  messages.push_back({{"role", "assistant"}, {"content", generated.text}});
  return code;
}

int chat(const ChatFlags &flags, const Flags &given) {
  Result<ModelOptions> options = model_options(flags.model);
  if (!options.ok())
    return usage(options.status().message());
  if (options->engine.max_num_seqs == 0)
    options->engine.max_num_seqs = 1;
  if (!flags.chat_template.empty()) {
    Result<std::string> source = read_text(flags.chat_template);
    if (!source.ok())
      return fail(source.status());
    options->chat_template = std::move(*source);
  }
  std::unique_ptr<Model> model;
  if (int code = open_model(*options, &model); code != kOk)
    return code;
  for (Status status : {model->need_tokenizer(), model->need_chat_template()})
    if (!status.ok())
      return fail(status);
  catch_interrupts();
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!flags.system.empty())
    messages.push_back({{"role", "system"}, {"content", flags.system}});
  bool terminal = os::is_terminal(0) && !flags.model.quiet;
  std::string line;
  for (;;) {
    if (terminal)
      fprintf(stderr, "> ");
    if (!read_line(&line) || line == "/exit")
      return interrupted() ? kInterrupted : kOk;
    if (line.empty())
      continue;
    messages.push_back({{"role", "user"}, {"content", line}});
    if (int code = answer(*model, given, flags, messages); code != kOk)
      return code;
  }
}

} // namespace

std::function<int()> setup_chat(Flags &flags) {
  auto to = std::make_shared<ChatFlags>();
  add_model_flags(flags, to->model);
  add_generation_flags(flags, to->generation);
  flags.text("--system", to->system, "the system message");
  flags.text("--chat-template", to->chat_template, "a .jinja file instead of the artifact's template");
  return [to, &flags] { return chat(*to, flags); };
}

} // namespace llmrt::tool
