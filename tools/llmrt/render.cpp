// llmrt render FILE: an artifact's chat template, or a .jinja file, over the variables on standard input.
#include "runtime/server/json.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/verbs.h"

namespace llmrt::tool {

namespace {

bool is_template_file(std::string_view path) {
  for (std::string_view extension : {".jinja", ".jinja2", ".j2"})
    if (path.size() > extension.size() && path.substr(path.size() - extension.size()) == extension)
      return true;
  return false;
}

Result<std::string> render_file(const std::string &path, const server::Json &variables) {
  Result<std::string> source = read_text(path);
  if (!source.ok())
    return source.status();
  Result<std::unique_ptr<ChatTemplate>> parsed = ChatTemplate::parse(*source);
  if (!parsed.ok())
    return Status(parsed.status().code(), path + ": " + parsed.status().message());
  return (*parsed)->render(variables);
}

int render(const ModelFlags &flags) {
  Result<ModelOptions> options = model_options(flags);
  if (!options.ok())
    return usage(options.status().message());
  Result<std::string> input = read_text("-");
  if (!input.ok())
    return fail(input.status());
  Result<server::Json> variables = server::parse_json(*input);
  if (!variables.ok())
    return fail("standard input: " + variables.status().message());
  if (!variables->is_object())
    return fail("standard input must be one JSON object with the template's variables");
  Result<std::string> text = std::string();
  if (is_template_file(options->path)) {
    text = render_file(options->path, *variables);
  } else {
    options->text_only = true;
    std::unique_ptr<Model> model;
    if (int code = open_model(*options, &model); code != kOk)
      return code;
    text = model->render_chat(*variables);
  }
  if (!text.ok())
    return fail(text.status());
  return print(*text) && flush_stdout() ? kOk : kError;
}

} // namespace

std::function<int()> setup_render(Flags &flags) {
  auto to = std::make_shared<ModelFlags>();
  add_file_flags(flags, *to);
  return [to] { return render(*to); };
}

} // namespace llmrt::tool
