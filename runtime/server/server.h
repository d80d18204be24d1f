// The HTTP server: listens, hands connections to a few threads, drains.
#pragma once

#include "runtime/base/status.h"
#include "runtime/server/context.h"

#include <functional>
#include <memory>
#include <string>

namespace llmrt::server {

class Server {
public:
  // Binds and listens; requests are answered from start() on, with 503 until there is a model: set_model(), or
  // context().models.start(). kInvalidArgument names the address that cannot be used.
  static Result<std::unique_ptr<Server>> listen(ServerConfig config);
  virtual ~Server() = default;

  virtual ServerContext &context() = 0;
  virtual int port() const = 0; // 0 for a unix socket
  // "http://HOST:PORT" (https with TLS), or "unix:PATH"
  virtual std::string address() const = 0;

  // A model that is run by the caller and outlives the server's threads.
  virtual void set_model(const Model &model) = 0;
  // Starts the threads.
  virtual Status start() = 0;
  // Stops listening, refuses new generations, waits until running ones are answered; `wait_seconds` at most (0: no limit).
  virtual bool drain(double wait_seconds) = 0;
  // Ends all connections, threads and models. Running generations are cancelled.
  virtual void stop() = 0;
};

} // namespace llmrt::server
