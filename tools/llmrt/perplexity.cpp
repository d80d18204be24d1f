// llmrt perplexity FILE -f TEXT: windows of -c tokens, every token but a window's first scored.
#include "runtime/base/text.h"
#include "runtime/server/json.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/progress.h"
#include "tools/llmrt/verbs.h"

#include <algorithm>
#include <cmath>

namespace llmrt::tool {

namespace {

constexpr int64_t kInFlight = 8; // windows

struct PerplexityFlags {
  ModelFlags model;
  std::string file, ids;
  bool jsonl = false;
  int64_t max_tokens = 0;
};

using Windows = std::vector<std::vector<int32_t>>;

// -log softmax(logits)[id], in double.
double nll_of(std::span<const float> logits, int32_t id) {
  float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float x : logits)
    sum += std::exp(static_cast<double>(x) - largest);
  return std::log(sum) + largest - static_cast<double>(logits[static_cast<size_t>(id)]);
}

void cut(const std::vector<int32_t> &ids, size_t length, Windows &out) {
  for (size_t at = 0; at < ids.size(); at += length) {
    size_t end = std::min(at + length, ids.size());
    if (end - at > 1) // a window's first token is not scored
      out.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(at), ids.begin() + static_cast<std::ptrdiff_t>(end));
  }
}

Status append_text(const Model &model, const std::string &text, int64_t most, size_t length, Windows &out) {
  Result<std::vector<int32_t>> ids = model.tokenizer->encode(text, true);
  if (!ids.ok())
    return ids.status();
  if (most > 0 && static_cast<int64_t>(ids->size()) > most)
    ids->resize(static_cast<size_t>(most));
  cut(*ids, length, out);
  return ok_status();
}

Status read_jsonl(const Model &model, const PerplexityFlags &flags, const std::string &text, size_t length,
                  Windows &out) {
  size_t line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string_view one = trim(std::string_view(text).substr(at, end - at));
    at = end + 1;
    if (one.empty())
      continue;
    Result<server::Json> json = server::parse_json(one);
    auto wrong = [&](const std::string &why) {
      return Status(StatusCode::kInvalidArgument, flags.file + ", line " + std::to_string(line) + ": " + why);
    };
    if (!json.ok())
      return wrong(json.status().message());
    const server::Json &value = json->is_object() && json->contains("text") ? (*json)["text"] : *json;
    if (!value.is_string())
      return wrong("neither a JSON string nor an object with a text");
    if (Status status = append_text(model, value.get<std::string>(), flags.max_tokens, length, out); !status.ok())
      return wrong(status.message());
  }
  return ok_status();
}

Result<Windows> read_windows(const Model &model, const PerplexityFlags &flags) {
  Windows out;
  size_t length = static_cast<size_t>(model.engine->max_model_len());
  if (!flags.ids.empty()) {
    Result<std::vector<int32_t>> ids = read_ids(flags.ids);
    if (!ids.ok())
      return ids.status();
    if (flags.max_tokens > 0 && static_cast<int64_t>(ids->size()) > flags.max_tokens)
      ids->resize(static_cast<size_t>(flags.max_tokens));
    cut(*ids, length, out);
    return out;
  }
  if (Status status = model.need_tokenizer(); !status.ok())
    return status;
  Result<std::string> text = read_text(flags.file);
  if (!text.ok())
    return text.status();
  Status status = flags.jsonl ? read_jsonl(model, flags, *text, length, out)
                              : append_text(model, *text, flags.max_tokens, length, out);
  if (!status.ok())
    return status;
  return out;
}

struct Scores {
  std::vector<double> sums; // a window
  int64_t tokens = 0;
  size_t submitted = 0, finished = 0;
  std::string error;
};

