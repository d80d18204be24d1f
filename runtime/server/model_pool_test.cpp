// Several models in one server: routing, loading on demand, unloading under load, waiting clients, metrics.
#include "runtime/server/testing/pool_server.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include <sys/stat.h>

namespace llmrt::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace llmrt::testing;
namespace fs = std::filesystem;

TEST(Models, RequestsAreRoutedByName) {
  PoolServer running({"a", "b"});
  for (std::string name : {"a", "b"}) {
    HttpAnswer answer = running.complete(name);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(Json::parse(answer.body)["model"], name);
  }
  HttpAnswer unknown = running.complete("c");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(Json::parse(unknown.body)["error"]["param"], "model");
  EXPECT_THAT(unknown.body, HasSubstr("The model `c` does not exist; this server has `a`, `b`."));
  HttpAnswer missing = running.post("/v1/completions", R"({"prompt":"abc"})");
  EXPECT_EQ(missing.status, 400);
  EXPECT_THAT(missing.body, HasSubstr("model is missing; this server has several: `a`, `b`"));
  for (const char *other : {R"({"model":5,"prompt":"a"})", "[]", "5", "{"})
    EXPECT_EQ(running.post("/v1/completions", other).status, 400) << other;
  EXPECT_EQ(running.post("/tokenize", R"({"model":"b","prompt":"abc"})").status, 200);
}

TEST(Models, EachApiSpellsItsOwnErrors) {
  PoolServer running({"a", "b"});
  Json anthropic = Json::parse(running.post("/v1/messages", R"({"model":"c"})").body);
  EXPECT_EQ(anthropic["type"], "error");
  EXPECT_EQ(anthropic["error"]["type"], "not_found_error");
  EXPECT_EQ(Json::parse(running.post("/generate", R"({"model":"c"})").body)["error_type"], "validation");
  EXPECT_EQ(running.post("/generate", R"({"inputs":"a"})").status, 422) << "which model?";
}

TEST(Models, OneFileNeedsNoName) {
  PoolServer running({"a"});
  EXPECT_EQ(running.post("/v1/completions", R"({"prompt":"abc","max_tokens":1})").status, 200);
  EXPECT_EQ(running.complete("b").status, 404);
}

TEST(Models, AreListedWithTheirStatus) {
  PoolServer running({"a", "b"});
  EXPECT_EQ(running.opener.promised(), 1000) << "to the model that was loaded before";
  EXPECT_EQ(running.unload("b").status, 200);
  for (const char *path : {"/v1/models", "/models"}) {
    Json data = Json::parse(running.get(path).body)["data"];
    ASSERT_EQ(data.size(), 2u);
    EXPECT_EQ(data[0]["id"], "a");
    EXPECT_EQ(data[0]["max_model_len"], 256);
    const Json &status = data[0]["status"];
    EXPECT_EQ(status["value"], "loaded");
    EXPECT_EQ(status["mapped_bytes"], 100);
    EXPECT_EQ(status["private_bytes"], 1000);
    EXPECT_EQ(status["kv_cache_bytes"], 500);
    EXPECT_EQ(status["num_requests_running"], 0);
    EXPECT_EQ(data[1]["id"], "b");
    EXPECT_EQ(data[1]["status"], Json({{"value", "unloaded"}}));
  }
}

TEST(Models, LoadAndUnload) {
  PoolServer running({"a", "b"});
  EXPECT_EQ(running.states(), "a=loaded b=loaded");
  HttpAnswer answer = running.unload("a");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"success":true})");
  EXPECT_EQ(running.states(), "a=unloaded b=loaded");
  EXPECT_EQ(running.unload("a").status, 400);
  EXPECT_EQ(running.complete("b").status, 200);
  EXPECT_EQ(running.load("a").status, 200);
  EXPECT_EQ(running.states(), "a=loaded b=loaded");
  HttpAnswer again = running.load("a");
  EXPECT_EQ(again.status, 400);
  EXPECT_THAT(again.body, HasSubstr("loaded already"));
  for (const char *path : {"/models/load", "/models/unload"}) {
    EXPECT_EQ(running.post(path, R"({"model":"c"})").status, 404) << path;
    EXPECT_EQ(running.post(path, R"({"model":"../a"})").status, 404) << path;
    for (const char *bad : {"{}", R"({"model":""})", R"({"model":5})", R"({"model":"a","x":1})", "[]", "{"})
      EXPECT_EQ(running.post(path, bad).status, 400) << path << bad;
  }
}

