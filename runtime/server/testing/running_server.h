// A server with a fake model on a free port, for a test's lifetime.
#pragma once

#include "runtime/server/json.h"
#include "runtime/server/server.h"
#include "runtime/server/testing/fake_model.h"
#include "runtime/session/engine_thread.h"

#include <gtest/gtest.h>

namespace llmrt::testing {

class RunningServer {
public:
  explicit RunningServer(server::ServerConfig config = {}, FakeEngineOptions options = {}, bool ready = true)
      : model(fake_model(options)) {
    config.port = 0;
    auto listening = server::Server::listen(std::move(config));
    if (!listening.ok()) {
      ADD_FAILURE() << listening.status().message();
      return;
    }
    server = std::move(*listening);
    engine_thread = std::move(*EngineThread::start(*model->engine));
    if (ready)
      server->set_model(*model);
    EXPECT_TRUE(server->start().ok());
  }
  ~RunningServer() {
    server->stop();
    (void)engine_thread->stop(false).ok();
    model.reset(); // its sinks hold connections, which the server's threads own
  }
  int port() const { return server->port(); }

  std::unique_ptr<server::Server> server;
  std::unique_ptr<Model> model;
  std::unique_ptr<EngineThread> engine_thread;
};

} // namespace llmrt::testing
