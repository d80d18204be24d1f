// What answers have in common: usage, OpenAI's stream of chunks, opening a request's body.
#include "runtime/server/generation.h"
#include "runtime/server/sse.h"

#include <ctime>

namespace llmrt::server {

Json usage_json(const Usage &usage) {
  Json out;
  out["prompt_tokens"] = usage.prompt;
  out["total_tokens"] = usage.prompt + usage.completion;
  out["completion_tokens"] = usage.completion;
  out["prompt_tokens_details"] = Json{{"cached_tokens", usage.cached}};
  return out;
}

const char *AnswerFormat::stream_type() const { return kSseContentType; }

OpenAiFormat::OpenAiFormat(const Model &model, const char *object, std::string id, std::string model_name,
                           const GenerationParams &params)
    : model_(model), object_(object), id_(std::move(id)), name_(std::move(model_name)), created_(std::time(nullptr)),
      include_usage_(params.include_usage), continuous_usage_(params.continuous_usage) {}

Json OpenAiFormat::head(const char *object) const {
  Json out;
  out["id"] = id_;
  out["object"] = object;
  out["created"] = created_;
  out["model"] = name_;
  out["system_fingerprint"] = model_.root_hash;
  return out;
}

Json OpenAiFormat::chunk(Json choices) const {
  Json out = head(object_);
  out["choices"] = std::move(choices);
  return out;
}

std::string OpenAiFormat::begin(int choices, const Usage &) {
  std::string out;
  for (int i = 0; i < choices; ++i)
    if (Json first = opening(i); !first.is_null())
      out += sse_event(chunk(Json::array({std::move(first)})));
  return out;
}

std::string OpenAiFormat::delta(const Delta &delta, const Usage &usage) {
  Json out = chunk(Json::array({choice_of(delta)}));
  if (continuous_usage_)
    out["usage"] = usage_json(usage);
  else if (include_usage_)
    out["usage"] = nullptr;
  return sse_event(out);
}

std::string OpenAiFormat::end(const Usage &usage) {
  std::string out;
  if (include_usage_) {
    Json last = chunk(Json::array());
    last["usage"] = usage_json(usage);
    out = sse_event(last);
  }
  return out + kSseDone;
}

std::string OpenAiFormat::stream_error(const ApiError &error) { return sse_event(error_json(error)) + kSseDone; }

bool open_body(const HttpRequest &http, const Model &model, ServerContext &context, const ReplyPtr &reply,
               OpenedBody &out, ErrorSpelling spell) {
  out.json = std::move(*http.json);
  out.fields.emplace(out.json);
  if (auto error = check_model_field(*out.fields, model, context)) {
    reply->send(spell(*error));
    return false;
  }
  return true;
}

} // namespace llmrt::server
