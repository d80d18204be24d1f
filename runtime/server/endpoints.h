// One function an endpoint. `model` is ready; endpoints that answer before that take the context alone.
#pragma once

#include "runtime/server/context.h"
#include "runtime/server/http.h"

namespace llmrt::server {

void handle_completions(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_chat_completions(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_tokenize(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_detokenize(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_apply_template(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
void handle_models(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);

void handle_health(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_ping(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_version(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_load(ServerContext &, const HttpRequest &, const ReplyPtr &);
void handle_metrics(ServerContext &, const HttpRequest &, const ReplyPtr &);

} // namespace llmrt::server
