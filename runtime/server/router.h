// From a path to its endpoint: keys, methods, what is not there yet.
#pragma once

#include "runtime/server/context.h"
#include "runtime/server/http.h"

#include <string>

namespace llmrt::server {

// Answers `request` now or later, always exactly once.
void route(ServerContext &context, const HttpRequest &request, const ReplyPtr &reply);

// The path if it is an endpoint, else "none": for metrics.
std::string handler_label(const std::string &path);

// The same time for every key of the same length as `given`.
bool equal_in_constant_time(const std::string &given, const std::string &key);

} // namespace llmrt::server
