// The endpoints of other servers and of other APIs: their own field names, answers, streams and errors.
#include "runtime/server/testing/http_client.h"
#include "runtime/server/testing/running_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmrt::server {
namespace {

using ::testing::HasSubstr;
using namespace llmrt::testing;

struct Answer {
  int status;
  Json json;
};

Answer ask(const RunningServer &running, const std::string &path, const std::string &body) {
  HttpAnswer answer = HttpClient(running.port()).post(path, body);
  Json json = Json::parse(answer.body, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << answer.status << " " << answer.body;
  return {answer.status, std::move(json)};
}

struct Event {
  std::string name;
  Json data;
};

std::vector<Event> stream(const RunningServer &running, const std::string &path, const std::string &body) {
  HttpAnswer answer = HttpClient(running.port()).post(path, body);
  EXPECT_EQ(answer.headers["content-type"], "text/event-stream; charset=utf-8") << answer.body;
  std::vector<Event> out;
  std::string name;
  for (size_t at = 0; at < answer.body.size();) {
    size_t end = answer.body.find('\n', at);
    std::string line = answer.body.substr(at, end - at);
    at = end + 1;
    if (line.compare(0, 7, "event: ") == 0)
      name = line.substr(7);
    if (line.compare(0, 5, "data:") == 0)
      out.push_back({std::exchange(name, ""), Json::parse(line.substr(5))});
  }
  return out;
}

TEST(Responses, Answers) {
  RunningServer running;
  auto [status, json] = ask(running, "/v1/responses",
                            R"({"model":"fake","input":"hi","instructions":"be","max_output_tokens":9,)"
                            R"("metadata":{"a":"b"},"temperature":0})");
  ASSERT_EQ(status, 200) << json;
  EXPECT_EQ(json["object"], "response");
  EXPECT_EQ(json["status"], "incomplete");
  EXPECT_EQ(json["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(json["output"][0]["content"][0]["type"], "output_text");
  EXPECT_EQ(json["output"][0]["content"][0]["text"], "system: b"); // the fake model says its prompt
  EXPECT_EQ(json["usage"]["output_tokens"], 9);
  EXPECT_EQ(json["metadata"]["a"], "b");
  EXPECT_EQ(json["store"], false);
  auto items = ask(running, "/v1/responses",
                   R"({"input":[{"role":"developer","content":"d"},{"type":"message","role":"user","content":)"
                   R"([{"type":"input_text","text":"u"}]}],"max_output_tokens":19})");
  EXPECT_EQ(items.json["output"][0]["content"][0]["text"], "system: d;user: u;a");
}

TEST(Responses, StreamsOpenAisEvents) {
  RunningServer running;
  auto events = stream(running, "/v1/responses", R"({"input":"hi","max_output_tokens":4,"stream":true})");
  std::vector<std::string> names;
  std::string text;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(Json(events[i].name), events[i].data["type"]);
    EXPECT_EQ(events[i].data["sequence_number"], i);
    if (names.empty() || names.back() != events[i].name)
      names.push_back(events[i].name);
    if (events[i].name == "response.output_text.delta")
      text += events[i].data["delta"];
  }
  EXPECT_EQ(names, (std::vector<std::string>{"response.created", "response.in_progress", "response.output_item.added",
                                             "response.content_part.added", "response.output_text.delta",
                                             "response.output_text.done", "response.content_part.done",
                                             "response.output_item.done", "response.incomplete"}));
  EXPECT_EQ(text, "user");
  EXPECT_EQ(events.back().data["response"]["output"][0]["content"][0]["text"], "user");
}

TEST(Responses, RefusesWhatItDoesNotDo) {
  RunningServer running;
  for (const char *field : {R"("previous_response_id":"x")", R"("store":true)", R"("background":true)",
                            R"("tools":[{"type":"function"}])", R"("reasoning":{"effort":"low"})", R"("x":1)"}) {
    auto [status, json] = ask(running, "/v1/responses", std::string(R"({"input":"a",)") + field + "}");
    EXPECT_EQ(status, 400) << field;
    std::string name = field;
    EXPECT_EQ(json["error"]["param"], Json(name.substr(1, name.find('"', 1) - 1)));
  }
  EXPECT_EQ(ask(running, "/v1/responses", R"({"input":[{"type":"function_call_output"}]})").status, 400);
  EXPECT_EQ(ask(running, "/v1/responses", R"({"input":[[]]})").status, 400);
  EXPECT_EQ(ask(running, "/v1/responses", "{}").status, 400);
}

TEST(Messages, Answers) {
  RunningServer running;
  auto [status, json] = ask(running, "/v1/messages",
                            R"({"model":"fake","max_tokens":30,"system":[{"type":"text","text":"be"}],)"
                            R"("messages":[{"role":"user","content":"hi"}],"stop_sequences":["user"]})");
  ASSERT_EQ(status, 200) << json;
  EXPECT_EQ(json["type"], "message");
  EXPECT_EQ(json["content"][0]["text"], "system: be;");
  EXPECT_EQ(json["stop_reason"], "stop_sequence");
  EXPECT_EQ(json["stop_sequence"], "user");
  EXPECT_EQ(json["usage"]["output_tokens"], 15);
  EXPECT_EQ(json["usage"]["cache_read_input_tokens"].get<int>() + json["usage"]["input_tokens"].get<int>(), 31);
  auto counted = ask(running, "/v1/messages/count_tokens",
                     R"({"model":"fake","system":"be","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(counted.json["input_tokens"], 31);
}

TEST(Messages, StreamsAnthropicsEvents) {
  RunningServer running;
  auto events = stream(running, "/v1/messages",
                       R"({"max_tokens":4,"messages":[{"role":"user","content":"hi"}],"stream":true})");
  std::string names, text;
  for (const Event &event : events) {
    EXPECT_EQ(Json(event.name), event.data["type"]);
    if (event.name == "content_block_delta")
      text += event.data["delta"]["text"];
    else
      names += event.name + " ";
  }
  EXPECT_EQ(names, "message_start content_block_start content_block_stop message_delta message_stop ");
  EXPECT_EQ(text, "user");
  EXPECT_EQ(events[events.size() - 2].data["delta"]["stop_reason"], "max_tokens");
  EXPECT_EQ(events[events.size() - 2].data["usage"]["output_tokens"], 4);
}

TEST(Messages, ErrorsHaveAnthropicsShape) {
  RunningServer running;
  for (const char *body :
       {"{}", R"({"messages":[{"role":"user","content":"a"}]})", "not json",
        R"({"max_tokens":1,"messages":[{"role":"system","content":"a"}]})",
        R"({"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image"}]}]})",
        R"({"max_tokens":1,"tools":[{"name":"x"}],"messages":[{"role":"user","content":"a"}]})"}) {
    auto [status, json] = ask(running, "/v1/messages", body);
    EXPECT_EQ(status, 400) << body;
    EXPECT_EQ(json["type"], "error");
    EXPECT_EQ(json["error"]["type"], "invalid_request_error");
  }
  EXPECT_EQ(ask(running, "/v1/messages", R"({"model":"other"})").json["error"]["type"], "not_found_error");
}

TEST(LlamaCompletion, Answers) {
  RunningServer running;
  auto [status, json] = ask(running, "/completion",
                            R"({"prompt":["a",98],"n_predict":5,"repeat_penalty":1.1,"return_tokens":true,"n_probs":1})");
  ASSERT_EQ(status, 200) << json;
  EXPECT_EQ(json["content"], "aba"); // the begin token has no text
  EXPECT_EQ(json["tokens"].size(), 5u);
  EXPECT_EQ(json["stop"], true);
  EXPECT_EQ(json["stop_type"], "limit");
  EXPECT_EQ(json["tokens_predicted"], 5);
  EXPECT_EQ(json["tokens_evaluated"], 3);
  EXPECT_EQ(json["completion_probabilities"].size(), 5u);
  EXPECT_EQ(json["timings"]["predicted_n"], 5);
  json = ask(running, "/completion", R"({"prompt":"ab.c","stop":["."]})").json;
  EXPECT_EQ(json["content"], "ab");
  EXPECT_EQ(json["stop_type"], "word");
  EXPECT_EQ(json["stopping_word"], ".");
}

TEST(LlamaCompletion, Streams) {
  RunningServer running;
  auto events = stream(running, "/completion", R"({"prompt":"ab","n_predict":4,"stream":true})");
  ASSERT_EQ(events.size(), 5u);
  std::string text;
  for (const Event &event : events)
    text += event.data["content"];
  EXPECT_EQ(text, "ab");
  EXPECT_EQ(events[3].data["stop"], false);
  EXPECT_EQ(events[4].data["stop"], true);
  EXPECT_EQ(events[4].data["stop_type"], "limit");
  for (const char *field : {R"("repeat_last_n":64)", R"("grammar":"root ::= x")", R"("samplers":["top_k"])",
                            R"("logit_bias":[[1,"x"]])", R"("prompt_x":1)", R"("n_predict":-2)", R"("stop":[""])"})
    EXPECT_EQ(ask(running, "/completion", std::string(R"({"prompt":"a",)") + field + "}").status, 400) << field;
}

TEST(Generate, AnswersAndStreams) {
  RunningServer running;
  auto [status, json] = ask(running, "/generate",
                            R"({"inputs":"ab.","parameters":{"max_new_tokens":20,"stop":["."],"details":true,"seed":3,)"
                            R"("decoder_input_details":true,"top_n_tokens":1}})");
  ASSERT_EQ(status, 200) << json;
  EXPECT_EQ(json["generated_text"], "ab.");
  EXPECT_EQ(json["details"]["finish_reason"], "stop_sequence");
  EXPECT_EQ(json["details"]["generated_tokens"], 4);
  EXPECT_EQ(json["details"]["prefill"].size(), 3u);
  EXPECT_EQ(json["details"]["tokens"][1]["text"], "a");
  EXPECT_EQ(json["details"]["tokens"][0]["special"], true);
  EXPECT_EQ(json["details"]["seed"], 3);
  auto events = stream(running, "/generate_stream",
                       R"({"inputs":"ab","parameters":{"max_new_tokens":4,"return_full_text":true}})");
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[1].data["token"]["text"], "a");
  EXPECT_EQ(events[1].data["generated_text"], nullptr);
  EXPECT_EQ(events[3].data["generated_text"], "abab");
  EXPECT_EQ(events[3].data["details"]["finish_reason"], "length");
  auto wrong = ask(running, "/generate", R"({"inputs":"a","parameters":{"temperature":-1}})");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_EQ(wrong.json["error_type"], "validation");
  EXPECT_THAT(wrong.json["error"].get<std::string>(), HasSubstr("temperature"));
}

TEST(OpenApi, HasWhatTheReadersAskFor) {
  RunningServer running;
  Json json = Json::parse(HttpClient(running.port()).get("/openapi.json").body);
  EXPECT_EQ(json["openapi"], "3.1.0");
  auto fields = [&](const char *path) {
    return json["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"];
  };
  Json completions = fields("/v1/completions");
  EXPECT_EQ(completions["temperature"]["type"], Json::array({"number", "null"}));
  EXPECT_TRUE(json["paths"]["/v1/completions"]["post"]["responses"]["200"]["content"].contains("text/event-stream"));
  EXPECT_EQ(completions["n"]["maximum"], 128);
  EXPECT_TRUE(completions.contains("prompt") && completions.contains("echo"));
  EXPECT_FALSE(completions.contains("suffix"));
  EXPECT_TRUE(fields("/v1/chat/completions").contains("messages"));
  EXPECT_TRUE(fields("/v1/responses").contains("max_output_tokens"));
  EXPECT_EQ(fields("/v1/messages")["stop_sequences"]["anyOf"].size(), 2u);
  EXPECT_EQ(fields("/completion")["n_predict"]["minimum"], -1);
  EXPECT_TRUE(json["paths"].contains("/metrics"));
  EXPECT_FALSE(json["paths"].contains("/v1/audio/transcriptions")) << "what is not there is not described";
  // What is described is taken: a request with every field null, which is as if it were absent, fails only for what it
  // lacks.
  for (auto &[path, operations] : json["paths"].items()) {
    if (!operations.contains("post"))
      continue;
    Json body = Json::object(), known = fields(path.c_str());
    for (auto &[name, shape] : known.items())
      body[name] = nullptr;
    HttpAnswer answer = HttpClient(running.port()).post(path, body.dump());
    EXPECT_EQ(answer.body.find("is not a field"), std::string::npos) << path << answer.body;
  }
}

} // namespace
} // namespace llmrt::server
