// From a path to its endpoint: keys, methods, what is not there yet.
#pragma once

#include "runtime/server/context.h"
#include "runtime/server/fields.h"
#include "runtime/server/http.h"

#include <span>
#include <string>

namespace llmrt::server {

using ModelHandler = void (*)(ServerContext &, const Model &, const HttpRequest &, const ReplyPtr &);
using PlainHandler = void (*)(ServerContext &, const HttpRequest &, const ReplyPtr &);
using Describe = void (*)(FieldReader &, const Model &, ServerContext &);

struct Route {
  const char *path;
  const char *method;
  ModelHandler with_model; // null: `plain`
  PlainHandler plain;      // both null: of the conventions, and not there yet
  bool needs_key;
  Describe describe = nullptr; // of what takes a body
  const char *summary = "";
  HttpResponse (*error)(const ApiError &) = error_response; // how the endpoint spells errors
};
std::span<const Route> all_routes();

// Answers `request` now or later, always exactly once.
void route(ServerContext &context, HttpRequest request, const ReplyPtr &reply);

// The path if it is an endpoint, else "none": for metrics.
std::string handler_label(const std::string &path);

// The same time for every key of the same length as `given`.
bool equal_in_constant_time(const std::string &given, const std::string &key);

} // namespace llmrt::server
