// POST /generate and /generate_stream as Text Generation Inference has them
// (https://huggingface.github.io/text-generation-inference/).
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"
#include "runtime/server/generation.h"

namespace llmrt::server {

namespace {

constexpr int64_t kDefaultNewTokens = 100;
constexpr size_t kMaxStops = 64;

} // namespace

HttpResponse tgi_error_response(const ApiError &error) {
  HttpResponse out = error_response(error); // its headers
  const char *type = error.status == 503 ? "overloaded" : error.status < 500 ? "validation" : "generation";
  if (error.status == 400)
    out.status = 422; // what TGI says of a request that it does not take
  out.body = dump_json(Json{{"error", error.message}, {"error_type", type}});
  return out;
}

namespace {

class TgiFormat : public AnswerFormat {
public:
  TgiFormat(const Model &model, const GenerationParams &params, bool details, int top_tokens)
      : model_(model), params_(params), details_(details), top_tokens_(top_tokens) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &prompt_logprobs) override {
    Json out{{"generated_text", choices[0].text}};
    if (!details_)
      return out;
    note(choices[0]);
    Json tokens = Json::array(), tops = Json::array();
    for (const NewToken &token : choices[0].tokens) {
      tokens.push_back(token_of(token.id, token.logprob));
      tops.push_back(tops_of(token));
    }
    out["details"] = summary(usage);
    out["details"]["prefill"] = prefill(prompt_logprobs[0]);
    out["details"]["tokens"] = std::move(tokens);
    if (top_tokens_ > 0)
      out["details"]["top_tokens"] = std::move(tops);
    return out;
  }
  std::string begin(int, const Usage &) override { return {}; }
  // An event for each token; the last one carries the text and the details.
  std::string delta(const Delta &delta, const Usage &usage) override {
    note(delta);
    text_ += delta.text;
    std::string out;
    for (size_t i = 0; i < delta.tokens.size(); ++i) {
      const NewToken &token = delta.tokens[i];
      bool last = !delta.finish_reason.empty() && i + 1 == delta.tokens.size();
      Json event{{"index", ++index_}, {"token", token_of(token.id, token.logprob)}};
      event["top_tokens"] = tops_of(token);
      event["generated_text"] = last ? Json(text_) : Json(nullptr);
      event["details"] = last ? summary(usage) : Json(nullptr);
      if (last)
        event["details"]["input_length"] = usage.prompt;
      out += "data:" + dump_json(event) + "\n\n";
    }
    return out;
  }
  std::string end(const Usage &) override { return {}; }
  std::string stream_error(const ApiError &error) override { return "data:" + tgi_error_response(error).body + "\n\n"; }
  HttpResponse error(const ApiError &error) const override { return tgi_error_response(error); }
  bool wants_every_token() const override { return true; }

private:
  void note(const Delta &delta) {
    if (delta.finish_reason.empty())
      return;
    finish_ = delta.finish_reason == "length"       ? "length"
              : delta.stop_reason.is_string() ? "stop_sequence"
                                                    : "eos_token";
  }
  Json token_of(int32_t id, float logprob) const {
    bool special = false;
    if (model_.tokenizer) {
      Result<std::string> shown = model_.tokenizer->decode({&id, 1}, true);
      special = shown.ok() && shown->empty() && !text_of_token(model_, id).empty();
    }
    return Json{{"id", id}, {"text", text_of_token(model_, id)}, {"logprob", logprob}, {"special", special}};
  }
  Json tops_of(const NewToken &token) const {
    Json out = Json::array();
    for (int i = 0; i < top_tokens_ && i < static_cast<int>(token.top.size()); ++i)
      out.push_back(token_of(token.top[static_cast<size_t>(i)].id, token.top[static_cast<size_t>(i)].logprob));
    return out;
  }
  // From vLLM's form, where the asked-for id comes first.
  Json prefill(const Json &scored) const {
    Json out = Json::array();
    if (!scored.is_array())
      return out;
    for (const Json &entry : scored) {
      if (!entry.is_object() || entry.empty())
        continue;
      auto first = entry.begin();
      out.push_back(Json{{"id", std::strtol(first.key().c_str(), nullptr, 10)},
                         {"text", (*first)["decoded_token"]},
                         {"logprob", (*first)["logprob"]}});
    }
    return out;
  }
  Json summary(const Usage &usage) const {
    return Json{
        {"finish_reason", finish_}, {"generated_tokens", usage.completion}, {"seed", params_.sampling.seed}};
  }

