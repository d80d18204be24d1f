// Sends spans to a collector from a thread of its own; nobody waits for it.
#pragma once

#include "runtime/base/os.h"
#include "runtime/base/status.h"
#include "runtime/server/trace.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace llmrt::server {

class TraceExporter {
public:
  // "http://HOST[:4318][/v1/traces]"; kInvalidArgument for anything else.
  static Result<std::unique_ptr<TraceExporter>> start(const std::string &endpoint);
  ~TraceExporter(); // sends what is left

  // From any thread. Where the collector is slower than the server, spans are dropped, and the log says so once.
  void add(Span span);

private:
  TraceExporter() = default;
  void run();
  bool send(const std::string &body);

  std::string host_, path_;
  int port_ = 4318;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Span> waiting_;
  bool stopping_ = false, warned_ = false;
  os::Thread thread_;
};

} // namespace llmrt::server
