// A server whose models are fakes that are opened by name, for tests of loading and unloading.
#pragma once

#include "runtime/server/server.h"
#include "runtime/server/testing/fake_model.h"
#include "runtime/server/testing/http_client.h"

#include <condition_variable>
#include <gtest/gtest.h>
#include <map>
#include <mutex>

namespace llmrt::testing {

// Opens what it is asked for, as long as nothing else was said.
class FakeOpener {
public:
  Result<server::OpenedModel> open(const server::ModelSource &source, int64_t promised) {
    std::unique_lock lock(mutex_);
    ++opened_[source.name];
    promised_ = promised;
    path_ = source.path;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held_.count(source.name); });
    if (auto wrong = errors_.find(source.name); wrong != errors_.end())
      return wrong->second;
    server::OpenedModel out;
    out.model = fake_model(options);
    out.model->id = source.name;
    out.model->device = "fake";
    out.memory = {100, 1000, 500};
    return out;
  }
  void fail(const std::string &name, Status status) { with_lock([&] { errors_.emplace(name, std::move(status)); }); }
  void mend(const std::string &name) { with_lock([&] { errors_.erase(name); }); }
  void hold(const std::string &name) { with_lock([&] { held_[name] = true; }); }
  void release(const std::string &name) { with_lock([&] { held_.erase(name); }); }
  void wait_until_opened(const std::string &name, int times) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return opened_[name] >= times; })) << name;
  }
  int opened(const std::string &name) {
    std::lock_guard lock(mutex_);
    return opened_[name];
  }
  int64_t promised() {
    std::lock_guard lock(mutex_);
    return promised_;
  }
  std::string path() {
    std::lock_guard lock(mutex_);
    return path_;
  }

  FakeEngineOptions options; // set before anything is opened

private:
  template <typename Work> void with_lock(Work work) {
    std::lock_guard lock(mutex_);
    work();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, int> opened_;
  std::map<std::string, bool> held_;
  std::map<std::string, Status> errors_;
  int64_t promised_ = 0;
  std::string path_;
};

class PoolServer {
public:
  // `files`: models of the command line.
  explicit PoolServer(const std::vector<std::string> &files, server::ModelPoolOptions options = {},
                      FakeEngineOptions engine = {}, server::ServerConfig config = {}) {
    opener.options = engine;
    for (const std::string &name : files)
      options.files.push_back({name, name + ".fbs", {}});
    options.open = [this](const server::ModelSource &source, int64_t promised) {
      return opener.open(source, promised);
    };
    config.port = 0;
    auto listening = server::Server::listen(std::move(config));
    if (!listening.ok()) {
      ADD_FAILURE() << listening.status().message();
      return;
    }
    server = std::move(*listening);
    EXPECT_TRUE(server->start().ok());
    Status started = pool().start(std::move(options));
    EXPECT_TRUE(started.ok()) << started.message();
  }
  ~PoolServer() { server->stop(); }

  server::ModelPool &pool() { return server->context().models; }
  int port() const { return server->port(); }
  HttpAnswer get(const std::string &path) { return HttpClient(port()).get(path); }
  HttpAnswer post(const std::string &path, const std::string &body) { return HttpClient(port()).post(path, body); }
  HttpAnswer complete(const std::string &model, int tokens = 3) {
    return post("/v1/completions",
                R"({"model":")" + model + R"(","prompt":"abc","max_tokens":)" + std::to_string(tokens) + "}");
  }
  HttpAnswer load(const std::string &model) { return post("/models/load", R"({"model":")" + model + "\"}"); }
  HttpAnswer unload(const std::string &model) { return post("/models/unload", R"({"model":")" + model + "\"}"); }
  // "a=loaded b=unloaded"
  std::string states() {
    std::string out;
    for (const server::ModelView &view : pool().list())
      out += (out.empty() ? "" : " ") + view.names.front() + "=" + name_of(view.state);
    return out;
  }
  bool comes_to(const std::string &states_text) {
    for (int i = 0; i < 2000 && states() != states_text; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return states() == states_text;
  }

  FakeOpener opener;
  std::unique_ptr<server::Server> server;
};

} // namespace llmrt::testing
