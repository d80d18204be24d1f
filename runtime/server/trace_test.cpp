#include "runtime/server/asio.h"
#include "runtime/server/testing/http_client.h"
#include "runtime/server/testing/running_server.h"
#include "runtime/server/trace_exporter.h"

#include <gtest/gtest.h>

#include <map>

namespace llmrt::server {
namespace {

using namespace llmrt::testing;

TEST(Trace, ReadsTraceparent) {
  const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_EQ(parse_traceparent(good).trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(parse_traceparent(good).parent_id, "00f067aa0ba902b7");
  for (const char *bad : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e473X-00f067aa0ba902b7-01",
                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                          "00+4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    EXPECT_EQ(parse_traceparent(bad).trace_id, "") << bad;
}

TEST(Trace, RefusesWhatIsNoEndpoint) {
  for (const char *bad : {"", "localhost:4318", "grpc://a:1", "http://", "http://a:0", "http://a:x", "http://a b:1"})
    EXPECT_FALSE(TraceExporter::start(bad).ok()) << bad;
}

// Takes one export, as a collector does.
std::string collect(asio::ip::tcp::acceptor &acceptor) {
  asio::ip::tcp::socket socket(acceptor.get_executor());
  acceptor.accept(socket);
  std::string text;
  char bytes[4096];
  for (;;) {
    size_t head = text.find("\r\n\r\n"), length = text.find("Content-Length: ");
    if (head != text.npos && text.size() >= head + 4 + size_t(std::atoi(text.c_str() + length + 16)))
      break;
    ErrorCode error;
    size_t count = socket.read_some(asio::buffer(bytes), error);
    if (error)
      return {};
    text.append(bytes, count);
  }
  ErrorCode ignored;
  socket.write_some(asio::buffer(std::string("HTTP/1.1 200 OK\r\n\r\n")), ignored);
  EXPECT_EQ(text.compare(0, 21, "POST /v1/traces HTTP/"), 0) << text;
  return text.substr(text.find("\r\n\r\n") + 4);
}

TEST(Trace, ASpanForEachGeneration) {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  ServerConfig config;
  config.otlp_traces_endpoint = "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  auto running = std::make_unique<RunningServer>(config);
  HttpClient(running->port())
      .post("/v1/completions", R"({"prompt":"abc","max_tokens":3,"temperature":0.5,"n":2})",
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nX-Request-Id: r-1\r\n");
  Json body = Json::parse(collect(acceptor), nullptr, false);
  ASSERT_FALSE(body.is_discarded());
  const Json &span = body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
  EXPECT_EQ(span["name"], "llm_request");
  EXPECT_EQ(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(span["parentSpanId"], "00f067aa0ba902b7");
  EXPECT_EQ(span["status"]["code"], 1);
  std::map<std::string, Json> attributes;
  for (const Json &one : span["attributes"])
    attributes[one["key"]] = one["value"];
  EXPECT_EQ(attributes["gen_ai.request.id"]["stringValue"], "r-1");
  EXPECT_EQ(attributes["gen_ai.request.n"]["intValue"], "2");
  EXPECT_EQ(attributes["gen_ai.usage.completion_tokens"]["intValue"], "6");
  EXPECT_EQ(attributes["gen_ai.request.temperature"]["doubleValue"], 0.5);
  EXPECT_TRUE(attributes.count("gen_ai.latency.time_to_first_token"));
  EXPECT_TRUE(attributes.count("gen_ai.latency.e2e"));
}

} // namespace
} // namespace llmrt::server
