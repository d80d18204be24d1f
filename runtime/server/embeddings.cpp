// POST /v1/embeddings (https://platform.openai.com/docs/api-reference/embeddings), with vLLM's additions: a prompt's hidden
// states, pooled as --pooling says.
#include "runtime/engine/pooling.h"
#include "runtime/server/embeddings.h"
#include "runtime/server/chat_prompt.h"
#include "runtime/server/endpoints.h"

#include <bit>
#include <cstring>
#include <string_view>

namespace llmrt::server {

namespace {

constexpr size_t kMaxInputs = 2048;

// RFC 4648, with padding.
std::string base64(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (i + k < bytes.size() ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

struct Wanted {
  bool base64 = false, normalize = true;
  size_t dimensions = 0; // 0: all
};

class EmbeddingFormat : public UnstreamedFormat {
public:
  EmbeddingFormat(std::string model_name, std::string id, Wanted wanted)
      : name_(std::move(model_name)), id_(std::move(id)), wanted_(wanted) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &) override {
    Json out{{"id", "embd-" + id_}, {"object", "list"}, {"data", Json::array()}, {"model", name_}};
    for (const Delta &choice : choices)
      out["data"].push_back(
          Json{{"object", "embedding"}, {"index", choice.index}, {"embedding", spelled(choice.embedding)}});
    out["usage"] = Json{{"prompt_tokens", usage.prompt}, {"total_tokens", usage.prompt}};
    out["usage"]["prompt_tokens_details"] = Json{{"cached_tokens", usage.cached}};
    return out;
  }
private:
  // The first dimensions of a vector are one of their own: they are cut off before the length becomes 1.
  Json spelled(std::vector<float> vector) const {
    if (wanted_.dimensions > 0)
      vector.resize(wanted_.dimensions);
    if (wanted_.normalize)
      normalize(vector);
    if (!wanted_.base64)
      return vector;
    static_assert(std::endian::native == std::endian::little, "clients read little-endian floats");
    return base64(std::as_bytes(std::span(vector)));
  }

  std::string name_, id_;
  Wanted wanted_;
};

Wanted read_wanted(FieldReader &fields, int64_t width) {
  Wanted out;
  std::string format = fields.string("encoding_format").value_or("float");
  out.base64 = format == "base64";
  if (!out.base64 && format != "float")
    fields.fail("encoding_format", "must be float or base64");
  out.normalize = fields.boolean("normalize").value_or(true);
  auto dimensions = fields.integer("dimensions", 1, INT32_MAX);
  if (dimensions && *dimensions > width)
    fields.fail("dimensions", "must be at most " + std::to_string(width) + ", what this model has");
  out.dimensions = static_cast<size_t>(dimensions.value_or(0));
  return out;
}

GenerationRequest read_embeddings(FieldReader &fields, const Model &model, ServerContext &context, Wanted &wanted) {
  GenerationRequest request = read_pooling(fields, model, context);
  wanted = read_wanted(fields, model.engine->hidden_width());
  read_prompts(fields, model, "input", kMaxInputs, request.prompts);
  return request;
}

} // namespace

GenerationRequest read_pooling(FieldReader &fields, const Model &model, ServerContext &context) {
  GenerationRequest request;
  GenerationParams &params = request.params;
  params.max_tokens = 0;
  params.pooling = context.config.pooling;
  params.cache_salt = fields.string("cache_salt").value_or("");
  params.priority = static_cast<int32_t>(fields.integer("priority", -INT32_MAX, INT32_MAX).value_or(0));
  fields.refuse({"truncate_prompt_tokens"});
  fields.ignore({"user"});
  if (model.engine->hidden_width() == 0)
    fields.fail("model", model.id + " gives no embeddings: its artifact is older than they are; compile it again with "
                                    "this version of llmc");
  return request;
}

void describe_embeddings(FieldReader &fields, const Model &model, ServerContext &context) {
  Wanted wanted;
  read_embeddings(fields, model, context, wanted);
}

void handle_embeddings(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body))
    return;
  Wanted wanted;
  GenerationRequest request = read_embeddings(*body.fields, model, context, wanted);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  request.format = std::make_shared<EmbeddingFormat>(context.model_name(model), http.request_id, wanted);
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

} // namespace llmrt::server
