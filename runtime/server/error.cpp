#include "runtime/server/error.h"

namespace llmrt::server {

static const char *type_of(int status) {
  switch (status) {
  case 401:
    return "authentication_error";
  case 404:
    return "not_found_error";
  case 501:
    return "not_implemented_error";
  case 504:
    return "timeout_error";
  case 503:
    return "unavailable_error";
  default:
    return status < 500 ? "invalid_request_error" : "server_error";
  }
}

Json error_json(const ApiError &error) {
  Json body;
  body["message"] = error.message;
  body["type"] = type_of(error.status);
  body["param"] = error.param.empty() ? Json(nullptr) : Json(error.param);
  body["code"] = error.status;
  return Json{{"error", std::move(body)}};
}

ApiError error_of_status(const Status &status) {
  switch (status.code()) {
  case StatusCode::kInvalidArgument:
  case StatusCode::kUnsupported:
    return {400, status.message(), {}, 0};
  case StatusCode::kNotFound:
    return {404, status.message(), {}, 0};
  case StatusCode::kExhausted:
    return {503, status.message(), {}, 1};
  case StatusCode::kCancelled:
    return {503, "the server is shutting down: " + status.message(), {}, 1};
  default:
    return {500, status.message(), {}, 0};
  }
}

} // namespace llmrt::server
