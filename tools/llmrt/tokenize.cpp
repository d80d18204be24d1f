// llmrt tokenize, detokenize: a JSON value a line with --jsonl, else the whole of standard input.
#include "runtime/base/text.h"
#include "runtime/server/fields.h"
#include "runtime/server/json.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/verbs.h"

#include <cstdio>

namespace llmrt::tool {

namespace {

using server::Json;

struct TokenizeFlags {
  ModelFlags model;
  std::string prompt, ids;
  bool jsonl = false, no_special = false;
};

std::string ids_line(const std::vector<int32_t> &ids) {
  std::string out;
  for (int32_t id : ids)
    out += (out.empty() ? "" : ",") + std::to_string(id);
  return out;
}

Result<std::string> line_to_ids(const Tokenizer &tokenizer, std::string_view line, bool add_special) {
  Result<Json> json = server::parse_json(line);
  if (!json.ok())
    return json.status();
  if (!json->is_string())
    return Status(StatusCode::kInvalidArgument, "the line is not a JSON string");
  Result<std::vector<int32_t>> ids = tokenizer.encode(json->get_ref<const std::string &>(), add_special);
  if (!ids.ok())
    return ids.status();
  return "[" + ids_line(*ids) + "]";
}

Result<std::string> line_to_text(const Tokenizer &tokenizer, std::string_view line) {
  Result<Json> json = server::parse_json(line);
  if (!json.ok())
    return json.status();
  std::vector<int32_t> ids;
  if (!server::json_to_ids(*json, ids))
    return Status(StatusCode::kInvalidArgument, "the line is not a JSON array of token ids");
  Result<std::string> text = tokenizer.decode(ids, true);
  if (!text.ok())
    return text.status();
  std::string out;
  append_json_string(out, *text);
  return out;
}

// False at the end of input; the last line may lack its end.
bool read_line(std::string *line) {
  line->clear();
  for (int c; (c = getchar_unlocked()) != EOF;) {
    if (c == '\n')
      return true;
    line->push_back(static_cast<char>(c));
  }
  return !line->empty();
}

int each_line(const std::function<Result<std::string>(std::string_view)> &convert) {
  bool all_good = true;
  std::string line;
  while (read_line(&line)) {
    if (interrupted())
      return kInterrupted;
    Result<std::string> converted = convert(line);
    std::string out;
    if (converted.ok()) {
      out = std::move(*converted);
    } else {
      all_good = false;
      out = "{\"error\":";
      append_json_string(out, converted.status().message());
      out += "}";
    }
    if (!print(out + "\n"))
      break;
  }
  return flush_stdout() && all_good ? kOk : kError;
}

int open_tokenizer(const TokenizeFlags &flags, std::unique_ptr<Model> *model) {
  Result<ModelOptions> options = model_options(flags.model);
  if (!options.ok())
    return usage(options.status().message());
  options->text_only = true;
  catch_interrupts();
  if (int code = open_model(*options, model); code != kOk)
    return code;
  Status status = (*model)->need_tokenizer();
  return status.ok() ? kOk : fail(status);
}

int tokenize(const TokenizeFlags &flags, const Flags &given) {
  std::unique_ptr<Model> model;
  if (int code = open_tokenizer(flags, &model); code != kOk)
    return code;
  const Tokenizer &tokenizer = *model->tokenizer;
  if (flags.jsonl)
    return each_line([&](std::string_view line) { return line_to_ids(tokenizer, line, !flags.no_special); });
  Result<std::string> text = given.given("--prompt") ? Result<std::string>(flags.prompt) : read_text("-");
  if (!text.ok())
    return fail(text.status());
  Result<std::vector<int32_t>> ids = tokenizer.encode(*text, !flags.no_special);
  if (!ids.ok())
    return fail(ids.status());
  return print(ids_line(*ids) + "\n") && flush_stdout() ? kOk : kError;
}

int detokenize(const TokenizeFlags &flags, const Flags &given) {
  std::unique_ptr<Model> model;
  if (int code = open_tokenizer(flags, &model); code != kOk)
    return code;
  const Tokenizer &tokenizer = *model->tokenizer;
  if (flags.jsonl)
    return each_line([&](std::string_view line) { return line_to_text(tokenizer, line); });
  Result<std::vector<int32_t>> ids = read_ids(given.given("--ids") ? flags.ids : "@-");
  if (!ids.ok())
    return usage(ids.status().message());
  Result<std::string> text = tokenizer.decode(*ids, true);
  if (!text.ok())
    return fail(text.status());
  return print(*text + "\n") && flush_stdout() ? kOk : kError;
}

} // namespace

std::function<int()> setup_tokenize(Flags &flags) {
  auto to = std::make_shared<TokenizeFlags>();
  add_file_flags(flags, to->model);
  flags.text("-p,--prompt", to->prompt, "the text; default: standard input");
  flags.flag("--jsonl", to->jsonl, "a JSON string a line in, an array of ids a line out");
  flags.flag("--no-special", to->no_special, "add no special tokens");
  return [to, &flags] { return tokenize(*to, flags); };
}

std::function<int()> setup_detokenize(Flags &flags) {
  auto to = std::make_shared<TokenizeFlags>();
  add_file_flags(flags, to->model);
  flags.text("--ids", to->ids, "1,2,3 or @FILE; default: standard input");
  flags.flag("--jsonl", to->jsonl, "an array of ids a line in, a JSON string a line out");
  return [to, &flags] { return detokenize(*to, flags); };
}

} // namespace llmrt::tool
