// Errors as clients see them: OpenAI's shape with an HTTP status.
#pragma once

#include "runtime/base/status.h"
#include "runtime/server/json.h"

#include <optional>
#include <string>

namespace llmrt::server {

struct ApiError {
  int status = 400;
  std::string message;
  std::string param; // the field at fault; empty: none
  int retry_after = 0; // seconds, with 503
};

// {"error":{"message","type","param","code"}}
Json error_json(const ApiError &error);
// What a failed call of the engine, the tokenizer or a template means to a client.
ApiError error_of_status(const Status &status);

} // namespace llmrt::server