TEST(Models, ARequestLoadsItsModelAgainAndOthersAreNotHeldUp) {
  PoolServer running({"a", "b"});
  EXPECT_EQ(running.unload("a").status, 200);
  running.opener.hold("a");
  std::vector<std::thread> clients;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i)
    clients.emplace_back([&] { good += running.complete("a").status == 200; });
  running.opener.wait_until_opened("a", 2);
  EXPECT_EQ(running.states(), "a=loading b=loaded");
  EXPECT_EQ(running.complete("b").status, 200);
  EXPECT_EQ(good, 0);
  running.opener.release("a");
  for (std::thread &client : clients)
    client.join();
  EXPECT_EQ(good, 8);
  EXPECT_EQ(running.opener.opened("a"), 2) << "once for all who wait";
}

TEST(Models, WhoLeavesWhileWaitingIsForgotten) {
  PoolServer running({"a"});
  EXPECT_EQ(running.unload("a").status, 200);
  running.opener.hold("a");
  {
    HttpClient client(running.port());
    client.send(request_text("POST", "/v1/completions", R"({"prompt":"abc","max_tokens":100})", ""));
    running.opener.wait_until_opened("a", 2);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  running.opener.release("a");
  EXPECT_TRUE(running.comes_to("a=loaded"));
  EXPECT_THAT(running.get("/metrics").body, HasSubstr("vllm:prompt_tokens_total{engine=\"0\",model_name=\"a\"} 0\n"));
}

TEST(Models, OneThatCannotBeOpenedSaysWhy) {
  PoolServer running({"a", "b"});
  EXPECT_EQ(running.unload("a").status, 200);
  running.opener.fail("a", Status(StatusCode::kCorrupt, "a.fbs is damaged"));
  HttpAnswer answer = running.complete("a");
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, HasSubstr("the model `a` could not be loaded: a.fbs is damaged"));
  EXPECT_EQ(running.load("a").status, 500);
  Json entry = Json::parse(running.get("/models").body)["data"][0];
  EXPECT_EQ(entry["status"]["value"], "unloaded");
  EXPECT_EQ(entry["status"]["failed"], true);
  EXPECT_EQ(entry["status"]["error"], "a.fbs is damaged");
  EXPECT_EQ(running.complete("b").status, 200);
  running.opener.mend("a");
  running.opener.fail("b", Status(StatusCode::kExhausted, "no memory"));
  EXPECT_EQ(running.complete("a").status, 200);
  EXPECT_FALSE(Json::parse(running.get("/models").body)["data"][0]["status"].contains("failed"));
  EXPECT_EQ(running.unload("b").status, 200);
  HttpAnswer full = running.complete("b");
  EXPECT_EQ(full.status, 503);
  EXPECT_EQ(full.headers["retry-after"], "1");
}

