#include "runtime/capi/handles.h"

#include "runtime/session/version.h"

#include <algorithm>
#include <cstddef>

namespace llmrt::capi {

llmrt_code code_of(StatusCode code) {
  switch (code) {
  case StatusCode::kOk:
    return LLMRT_OK;
  case StatusCode::kInvalidArgument:
    return LLMRT_INVALID_ARGUMENT;
  case StatusCode::kNotFound:
    return LLMRT_NOT_FOUND;
  case StatusCode::kCorrupt:
    return LLMRT_CORRUPT;
  case StatusCode::kUnsupported:
    return LLMRT_UNSUPPORTED;
  case StatusCode::kExhausted:
    return LLMRT_EXHAUSTED;
  case StatusCode::kCancelled:
    return LLMRT_CANCELLED;
  case StatusCode::kInternal:
    return LLMRT_INTERNAL;
  }
  return LLMRT_INTERNAL;
}

llmrt_code report(llmrt_code code, std::string_view message, llmrt_error *error) {
  static constexpr size_t kMessage = offsetof(llmrt_error, message);
  if (!error || error->size <= kMessage)
    return code;
  size_t room = std::min(error->size, sizeof(llmrt_error)) - kMessage;
  size_t length = std::min(message.size(), room - 1);
  error->code = code;
  std::memcpy(error->message, message.data(), length);
  error->message[length] = '\0';
  return code;
}

llmrt_code report(const Status &status, llmrt_error *error) {
  return status.ok() ? LLMRT_OK : report(code_of(status.code()), status.message(), error);
}

llmrt_code missing(const char *names, llmrt_error *error) {
  return report(LLMRT_INVALID_ARGUMENT, std::string(names) + " must not be NULL", error);
}

llmrt_code unsized(const char *name, llmrt_error *error) {
  return report(LLMRT_INVALID_ARGUMENT, std::string(name) + "->size is not set", error);
}

} // namespace llmrt::capi

extern "C" const char *llmrt_version(void) { return llmrt::kVersion; }
