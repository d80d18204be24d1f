// Clients that misbehave, go away, come in crowds; and the server's end.
#include "runtime/server/testing/http_client.h"
#include "runtime/server/testing/running_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace llmrt::server {
namespace {

using ::testing::HasSubstr;
using namespace llmrt::testing;

bool eventually(const std::function<bool()> &condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition())
      return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(Connection, MalformedRequestsGet400AndTheEnd) {
  RunningServer running;
  for (const char *bytes :
       {"GARBAGE\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /health HTTP/1.1\r\nbad header\r\n\r\n",
        "GET /health HTTP/1.1\r\nA: b\x01\r\n\r\n", "POST /tokenize HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST /tokenize HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        "POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "\x16\x03\x01\x02\r\n\r\n"}) {
    HttpClient client(running.port());
    client.send(bytes);
    HttpAnswer answer = client.receive();
    EXPECT_TRUE(answer.status == 400 || answer.status == 505) << answer.status << " for " << bytes;
    EXPECT_EQ(answer.headers["connection"], "close") << bytes;
    EXPECT_TRUE(client.at_end()) << bytes;
  }
  EXPECT_EQ(HttpClient(running.port()).get("/health").status, 200);
}

TEST(Connection, BadBodiesKeepTheConnection) {
  RunningServer running;
  HttpClient client(running.port());
  std::string deep(100000, '[');
  for (const std::string &body : {std::string("{"), std::string("[]"), std::string("null"), deep,
                                  std::string("{\"prompt\":\"\xFF\"}"), std::string("{\"prompt\":\"a\"} trailing")})
    EXPECT_EQ(client.post("/v1/completions", body).status, 400);
  EXPECT_EQ(client.get("/health").status, 200);
}

TEST(Connection, SizesAreBounded) {
  ServerConfig config;
  config.max_body_bytes = 1000;
  config.max_header_bytes = 4096;
  RunningServer running(config);
  HttpClient huge(running.port());
  EXPECT_EQ(huge.post("/v1/completions", std::string(2000, ' ')).status, 413);
  HttpClient chunked(running.port());
  chunked.send("POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 20; ++i)
    chunked.send("64\r\n" + std::string(100, ' ') + "\r\n");
  EXPECT_EQ(chunked.receive().status, 413);
  HttpClient claimed(running.port());
  claimed.send("POST /tokenize HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n");
  EXPECT_EQ(claimed.receive().status, 413);
  HttpClient headers(running.port());
  EXPECT_EQ(headers.get("/health", "A: " + std::string(8000, 'x') + "\r\n").status, 431);
}

TEST(Connection, ChunkedBodiesAndExpect) {
  RunningServer running;
  HttpClient client(running.port());
  client.send("POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"promp\r\n8\r\nt\":\"ab\"}\r\n0\r\n\r\n");
  HttpAnswer answer = client.receive();
  EXPECT_EQ(answer.status, 200) << answer.body;
  client.send("POST /tokenize HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n");
  EXPECT_EQ(client.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("{\"prompt\":\"abc\"");
  EXPECT_EQ(client.receive().status, 400); // 15 bytes that are no JSON, and the connection goes on
  EXPECT_EQ(client.get("/health").status, 200);
}

TEST(Connection, Http10EndsWithTheConnection) {
  RunningServer running;
  HttpClient client(running.port());
  std::string body = R"({"prompt":"ab","max_tokens":2,"stream":true,"add_special_tokens":false})";
  client.send("POST /v1/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  HttpAnswer answer = client.receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.count("transfer-encoding"), 0u);
  EXPECT_EQ(sse_data(answer.body).back(), "[DONE]");
}

TEST(Connection, PipelinedRequestsAreAnsweredInOrder) {
  RunningServer running;
  HttpClient client(running.port());
  std::string all;
  for (const char *prompt : {"ab", "cd", "ef"})
    all += request_text("POST", "/v1/completions",
                        std::string(R"({"add_special_tokens":false,"max_tokens":2,"prompt":")") + prompt + "\"}", "");
  all += request_text("GET", "/health", "", "Connection: close\r\n");
  client.send(all);
  for (const char *prompt : {"ab", "cd", "ef"})
    EXPECT_THAT(client.receive().body, HasSubstr(std::string("\"text\":\"") + prompt));
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(client.at_end());
}

TEST(Connection, AClientThatLeavesCancelsItsRequest) {
  FakeEngineOptions options;
  options.step_time = std::chrono::milliseconds(2);
  options.max_model_len = 100000;
  RunningServer running({}, options);
  for (const char *stream : {"true", "false"}) {
    uint64_t before = engine_of(*running.model).cancelled();
    HttpClient client(running.port());
    client.send(request_text("POST", "/v1/completions",
                             std::string(R"({"prompt":"abc","max_tokens":90000,"n":2,"stream":)") + stream + "}", ""));
    ASSERT_TRUE(eventually([&] { return running.model->engine->stats().running == 2; }));
    client.close();
    EXPECT_TRUE(eventually([&] { return engine_of(*running.model).cancelled() == before + 2; })) << stream;
    EXPECT_TRUE(eventually([&] { return running.server->context().in_flight.load() == 0; })) << stream;
  }
}

TEST(Connection, AStopStringEndsTheEnginesRequest) {
  FakeEngineOptions options;
  options.max_model_len = 100000;
  RunningServer running({}, options);
  HttpAnswer answer =
      HttpClient(running.port()).post("/v1/completions", R"({"prompt":"abc","max_tokens":90000,"stop":"cab"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(eventually([&] { return running.model->engine->stats().running == 0; }));
}

TEST(Connection, AClientThatDoesNotReadIsCutOff) {
  ServerConfig config;
  config.max_unsent_bytes = 64 << 10;
  FakeEngineOptions options;
  options.max_model_len = 1 << 20;
  options.step_time = std::chrono::microseconds(100); // else it is done before the connection has written what it has
  RunningServer running(config, options);
  HttpClient client(running.port());
  // With logprobs, so that few tokens fill what the system buffers for a socket.
  client.send(request_text("POST", "/v1/completions",
                           R"({"prompt":"abc","max_tokens":1000000,"stream":true,"logprobs":5})", ""));
  EXPECT_TRUE(eventually([&] { return engine_of(*running.model).cancelled() == 1; }));
}

TEST(Connection, SlowRequestsAreDropped) {
  ServerConfig config;
  config.head_seconds = config.body_seconds = 1;
  RunningServer running(config);
  HttpClient head(running.port()), body(running.port());
  head.send("GET /health HT");
  body.send("POST /tokenize HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_TRUE(head.at_end());
  EXPECT_TRUE(body.at_end());
  EXPECT_EQ(HttpClient(running.port()).get("/health").status, 200);
}

TEST(Connection, AHundredStreamsAtOnce) {
  FakeEngineOptions options;
  options.step_time = std::chrono::microseconds(200);
  RunningServer running({}, options);
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<HttpClient>(running.port()));
    clients.back()->send(request_text("POST", "/v1/completions",
                                      R"({"stream":true,"max_tokens":40,"add_special_tokens":false,"prompt":"stream )" +
                                          std::to_string(i) + ". \"}",
                                      ""));
  }
  for (int i = 0; i < 100; ++i) {
    HttpAnswer answer = clients[static_cast<size_t>(i)]->receive();
    std::string prompt = "stream " + std::to_string(i) + ". ", expected, text;
    while (expected.size() < 40)
      expected += prompt;
    std::vector<std::string> events = sse_data(answer.body);
    ASSERT_FALSE(events.empty());
    for (size_t k = 0; k + 1 < events.size(); ++k)
      text += Json::parse(events[k])["choices"][0]["text"].get<std::string>();
    EXPECT_EQ(text, expected.substr(0, 40));
  }
}

TEST(Connection, DrainingFinishesWhatRuns) {
  FakeEngineOptions options;
  options.step_time = std::chrono::milliseconds(1);
  RunningServer running({}, options);
  HttpClient idle(running.port()), busy(running.port());
  EXPECT_EQ(idle.get("/health").status, 200);
  busy.send(request_text("POST", "/v1/completions", R"({"prompt":"abc","max_tokens":150,"stream":true})", ""));
  std::string seen = busy.receive_until("data: ");
  bool drained = false;
  std::thread drain([&] { drained = running.server->drain(20); });
  seen += busy.receive_until("[DONE]");
  drain.join();
  EXPECT_TRUE(drained);
  EXPECT_EQ(sse_data(seen).back(), "[DONE]");
  EXPECT_THAT(seen, HasSubstr("length"));
  EXPECT_TRUE(idle.at_end());
  EXPECT_EQ(HttpClient(running.port()).get("/health").status, 0);
}

TEST(Connection, StoppingEndsEverything) {
  FakeEngineOptions options;
  options.step_time = std::chrono::milliseconds(1);
  options.max_model_len = 1 << 20;
  RunningServer running({}, options);
  HttpClient busy(running.port());
  busy.send(request_text("POST", "/v1/completions", R"({"prompt":"abc","max_tokens":1000000,"stream":true})", ""));
  busy.receive_until("data: ");
  running.server->stop();
  EXPECT_TRUE(busy.at_end());
}

TEST(Connection, TwoServersCannotShareAPort) {
  RunningServer running;
  ServerConfig config;
  config.port = running.port();
  auto second = Server::listen(config);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.status().message(), HasSubstr(std::to_string(running.port())));
}

} // namespace
} // namespace llmrt::server
