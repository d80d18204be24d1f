// POST /completion as llama-server has it (https://github.com/ggml-org/llama.cpp/tree/master/tools/server).
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"
#include "runtime/server/sse.h"

namespace llmrt::server {

namespace {

constexpr size_t kMaxStops = 64;

class LlamaFormat : public AnswerFormat {
public:
  LlamaFormat(const Model &model, std::string name, Json prompt, const GenerationParams &params, bool return_tokens)
      : model_(model), name_(std::move(name)), prompt_(std::move(prompt)), params_(params),
        return_tokens_(return_tokens) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &) override {
    note(choices[0]);
    Json out = last(usage);
    out["content"] = choices[0].text;
    out["tokens"] = return_tokens_ ? ids_of(choices[0]) : Json::array();
    if (params_.sampling.logprobs >= 0)
      out["completion_probabilities"] = probabilities(choices[0]);
    return out;
  }
  std::string begin(int, const Usage &) override { return {}; }
  std::string delta(const Delta &delta, const Usage &usage) override {
    note(delta);
    Json out{{"index", delta.index}, {"content", delta.text}};
    out["tokens"] = ids_of(delta);
    out["stop"] = false;
    out["id_slot"] = -1;
    out["tokens_predicted"] = usage.completion;
    out["tokens_evaluated"] = usage.prompt;
    if (params_.sampling.logprobs >= 0)
      out["completion_probabilities"] = probabilities(delta);
    return sse_event(out);
  }
  std::string end(const Usage &usage) override { return sse_event(last(usage)); }
  std::string stream_error(const ApiError &error) override { return sse_event(error_json(error)); }
  bool wants_every_token() const override { return return_tokens_ || params_.stream; }

private:
  void note(const Delta &delta) {
    new_line_ |= delta.text.find('\n') != delta.text.npos;
    if (delta.finish_reason.empty())
      return;
    word_ = delta.stop_reason.is_string() ? delta.stop_reason.get<std::string>() : "";
    stop_type_ = delta.finish_reason == "length" ? "limit" : word_.empty() ? "eos" : "word";
  }
  static Json ids_of(const Delta &delta) {
    Json out = Json::array();
    for (const NewToken &token : delta.tokens)
      out.push_back(token.id);
    return out;
  }
  Json entry(int32_t id, float logprob) const {
    std::string text = text_of_token(model_, id);
    Json bytes = Json::array();
    for (char c : text)
      bytes.push_back(static_cast<unsigned char>(c));
    return Json{{"id", id}, {"token", std::move(text)}, {"bytes", std::move(bytes)}, {"logprob", logprob}};
  }
  Json probabilities(const Delta &delta) const {
    Json out = Json::array();
    for (const NewToken &token : delta.tokens) {
      Json one = entry(token.id, token.logprob);
      one["top_logprobs"] = Json::array();
      for (const TokenLogprob &other : token.top)
        one["top_logprobs"].push_back(entry(other.id, other.logprob));
      out.push_back(std::move(one));
    }
    return out;
  }
  static Json timings(const Usage &usage) {
    auto rate = [](int64_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; };
    auto each = [](int64_t tokens, double seconds) {
      return tokens > 0 ? seconds * 1e3 / static_cast<double>(tokens) : 0;
    };
    int64_t computed = usage.prompt - usage.cached, decoded = usage.completion;
    return Json{{"cache_n", usage.cached},
                {"prompt_n", computed},
                {"prompt_ms", usage.prompt_seconds * 1e3},
                {"prompt_per_token_ms", each(computed, usage.prompt_seconds)},
                {"prompt_per_second", rate(computed, usage.prompt_seconds)},
                {"predicted_n", decoded},
                {"predicted_ms", usage.decode_seconds * 1e3},
                {"predicted_per_token_ms", each(decoded, usage.decode_seconds)},
                {"predicted_per_second", rate(decoded, usage.decode_seconds)}};
  }
  Json settings() const {
    const SamplingParams &s = params_.sampling;
    return Json{{"n_predict", params_.max_tokens},
                {"seed", s.seed},
                {"temperature", s.temperature},
                {"top_k", s.top_k},
                {"top_p", s.top_p},
                {"min_p", s.min_p},
                {"typical_p", s.typical_p},
                {"repeat_penalty", s.repetition_penalty},
                {"presence_penalty", s.presence_penalty},
                {"frequency_penalty", s.frequency_penalty},
                {"dry_multiplier", s.dry_multiplier},
                {"xtc_probability", s.xtc_probability},
                {"mirostat", s.mirostat},
                {"stop", params_.text.stop},
                {"ignore_eos", params_.ignore_eos},
                {"stream", params_.stream},
                {"n_probs", std::max(s.logprobs, 0)}};
  }
  Json last(const Usage &usage) const {
    Json out{{"index", 0}, {"content", ""}};
    out["tokens"] = Json::array();
    out["id_slot"] = -1;
    out["stop"] = true;
    out["model"] = name_;
    out["tokens_predicted"] = usage.completion;
    out["tokens_evaluated"] = usage.prompt;
    out["generation_settings"] = settings();
    out["prompt"] = prompt_;
    out["has_new_line"] = new_line_;
    out["truncated"] = false;
    out["stop_type"] = stop_type_;
    out["stopping_word"] = word_;
    out["tokens_cached"] = usage.prompt + usage.completion - 1;
    out["timings"] = timings(usage);
    return out;
  }

