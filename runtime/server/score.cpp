// POST /v1/score and /v1/rerank, as vLLM has them for models that give embeddings: how alike two texts are is the cosine
// of their embeddings.
#include "runtime/engine/pooling.h"
#include "runtime/server/chat_prompt.h"
#include "runtime/server/embeddings.h"
#include "runtime/server/endpoints.h"

#include <algorithm>
#include <ctime>
#include <numeric>

namespace llmrt::server {

namespace {

constexpr size_t kMaxTexts = 2048;

// Of two vectors of length 1; a chain in double precision.
double dot(const std::vector<float> &a, const std::vector<float> &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += double(a[i]) * double(b[i]);
  return sum;
}

// The first choices are queries, the others documents: one each, or one query for all.
std::vector<double> scores_of(const std::vector<Delta> &choices, size_t queries) {
  std::vector<std::vector<float>> vectors;
  for (const Delta &choice : choices) {
    vectors.push_back(choice.embedding);
    normalize(vectors.back());
  }
  std::vector<double> out;
  for (size_t i = queries; i < vectors.size(); ++i)
    out.push_back(dot(vectors[queries == 1 ? 0 : i - queries], vectors[i]));
  return out;
}

Json usage_of(const Usage &usage) { return Json{{"prompt_tokens", usage.prompt}, {"total_tokens", usage.prompt}}; }

class ScoreFormat : public UnstreamedFormat {
public:
  ScoreFormat(std::string model_name, std::string id, size_t queries)
      : name_(std::move(model_name)), id_(std::move(id)), queries_(queries) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &) override {
    Json out{{"id", "score-" + id_}, {"object", "list"}, {"created", std::time(nullptr)}, {"model", name_}};
    out["data"] = Json::array();
    for (double score : scores_of(choices, queries_))
      out["data"].push_back(Json{{"index", out["data"].size()}, {"object", "score"}, {"score", score}});
    out["usage"] = usage_of(usage);
    return out;
  }

private:
  std::string name_, id_;
  size_t queries_;
};

class RerankFormat : public UnstreamedFormat {
public:
  RerankFormat(std::string model_name, std::string id, std::vector<std::string> documents, size_t most)
      : name_(std::move(model_name)), id_(std::move(id)), documents_(std::move(documents)), most_(most) {}

  Json whole(const std::vector<Delta> &choices, const Usage &usage, const Json &) override {
    const std::vector<double> scores = scores_of(choices, 1);
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
    order.resize(std::min(order.size(), most_));
    Json out{{"id", "rerank-" + id_}, {"model", name_}, {"usage", usage_of(usage)}, {"results", Json::array()}};
    for (size_t i : order)
      out["results"].push_back(
          Json{{"index", i}, {"document", {{"text", documents_[i]}}}, {"relevance_score", scores[i]}});
    return out;
  }

private:
  std::string name_, id_;
  std::vector<std::string> documents_;
  size_t most_;
};

// Each text as a prompt of its own.
void read_texts(FieldReader &fields, const Model &model, const char *field, const std::vector<std::string> &texts,
                std::vector<std::vector<int32_t>> &prompts) {
  if (texts.empty())
    return fields.fail(field, "is missing");
  for (const std::string &text : texts)
    if (!encode_prompt(fields, model, field, text, true, prompts))
      return;
}

GenerationRequest read_score(FieldReader &fields, const Model &model, ServerContext &context, size_t &queries) {
  GenerationRequest request = read_pooling(fields, model, context);
  std::vector<std::string> first = fields.string_or_list("text_1", kMaxTexts);
  std::vector<std::string> second = fields.string_or_list("text_2", kMaxTexts);
  queries = first.size();
  if (!first.empty() && first.size() != 1 && first.size() != second.size())
    fields.fail("text_1", "must be one text, or as many as text_2 has");
  read_texts(fields, model, "text_1", first, request.prompts);
  read_texts(fields, model, "text_2", second, request.prompts);
  return request;
}

GenerationRequest read_rerank(FieldReader &fields, const Model &model, ServerContext &context,
                              std::vector<std::string> &documents, size_t &most) {
  GenerationRequest request = read_pooling(fields, model, context);
  auto query = fields.string("query");
  documents = fields.string_or_list("documents", kMaxTexts);
  most = static_cast<size_t>(fields.integer("top_n", 0, INT32_MAX).value_or(0));
  most = most == 0 ? documents.size() : most; // vLLM: all
  read_texts(fields, model, "query", query ? std::vector<std::string>{*query} : std::vector<std::string>(),
             request.prompts);
  read_texts(fields, model, "documents", documents, request.prompts);
  return request;
}

} // namespace

void describe_score(FieldReader &fields, const Model &model, ServerContext &context) {
  size_t queries = 0;
  read_score(fields, model, context, queries);
}

void describe_rerank(FieldReader &fields, const Model &model, ServerContext &context) {
  std::vector<std::string> documents;
  size_t most = 0;
  read_rerank(fields, model, context, documents, most);
}

void handle_score(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body))
    return;
  size_t queries = 0;
  GenerationRequest request = read_score(*body.fields, model, context, queries);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  request.format = std::make_shared<ScoreFormat>(context.model_name(model), http.request_id, queries);
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

void handle_rerank(ServerContext &context, const Model &model, const HttpRequest &http, const ReplyPtr &reply) {
  OpenedBody body;
  if (!open_body(http, model, context, reply, body))
    return;
  std::vector<std::string> documents;
  size_t most = 0;
  GenerationRequest request = read_rerank(*body.fields, model, context, documents, most);
  if (auto error = body.fields->finish())
    return reply->send(error_response(*error));
  request.format = std::make_shared<RerankFormat>(context.model_name(model), http.request_id, std::move(documents), most);
  std::make_shared<Generation>(context, model, reply, std::move(request))->start();
}

} // namespace llmrt::server