  const Model &model_;
  GenerationParams params_;
  bool details_;
  int top_tokens_;
  int index_ = 0;
  std::string text_, finish_;
};

struct TgiRequest {
  GenerationRequest generation;
  bool details = false;
  int top_tokens = 0;
};

// TGI takes the most likely token unless told to sample, or something that only sampling can honour is set.
void read_tgi_sampling(FieldReader &fields, SamplingParams &sampling) {
  bool sample = fields.boolean("do_sample").value_or(false);
  auto temperature = fields.number("temperature", 1e-6, 1e6);
  auto top_p = fields.number("top_p", 1e-6, 1);
  auto typical = fields.number("typical_p", 1e-6, 1);
  auto top_k = fields.integer("top_k", 1, INT32_MAX);
  sample |= temperature.value_or(1) != 1 || top_p.value_or(1) < 1 || typical.value_or(1) < 1 || top_k.has_value();
  sampling.temperature = sample ? static_cast<float>(temperature.value_or(1)) : 0;
  sampling.top_p = static_cast<float>(top_p.value_or(1));
  sampling.typical_p = static_cast<float>(typical.value_or(1));
  sampling.top_k = static_cast<int32_t>(top_k.value_or(-1));
  sampling.repetition_penalty = static_cast<float>(fields.number("repetition_penalty", 1e-6, 1e6).value_or(1));
  sampling.frequency_penalty = static_cast<float>(fields.number("frequency_penalty", -2, 2).value_or(0));
}

void read_parameters(FieldReader &fields, const Model &model, ServerContext &context, bool stream, TgiRequest &out) {
  GenerationParams &params = out.generation.params;
  read_tgi_sampling(fields, params.sampling);
  params.stream = stream;
  params.max_tokens = fields.integer("max_new_tokens", 1, INT32_MAX).value_or(kDefaultNewTokens);
  auto seed = fields.integer("seed", 0, INT64_MAX);
  params.sampling.seed = seed ? static_cast<uint64_t>(*seed) : context.next_seed();
  params.text.stop = fields.string_or_list("stop", kMaxStops);
  params.text.include_stop = true; // TGI leaves it in the text
  for (const std::string &one : params.text.stop)
    if (one.empty())
      fields.fail("stop", "a stop string must not be empty");
  out.details = fields.boolean("details").value_or(false);
  if (fields.boolean("decoder_input_details").value_or(false)) {
    params.prompt_logprobs = 0;
    if (stream)
      fields.fail("decoder_input_details", "is not available in a stream");
  }
  out.top_tokens = static_cast<int>(fields.integer("top_n_tokens", 0, 20).value_or(0));
  params.sampling.logprobs = out.top_tokens > 0 ? out.top_tokens : params.sampling.logprobs;
  params.best_of = static_cast<int>(fields.integer("best_of", 1, 128).value_or(1));
  if (params.best_of > 1 && stream)
    fields.fail("best_of", "must be 1 in a stream");
  if (fields.boolean("return_full_text").value_or(false))
    out.generation.echoes.push_back("");
  params.shape = read_tgi_shape(fields);
  fields.refuse_unless("watermark", false);
  fields.refuse({"truncate", "adapter_id"});
}

TgiRequest read_tgi(FieldReader &fields, const Model &model, ServerContext &context, bool stream) {
  TgiRequest out;
  auto inputs = fields.string("inputs");
  if (!inputs)
    fields.fail("inputs", "is missing");
  const Json none = Json::object();
  const Json *parameters = fields.value("parameters", "object");
  FieldReader inner(parameters ? *parameters : none);
  read_parameters(inner, model, context, stream, out);
  if (auto error = inner.finish())
    fields.fail("parameters", error->message);
  encode_prompt(fields, model, "inputs", inputs.value_or(""), true, out.generation.prompts);
  if (!out.generation.echoes.empty())
    out.generation.echoes[0] = inputs.value_or("");
  return out;
}

void handle(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply, bool stream) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body, tgi_error_response))
    return;
  TgiRequest request = read_tgi(*body.fields, model, context, stream);
  body.fields->ignore({"model", "stream"});
  if (auto error = body.fields->finish())
    return reply->send(tgi_error_response(*error));
  request.generation.format =
      std::make_shared<TgiFormat>(model, request.generation.params, request.details, request.top_tokens);
  std::make_shared<Generation>(context, model, reply, std::move(request.generation))->start();
}

} // namespace

void describe_generate(FieldReader &fields, const Model &model, ServerContext &context) {
  read_tgi(fields, model, context, false);
}

void handle_generate(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  handle(context, model, http, reply, false);
}

void handle_generate_stream(ServerContext &context, const Model &model, const HttpRequest &http,
                            const ReplyPtr &reply) {
  handle(context, model, http, reply, true);
}

} // namespace llmrt::server
