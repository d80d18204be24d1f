#include "tools/llmrt/generate.h"

#include "runtime/base/os.h"
#include "runtime/server/json.h"
#include "runtime/server/text_shape.h"
#include "runtime/text/grammar/json_schema.h"

#include <algorithm>
#include <random>

namespace llmrt::tool {

void add_generation_flags(Flags &flags, GenerationFlags &to) {
  flags.integer("-n,--max-tokens", to.max_tokens, "new tokens at most; default: what the context leaves");
  flags.integer("--min-tokens", to.min_tokens, "no end before that many");
  flags.number("--temperature,--temp", to.temperature, "0: always the best token");
  flags.number("--top-p", to.top_p, "the smallest set of tokens with this probability");
  flags.integer("--top-k", to.top_k, "the best k tokens; -1: all");
  flags.number("--min-p", to.min_p, "tokens of at least this part of the best one's probability");
  flags.number("--repetition-penalty", to.repetition_penalty, "above 1: less of what was there");
  flags.number("--presence-penalty", to.presence_penalty, "once for each token that was there");
  flags.number("--frequency-penalty", to.frequency_penalty, "for each time it was there");
  flags.integer("--seed", to.seed, "of the draw; default: another each time");
  flags.texts("--stop", to.stop, "a string that ends the text; may be repeated");
  flags.text("--grammar-file", to.grammar_file, "a grammar (GBNF or EBNF) that the text keeps to");
  flags.text("--json-schema", to.json_schema, "a JSON schema, or @FILE, that the text keeps to; {}: any JSON");
  flags.flag("--ignore-eos", to.ignore_eos, "go on after the model's end");
}

static SamplingParams sampling_of(const Model &model, const Flags &flags, const GenerationFlags &options) {
  SamplingParams out = model.defaults;
  auto set = [&flags](const char *name, float &to, double value) {
    if (flags.given(name))
      to = static_cast<float>(value);
  };
  set("--temperature", out.temperature, options.temperature);
  set("--top-p", out.top_p, options.top_p);
  set("--min-p", out.min_p, options.min_p);
  set("--repetition-penalty", out.repetition_penalty, options.repetition_penalty);
  set("--presence-penalty", out.presence_penalty, options.presence_penalty);
  set("--frequency-penalty", out.frequency_penalty, options.frequency_penalty);
  if (flags.given("--top-k"))
    out.top_k = static_cast<int32_t>(options.top_k);
  std::random_device device;
  out.seed = flags.given("--seed") ? static_cast<uint64_t>(options.seed) : uint64_t(device()) << 32 | device();
  return out;
}

// What --grammar-file or --json-schema say; null: neither is given.
static Result<std::shared_ptr<const TokenRules>> rules_of(const Model &model, const GenerationFlags &options) {
  std::string source = options.json_schema;
  const bool from_file = !options.grammar_file.empty() || source.starts_with("@");
  if (!options.grammar_file.empty() && !source.empty())
    return Status(StatusCode::kInvalidArgument, "--grammar-file and --json-schema cannot both be given");
  if (source.empty() && options.grammar_file.empty())
    return std::shared_ptr<const TokenRules>();
  if (Status status = model.need_tokenizer(); !status.ok())
    return status;
  if (from_file) {
    Result<std::string> read = read_text(options.grammar_file.empty() ? source.substr(1) : options.grammar_file);
    if (!read.ok())
      return read.status();
    source = std::move(*read);
  }
  if (!options.grammar_file.empty())
    return model.grammars->rules("grammar:" + source, [&] { return server::grammar_of_source(source); });
  Result<server::Json> schema = server::parse_json(source);
  if (!schema.ok())
    return Status(StatusCode::kInvalidArgument, "--json-schema: " + schema.status().message());
  return model.grammars->rules("json:" + source, [&] { return grammar::json_schema_grammar(*schema); });
}

int generate(Model &model, const Flags &flags, const GenerationFlags &options, std::vector<int32_t> prompt,
             const std::function<void(std::string_view)> &show, Generated *out) {
  TextOptions text;
  text.stop = options.stop;
  text.min_tokens = static_cast<int32_t>(options.min_tokens);
  TextStream stream(model.tokenizer.get(), text);
  stream.continue_after(prompt);
  bool done = false, cancelled = false;
  std::string error;
  uint64_t start = os::monotonic_ns(), first = 0, last = 0;
  auto emit = [&](const std::string &piece) {
    out->text += piece;
    if (!piece.empty())
      show(piece);
  };
  RequestId id = 0;
  RequestSpec spec;
  int64_t room = model.engine->max_model_len() - static_cast<int64_t>(prompt.size());
  spec.prompt = std::move(prompt);
  spec.max_tokens = static_cast<int32_t>(options.max_tokens >= 0 ? options.max_tokens : std::max<int64_t>(room, 1));
  spec.min_tokens = static_cast<int32_t>(std::min<int64_t>(options.min_tokens, spec.max_tokens));
  spec.ignore_eos = options.ignore_eos;
  spec.sampling = sampling_of(model, flags, options);
  Result<std::shared_ptr<const TokenRules>> rules = rules_of(model, options);
  if (!rules.ok())
    return fail(rules.status());
  spec.rules = std::move(*rules);
  spec.on_event = [&](Event &&event) {
    out->cached = std::max(out->cached, event.cached_tokens);
    for (const NewToken &token : event.tokens) {
      if (stream.stopped())
        break;
      last = os::monotonic_ns();
      first = first ? first : last;
      out->ids.push_back(token.id);
      bool end = !options.ignore_eos &&
                 std::find(model.end_ids.begin(), model.end_ids.end(), token.id) != model.end_ids.end();
      emit(end ? stream.push_stop_id(token.id) : stream.push(token.id));
    }
    if (event.finish == FinishReason::kError)
      error = event.error;
    done = done || event.finish != FinishReason::kNone;
    if (stream.stopped() && !cancelled) {
      cancelled = done = true;
      model.engine->cancel(event.id);
    }
  };
  Result<RequestId> submitted = model.engine->submit(std::move(spec));
  if (!submitted.ok())
    return fail(submitted.status());
  id = *submitted;
  int code = step_until(*model.engine, [&] { return done; });
  if (!done)
    model.engine->cancel(id);
  // The cancelled request must be gone before what its sink refers to is.
  while (!done || cancelled) {
    cancelled = false;
    Result<bool> stepped = model.engine->step();
    if (!stepped.ok() || !*stepped)
      break;
  }
  emit(stream.finish());
  out->first_token_ms = static_cast<double>(first - std::min(first, start)) / 1e6;
  out->decode_ms = static_cast<double>(last - first) / 1e6;
  return code != kOk || error.empty() ? code : fail(error); // a step that failed has been said
}

} // namespace llmrt::tool
