// One function an endpoint. `model` is loaded and stays so until the function returns; what lasts longer holds a lease
// (context.models.hold). Endpoints that need no model take the context alone.
#pragma once

#include "runtime/server/context.h"
#include "runtime/server/fields.h"
#include "runtime/server/http.h"

namespace llmrt::server {

void handle_completions(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_chat_completions(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_embeddings(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_score(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_rerank(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_tokenize(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_detokenize(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_apply_template(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_responses(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_messages(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_count_tokens(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_llama_completion(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_generate(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_generate_stream(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);

void handle_models(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_models_load(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_models_unload(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_health(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_ping(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_version(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_load(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_metrics(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_page(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_openapi(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);

// Reads an endpoint's fields as its handler does, and drops what comes of it: /openapi.json is made of what the reader
// was asked for.
void describe_completions(FieldReader &, const Model &, ServerContext &);
void describe_chat_completions(FieldReader &, const Model &, ServerContext &);
void describe_responses(FieldReader &, const Model &, ServerContext &);
void describe_messages(FieldReader &, const Model &, ServerContext &);
void describe_count_tokens(FieldReader &, const Model &, ServerContext &);
void describe_llama_completion(FieldReader &, const Model &, ServerContext &);
void describe_generate(FieldReader &, const Model &, ServerContext &);
void describe_embeddings(FieldReader &, const Model &, ServerContext &);
void describe_score(FieldReader &, const Model &, ServerContext &);
void describe_rerank(FieldReader &, const Model &, ServerContext &);
void describe_tokenize(FieldReader &, const Model &, ServerContext &);
void describe_detokenize(FieldReader &, const Model &, ServerContext &);
void describe_apply_template(FieldReader &, const Model &, ServerContext &);
void describe_model_name(FieldReader &, const Model &, ServerContext &);

// Errors as Anthropic's and TGI's clients know them.
HttpResponse messages_error_response(const ApiError &error);
HttpResponse tgi_error_response(const ApiError &error);

} // namespace llmrt::server