TEST(Models, AFileThatCannotBeOpenedAtTheStartEndsIt) {
  ModelPool pool;
  ModelPoolOptions options;
  options.files = {{"a", "a.fbs", {}}};
  options.open = [](const ModelSource &, int64_t) { return Status(StatusCode::kInvalidArgument, "no"); };
  EXPECT_EQ(pool.start(options).code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(pool.ready());
}

TEST(Models, IdleOnesGoAndComeBackWithTheirCounters) {
  ModelPoolOptions options;
  options.idle_seconds = 0.05;
  PoolServer running({"a", "b"}, options);
  EXPECT_EQ(running.complete("a").status, 200);
  EXPECT_TRUE(running.comes_to("a=unloaded b=unloaded"));
  EXPECT_EQ(running.get("/health").status, 200);
  EXPECT_EQ(running.get("/openapi.json").status, 200) << "which needs some model";
  EXPECT_EQ(running.complete("a").status, 200);
  std::string metrics = running.get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("vllm:generation_tokens_total{engine=\"0\",model_name=\"a\"} 6\n"));
  EXPECT_THAT(metrics, HasSubstr("vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"a\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("vllm:generation_tokens_total{engine=\"0\",model_name=\"b\"} 0\n"));
}

TEST(Models, AModelInUseIsNotIdle) {
  ModelPoolOptions options;
  options.idle_seconds = 0.05;
  PoolServer running({"a"}, options, {4096, 1024, std::chrono::milliseconds(1)});
  EXPECT_EQ(running.complete("a", 300).status, 200);
  EXPECT_EQ(running.opener.opened("a"), 1);
}

TEST(Models, RunningRequestsMayFinish) {
  PoolServer running({"a", "b"}, {}, {4096, 1024, std::chrono::milliseconds(1)});
  HttpClient client(running.port());
  client.send(request_text("POST", "/v1/completions", R"({"model":"a","prompt":"abc","max_tokens":100,"stream":true})",
                           ""));
  client.receive_until("data:");
  std::thread unloading([&] { EXPECT_EQ(running.unload("a").status, 200); });
  EXPECT_TRUE(running.comes_to("a=unloading b=loaded"));
  std::string rest = client.receive_until("[DONE]");
  EXPECT_THAT(rest, HasSubstr("\"finish_reason\":\"length\""));
  EXPECT_THAT(rest, Not(HasSubstr("error")));
  unloading.join();
  EXPECT_EQ(running.states(), "a=unloaded b=loaded");
}

TEST(Models, RequestsThatTakeTooLongAreCutShort) {
  ModelPoolOptions options;
  options.unload_seconds = 0.05;
  PoolServer running({"a"}, options, {1 << 20, 1024, std::chrono::milliseconds(1)});
  HttpClient stream(running.port()), whole(running.port());
  stream.send(request_text("POST", "/v1/completions", R"({"prompt":"abc","max_tokens":100000,"stream":true})", ""));
  whole.send(request_text("POST", "/v1/completions", R"({"prompt":"abc","max_tokens":100000})", ""));
  stream.receive_until("data:");
  for (int i = 0; i < 2000 && running.pool().list()[0].stats.running < 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(running.unload("a").status, 200);
  EXPECT_THAT(stream.receive_until("[DONE]"), HasSubstr("its model is being unloaded"));
  EXPECT_EQ(whole.receive().status, 503);
  EXPECT_EQ(running.states(), "a=unloaded");
  EXPECT_EQ(running.complete("a").status, 200) << "loaded again";
}

TEST(Models, ARequestThatComesWhileItsModelGoesWaitsForItToComeBack) {
  PoolServer running({"a"}, {}, {4096, 1024, std::chrono::milliseconds(1)});
  HttpClient client(running.port());
  client.send(request_text("POST", "/v1/completions", R"({"prompt":"abc","max_tokens":200,"stream":true})", ""));
  client.receive_until("data:");
  std::thread unloading([&] { EXPECT_EQ(running.unload("a").status, 200); });
  EXPECT_TRUE(running.comes_to("a=unloading"));
  EXPECT_EQ(running.complete("a").status, 200);
  EXPECT_EQ(running.opener.opened("a"), 2);
  EXPECT_THAT(client.receive_until("[DONE]"), HasSubstr("\"finish_reason\":\"length\""));
  unloading.join();
}

TEST(Models, DrainingEndsTheWaiting) {
  PoolServer running({"a", "b"});
  EXPECT_EQ(running.unload("a").status, 200);
  running.opener.hold("a");
  std::thread client([&] { EXPECT_EQ(running.complete("a").status, 503); });
  running.opener.wait_until_opened("a", 2);
  HttpClient late(running.port());
  EXPECT_EQ(late.get("/health").status, 200);
  std::thread draining([&] { EXPECT_TRUE(running.server->drain(20)); });
  client.join();
  running.opener.release("a");
  draining.join();
}

TEST(Models, LoadsUnloadsRequestsAndClientsThatLeaveAtOnce) {
  ModelPoolOptions options;
  options.idle_seconds = 0.01;
  options.unload_seconds = 0.01;
  PoolServer running({"a", "b"}, options, {4096, 1024, std::chrono::microseconds(100)});
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 25; ++k) {
        const std::string name = (i + k) % 2 ? "a" : "b";
        if (k % 5 == 4) {
          HttpClient client(running.port());
          client.send(request_text("POST", "/v1/completions",
                                   R"({"model":")" + name + R"(","prompt":"abc","max_tokens":500,"stream":true})", ""));
          if (k % 2)
            client.receive_until("data:");
          continue;
        }
        HttpAnswer answer = running.complete(name, 5);
        bool good = answer.status == 200 && Json::parse(answer.body)["choices"][0]["text"] == "abc";
        wrong += !good && answer.status != 503;
      }
    });
  threads.emplace_back([&] {
    for (int k = 0; k < 40; ++k) {
      int status = k % 3 == 2 ? running.load(k % 2 ? "a" : "b").status : running.unload(k % 2 ? "a" : "b").status;
      wrong += status != 200 && status != 400;
      running.get(k % 2 ? "/metrics" : "/v1/models");
    }
  });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(running.comes_to("a=unloaded b=unloaded"));
}