Status submit(Model &model, const Windows &windows, Scores &scores) {
  size_t index = scores.submitted++;
  const std::vector<int32_t> &ids = windows[index];
  RequestSpec spec;
  spec.prompt.assign(ids.begin(), ids.end() - 1); // the last token has nobody to predict
  spec.max_tokens = 0;
  spec.on_event = [&scores](Event &&event) {
    scores.finished += event.finish != FinishReason::kNone;
    if (event.finish == FinishReason::kError)
      scores.error = event.error;
  };
  size_t vocabulary = static_cast<size_t>(model.vocabulary);
  spec.on_prompt_logits = [&scores, &ids, index, vocabulary](int64_t position, std::span<const float> rows) {
    for (size_t row = 0; row * vocabulary < rows.size(); ++row) {
      int32_t next = ids[static_cast<size_t>(position) + row + 1];
      scores.sums[index] += nll_of(rows.subspan(row * vocabulary, vocabulary), next);
      ++scores.tokens;
    }
  };
  return model.engine->submit(std::move(spec)).status();
}

int score(Model &model, const Windows &windows, bool quiet, Scores &scores) {
  scores.sums.assign(windows.size(), 0);
  int64_t total = 0;
  for (const auto &ids : windows)
    total += static_cast<int64_t>(ids.size()) - 1;
  Progress progress("perplexity", static_cast<double>(total), quiet);
  while (scores.finished < windows.size()) {
    while (scores.submitted < windows.size() &&
           static_cast<int64_t>(scores.submitted - scores.finished) < kInFlight)
      if (Status status = submit(model, windows, scores); !status.ok())
        return fail(status);
    size_t before = scores.finished;
    int code = step_until(*model.engine, [&] { return scores.finished > before || !scores.error.empty(); });
    if (code != kOk)
      return code;
    if (!scores.error.empty())
      return fail(scores.error);
    progress.show(static_cast<double>(scores.tokens));
  }
  return kOk;
}

int perplexity(const PerplexityFlags &flags) {
  Result<ModelOptions> options = model_options(flags.model);
  if (!options.ok())
    return usage(options.status().message());
  if (flags.file.empty() == flags.ids.empty())
    return usage("give either -f TEXT or --ids @FILE");
  if (flags.jsonl && flags.file.empty())
    return usage("--jsonl needs -f");
  EngineOptions &engine = options->engine;
  engine.prefix_caching = false; // a cached position has no logits
  if (engine.max_num_seqs == 0)
    engine.max_num_seqs = kInFlight;
  catch_interrupts();
  if (Status status = open_for_rows(*options); !status.ok())
    return fail(status);
  std::unique_ptr<Model> model;
  if (int code = open_model(*options, &model); code != kOk)
    return code;
  Result<Windows> windows = read_windows(*model, flags);
  if (!windows.ok())
    return fail(windows.status());
  if (windows->empty())
    return fail("there is nothing to score: a window needs at least two tokens");
  for (const auto &ids : *windows)
    for (int32_t id : ids)
      if (id < 0 || id >= model->vocabulary)
        return fail("token " + std::to_string(id) + " is outside the vocabulary of " +
                    std::to_string(model->vocabulary));
  Scores scores;
  if (int code = score(*model, *windows, flags.model.quiet, scores); code != kOk)
    return code;
  double sum = 0; // in the windows' order, whatever order they ran in
  for (double window : scores.sums)
    sum += window;
  double mean = sum / static_cast<double>(scores.tokens);
  std::string line = flags.model.json ? "{\"tokens\":" + std::to_string(scores.tokens) +
                                            ",\"mean_nll\":" + format_number(mean) + "}\n"
                                      : std::to_string(scores.tokens) + " tokens, mean NLL " + format_fixed(mean, 5) +
                                            ", perplexity " + format_fixed(std::exp(mean), 4) + "\n";
  return print(line) && flush_stdout() ? kOk : kError;
}

} // namespace

std::function<int()> setup_perplexity(Flags &flags) {
  auto to = std::make_shared<PerplexityFlags>();
  add_model_flags(flags, to->model);
  flags.text("-f,--file", to->file, "the text; - for standard input");
  flags.text("--ids", to->ids, "token ids instead: 1,2,3 or @FILE");
  flags.flag("--jsonl", to->jsonl, "a JSON string a line, each scored alone");
  flags.integer("--max-tokens", to->max_tokens, "of each text, at most");
  flags.flag("--json", to->model.json, "{\"tokens\":N,\"mean_nll\":x}");
  return [to] { return perplexity(*to); };
}

} // namespace llmrt::tool
