// llmrt run FILE -p PROMPT | --ids 1,2,3
#include "runtime/base/text.h"
#include "tools/llmrt/generate.h"
#include "tools/llmrt/verbs.h"

namespace llmrt::tool {

namespace {

struct RunFlags {
  ModelFlags model;
  GenerationFlags generation;
  std::string prompt, prompt_file, ids;
  bool print_ids = false;
};

// kOk, or an exit code after saying why.
int read_prompt(const RunFlags &flags, const Flags &given, const Model &model, std::vector<int32_t> *ids) {
  if (given.given("--ids")) {
    Result<std::vector<int32_t>> read = read_ids(flags.ids);
    if (!read.ok())
      return usage("--ids: " + read.status().message());
    *ids = std::move(*read);
    return kOk;
  }
  std::string text = flags.prompt;
  if (!flags.prompt_file.empty()) {
    Result<std::string> read = read_text(flags.prompt_file);
    if (!read.ok())
      return fail(read.status());
    text = std::move(*read);
  }
  if (Status status = model.need_tokenizer(); !status.ok())
    return fail(status);
  Result<std::vector<int32_t>> encoded = model.tokenizer->encode(text, true);
  if (!encoded.ok())
    return fail(encoded.status());
  *ids = std::move(*encoded);
  return kOk;
}

int run(const RunFlags &flags, const Flags &given) {
  Result<ModelOptions> options = model_options(flags.model);
  if (!options.ok())
    return usage(options.status().message());
  // One sequence needs no more; its pages are what the context can use.
  if (options->engine.max_num_seqs == 0)
    options->engine.max_num_seqs = 1;
  if (flags.model.print_memory)
    return print_memory(*options, flags.model.json, 0);
  int inputs = given.given("--prompt") + given.given("--ids") + given.given("--file");
  if (inputs != 1)
    return usage("give one of -p PROMPT, -f FILE and --ids");
  catch_interrupts();
  std::unique_ptr<Model> model;
  if (int code = open_model(*options, &model); code != kOk)
    return code;
  std::vector<int32_t> prompt;
  if (int code = read_prompt(flags, given, *model, &prompt); code != kOk)
    return code;
  size_t prompt_tokens = prompt.size();
  Generated generated;
  bool text_wanted = !flags.print_ids && model->tokenizer;
  auto show = [text_wanted](std::string_view text) {
    if (text_wanted) {
      print(text);
      fflush(stdout);
    }
  };
  int code = generate(*model, given, flags.generation, std::move(prompt), show, &generated);
  if (text_wanted)
    print("\n");
  if (flags.print_ids || !model->tokenizer) {
    std::string line;
    for (size_t i = 0; i < generated.ids.size(); ++i)
      line += (i ? "," : "") + std::to_string(generated.ids[i]);
    print(line + "\n");
  }
  if (!flush_stdout())
    return kError;
  if (!flags.model.quiet && generated.ids.size() > 1) {
    double per_second = static_cast<double>(generated.ids.size() - 1) / std::max(generated.decode_ms, 1e-6) * 1e3;
    std::string line = "prompt: " + std::to_string(prompt_tokens) + " tokens, first new one after " +
                       format_fixed(generated.first_token_ms, 1) + " ms; " + std::to_string(generated.ids.size()) +
                       " new tokens, " + format_fixed(per_second, 1) + " a second";
    fprintf(stderr, "%s\n", line.c_str());
  }
  return code;
}

} // namespace

std::function<int()> setup_run(Flags &flags) {
  auto to = std::make_shared<RunFlags>();
  add_model_flags(flags, to->model);
  add_generation_flags(flags, to->generation);
  flags.text("-p,--prompt", to->prompt, "raw text, with the tokenizer's special tokens");
  flags.text("-f,--file", to->prompt_file, "the prompt from a file; - for standard input");
  flags.text("--ids", to->ids, "token ids instead of text: 1,2,3 or @FILE");
  flags.flag("--print-ids", to->print_ids, "print the new ids, comma-separated, instead of text");
  add_report_flags(flags, to->model, "with --print-memory");
  return [to, &flags] { return run(*to, flags); };
}

} // namespace llmrt::tool