TEST(Models, AnEngineThatEndsByItselfIsTold) {
  PoolServer running({"a", "b"});
  EXPECT_TRUE(running.pool().failure().ok());
  Result<ModelLease> lease = running.pool().get("b");
  ASSERT_TRUE(lease.ok() && *lease);
  (*lease)->model->engine->stop(false);
  for (int i = 0; i < 2000 && running.pool().failure().ok(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_THAT(running.pool().failure().message(), HasSubstr("the model `b`"));
}

// ---- the folder --------------------------------------------------------------------------------------------------------
class ModelFolder : public ::testing::Test {
protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "llmrt-models-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    fs::create_directory(root_ / "models");
    write("models/x.fbs");
    write("outside.fbs");
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const char *name) { std::ofstream(root_ / name) << "x"; }
  std::string folder() const { return (root_ / "models").string(); }

  fs::path root_;
};

TEST_F(ModelFolder, ListsWhatCanBeOpened) {
  write("models/readme.txt");
  write("models/.fbs");
  fs::create_directory(root_ / "models/sub.fbs");
  fs::create_symlink("x.fbs", root_ / "models/inside.fbs");
  fs::create_symlink("../outside.fbs", root_ / "models/link.fbs");
  fs::create_symlink("nowhere", root_ / "models/broken.fbs");
  ASSERT_EQ(::mkfifo((root_ / "models/pipe.fbs").c_str(), 0600), 0);
  Result<std::vector<FolderModel>> found = list_models(folder());
  ASSERT_TRUE(found.ok());
  std::map<std::string, std::string> problems;
  for (const FolderModel &one : *found) {
    problems[one.name] = one.problem;
    EXPECT_EQ(one.path.empty(), !one.problem.empty());
  }
  EXPECT_EQ(problems.size(), 6u);
  EXPECT_EQ(problems["x"], "");
  EXPECT_EQ(problems["inside"], "");
  EXPECT_THAT(problems["link"], HasSubstr("out of the folder"));
  EXPECT_THAT(problems["broken"], HasSubstr("cannot find"));
  EXPECT_THAT(problems["sub"], HasSubstr("not a regular file"));
  EXPECT_THAT(problems["pipe"], HasSubstr("not a regular file"));
  EXPECT_EQ(list_models(folder() + "/none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(list_models(folder() + "/x.fbs").status().code(), StatusCode::kInvalidArgument);
}

TEST_F(ModelFolder, NamesLeadNowhereElse) {
  fs::create_symlink("../outside.fbs", root_ / "models/link.fbs");
  ModelPoolOptions options;
  options.folder = folder();
  PoolServer running({"a"}, options);
  EXPECT_EQ(running.states(), "a=loaded x=unloaded");
  for (std::string name : {"../outside", "./x", "x.fbs", "models/x", "/etc/passwd", "x/", "..", ".", "X"}) {
    EXPECT_EQ(running.load(name).status, 404) << name;
    EXPECT_EQ(running.complete(name).status, 404) << name;
  }
  HttpAnswer link = running.load("link");
  EXPECT_EQ(link.status, 400);
  EXPECT_THAT(link.body, HasSubstr("link out of the folder"));
  EXPECT_EQ(running.load("x").status, 200);
  EXPECT_EQ(running.opener.path(), fs::canonical(root_ / "models/x.fbs").string());
}

TEST_F(ModelFolder, IsReadAgainWhenItMatters) {
  ModelPoolOptions options;
  options.folder = folder();
  PoolServer running({}, options);
  EXPECT_EQ(running.get("/health").status, 200);
  EXPECT_EQ(running.states(), "x=unloaded");
  EXPECT_EQ(running.post("/v1/completions", R"({"prompt":"abc","max_tokens":1})").status, 200) << "the only one";
  write("models/y.fbs");
  EXPECT_EQ(running.complete("y").status, 200);
  EXPECT_EQ(running.states(), "x=loaded y=loaded");
  write("models/z.fbs");
  EXPECT_EQ(running.states(), "x=loaded y=loaded z=unloaded");
  fs::remove(root_ / "models/z.fbs");
  fs::remove(root_ / "models/y.fbs");
  EXPECT_EQ(running.states(), "x=loaded y=loaded");
  EXPECT_EQ(running.unload("y").status, 200);
  HttpAnswer gone = running.complete("y");
  EXPECT_EQ(gone.status, 500);
  EXPECT_THAT(gone.body, HasSubstr("no longer in"));
}

TEST_F(ModelFolder, TheCommandLinesFileComesFirst) {
  ModelPoolOptions options;
  options.folder = folder();
  PoolServer running({"x"}, options);
  EXPECT_EQ(running.states(), "x=loaded");
  EXPECT_EQ(running.opener.path(), "x.fbs");
}

} // namespace
} // namespace llmrt::server
