// One line of JSON for each answer.
#pragma once

#include "runtime/base/status.h"

#include <cstdio>
#include <mutex>
#include <string>

namespace llmrt::server {

struct AccessRecord {
  std::string method, path, request_id;
  int status = 0;
  double seconds = 0;
  size_t bytes = 0; // of the answer, its head too
};

class AccessLog {
public:
  // "-": standard error; empty: nothing is kept. Appends to a file that is there.
  explicit AccessLog(const std::string &path);
  ~AccessLog();
  AccessLog(const AccessLog &) = delete;
  AccessLog &operator=(const AccessLog &) = delete;

  bool on() const { return file_ != nullptr; }
  bool failed() const { return failed_; } // the file could not be opened
  void add(const AccessRecord &record);   // from any thread

private:
  std::mutex mutex_;
  FILE *file_ = nullptr;
  bool failed_ = false;
};

} // namespace llmrt::server
