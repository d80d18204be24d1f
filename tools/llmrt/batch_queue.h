// Runs the server's endpoints without a socket: requests in, answers out, on the caller's thread.
#pragma once

#include "runtime/server/context.h"
#include "runtime/server/http.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace llmrt::tool {

class BatchQueue {
public:
  explicit BatchQueue(server::ServerContext &context) : context_(context) {}

  // `done` is called on the thread of turn() or of this call.
  void ask(const server::HttpRequest &request, std::function<void(server::HttpResponse)> done);
  // Does what the engine's thread has posted; waits for it, for at most `milliseconds`.
  void turn(int milliseconds);

private:
  friend class BatchReply;
  void post(std::function<void()> work);

  server::ServerContext &context_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
};

} // namespace llmrt::tool