  const Model &model_;
  std::string name_;
  Json prompt_;
  GenerationParams params_;
  bool return_tokens_, new_line_ = false;
  std::string stop_type_ = "none", word_;
};

// A string, a list of ids, or a list that mixes both.
void read_prompt(FieldReader &fields, const Model &model, std::vector<std::vector<int32_t>> &prompts) {
  const Json *prompt = fields.value("prompt", "any");
  if (!prompt)
    return fields.fail("prompt", "is missing");
  if (prompt->is_string()) {
    encode_prompt(fields, model, "prompt", prompt->get_ref<const std::string &>(), true, prompts);
    return;
  }
  if (!prompt->is_array() || prompt->empty())
    return fields.fail("prompt", "must be a string, or a list of strings and token ids");
  std::vector<int32_t> all;
  for (const Json &part : *prompt) {
    std::vector<std::vector<int32_t>> one(1);
    if (part.is_string()) {
      one.clear();
      if (!encode_prompt(fields, model, "prompt", part.get_ref<const std::string &>(), all.empty(), one))
        return;
    } else if (!json_to_ids(Json::array({part}), one[0])) {
      return fields.fail("prompt", "must be a string, or a list of strings and token ids");
    }
    all.insert(all.end(), one[0].begin(), one[0].end());
  }
  prompts.push_back(std::move(all));
}

// [[id, bias], ...] or {"id": bias}; a bias of false bans.
void read_bias(FieldReader &fields, const Model &model, SamplingParams &sampling) {
  const Json *given = fields.value("logit_bias", "any");
  if (!given)
    return;
  auto fail = [&] { fields.fail("logit_bias", "must be a list of [token id, bias], at most 1024 of them"); };
  if (!given->is_array() || given->size() > 1024)
    return fail();
  for (const Json &pair : *given) {
    std::vector<int32_t> id;
    bool good = pair.is_array() && pair.size() == 2 && json_to_ids(Json::array({pair[0]}), id) && id[0] >= 0 &&
                id[0] < model.vocabulary && (pair[1] == false || pair[1].is_number());
    if (!good)
      return fail();
    float bias = pair[1] == false ? -1e30f : pair[1].get<float>();
    if (!(bias >= -1e30f && bias <= 1e30f))
      return fail();
    sampling.logit_bias.emplace_back(id[0], bias);
  }
}

void refuse_the_rest(FieldReader &fields) {
  fields.refuse_unless("min_keep", 0);
  fields.refuse_unless("top_n_sigma", -1);
  fields.refuse_unless("dynatemp_range", 0);
  fields.refuse_unless("post_sampling_probs", false);
  fields.refuse_unless("timings_per_token", false);
  fields.refuse_unless("return_progress", false);
  fields.refuse_unless("n_discard", 0);
  fields.refuse_unless("n_indent", 0);
  fields.refuse({"samplers", "lora", "response_fields", "image_data", "n_cmpl"});
  const Json *window = fields.value("repeat_last_n", "integer");
  if (window && *window != -1)
    fields.fail("repeat_last_n", "must be -1: penalties look at the whole text");
  fields.ignore({"cache_prompt", "id_slot", "n_keep", "t_max_prompt_ms"}); // none of them changes the answer here
}

GenerationRequest read_llama(FieldReader &fields, const Model &model, ServerContext &context, bool &return_tokens) {
  GenerationRequest request;
  GenerationParams &params = request.params;
  params.sampling = model.defaults;
  read_sampling(fields, model, "repeat_penalty", params.sampling);
  read_bias(fields, model, params.sampling);
  auto most = fields.integer("n_predict", -1, INT32_MAX);
  auto also = fields.integer("max_tokens", -1, INT32_MAX);
  params.max_tokens = most ? *most : also.value_or(-1);
  auto seed = fields.integer("seed", -1, INT64_MAX);
  params.sampling.seed = seed && *seed >= 0 && *seed != UINT32_MAX ? static_cast<uint64_t>(*seed) : context.next_seed();
  params.text.stop = fields.string_or_list("stop", kMaxStops);
  for (const std::string &stop : params.text.stop)
    if (stop.empty())
      fields.fail("stop", "a stop string must not be empty");
  params.ignore_eos = fields.boolean("ignore_eos").value_or(false);
  params.stream = fields.boolean("stream").value_or(false);
  if (auto probs = fields.integer("n_probs", 0, 20); probs && *probs > 0)
    params.sampling.logprobs = static_cast<int32_t>(*probs);
  return_tokens = fields.boolean("return_tokens").value_or(false);
  params.shape = read_llama_shape(fields);
  refuse_the_rest(fields);
  read_prompt(fields, model, request.prompts);
  return request;
}

} // namespace

void describe_llama_completion(FieldReader &fields, const Model &model, ServerContext &context) {
  bool return_tokens = false;
  read_llama(fields, model, context, return_tokens);
}

void handle_llama_completion(ServerContext &context, const Model &model, const HttpRequest &http,
                             const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body))
    return;
  bool return_tokens = false;
  GenerationRequest request = read_llama(*body.fields, model, context, return_tokens);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  request.format = std::make_shared<LlamaFormat>(model, context.model_name(model), *body.fields->value("prompt"),
                                                 request.params, return_tokens);
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

} // namespace llmrt::server
