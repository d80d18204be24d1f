// Errors as values: the runtime throws nothing across a library boundary. A message says what went wrong, where, and
// what to do.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace llmrt {

enum class StatusCode {
  kOk = 0,
  kInvalidArgument, // the caller's request can never work
  kNotFound,
  kCorrupt,         // a file is not what it says it is
  kUnsupported,     // asks for what this build, artifact or machine does not have
  kExhausted,       // memory, pages, queue: may work later or with another budget
  kCancelled,
  kInternal,        // our own mistake
};

class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {
    assert(code != StatusCode::kOk);
  }
  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string &message() const { return message_; }

private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status ok_status() { return {}; }

// A value or the reason why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state_(std::move(value)) {}
  Result(Status status) : state_(std::move(status)) { assert(!std::get<Status>(state_).ok()); }

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  Status status() const { return ok() ? Status() : std::get<Status>(state_); }
  T &operator*() & { return std::get<T>(state_); }
  const T &operator*() const & { return std::get<T>(state_); }
  T &&operator*() && { return std::get<T>(std::move(state_)); }
  T *operator->() { return &std::get<T>(state_); }
  const T *operator->() const { return &std::get<T>(state_); }

private:
  std::variant<T, Status> state_;
};

} // namespace llmrt
