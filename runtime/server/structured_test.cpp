// Structured outputs, tool calls and thoughts over loopback. The engine says the prompt again as far as a grammar lets
// it, else the end, else the last byte of ASCII that may come.
#include "runtime/server/testing/http_client.h"
#include "runtime/server/testing/running_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmrt::server {
namespace {

using ::testing::HasSubstr;
using namespace llmrt::testing;

struct Answer {
  int status = 0;
  Json json;
};

Answer ask(RunningServer &running, const std::string &path, const Json &body) {
  HttpAnswer answer = HttpClient(running.port()).post(path, dump_json(body), "");
  return {answer.status, Json::parse(answer.body, nullptr, false)};
}

std::string text_of(RunningServer &running, const Json &fields, const std::string &prompt = "zz") {
  Json body{{"prompt", prompt}, {"max_tokens", 60}};
  body.update(fields);
  Answer answer = ask(running, "/v1/completions", body);
  EXPECT_EQ(answer.status, 200) << answer.json;
  return answer.status == 200 ? answer.json["choices"][0]["text"].get<std::string>() : "";
}

TEST(Structured, EveryFieldShapesTheText) {
  RunningServer running;
  Json schema{{"type", "object"}, {"properties", {{"a", {{"type", "integer"}, {"maximum", 7}, {"minimum", 7}}}}},
              {"required", {"a"}}};
  for (const Json &fields :
       {Json{{"guided_json", schema}}, Json{{"guided_json", schema.dump()}}, Json{{"json_schema", schema}},
        Json{{"structured_outputs", {{"json", schema}}}},
        Json{{"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"strict", true}, {"schema", schema}}}}}},
        Json{{"response_format", {{"type", "json_object"}, {"schema", schema}}}}})
    EXPECT_EQ(Json::parse(text_of(running, fields), nullptr, false), (Json{{"a", 7}})) << fields;
  for (const Json &fields : {Json{{"guided_regex", "[0-9]{3}"}}, Json{{"structured_outputs", {{"regex", "[0-9]{3}"}}}},
                             Json{{"guided_grammar", "root ::= [0-9]{3}"}}, Json{{"grammar", "root ::= [0-9]{3}"}},
                             Json{{"structured_outputs", {{"grammar", "start: /[0-9]/~3"}}}}})
    EXPECT_EQ(text_of(running, fields), "999") << fields;
  EXPECT_EQ(text_of(running, Json{{"guided_choice", {"no", "yes"}}}), "yes");
  EXPECT_EQ(text_of(running, Json{{"structured_outputs", {{"choice", {"no", "yes", "y"}}}}}), "y"); // it may end there
  Json all = ask(running, "/v1/completions", Json{{"prompt", "a"}, {"n", 2}, {"guided_regex", "b+c"}, {"max_tokens", 9}}).json;
  EXPECT_EQ(all["choices"][1]["finish_reason"], "stop");
  EXPECT_EQ(all["choices"][1]["text"], "bc");
}

TEST(Structured, OtherEndpoints) {
  RunningServer running;
  Answer answer = ask(running, "/completion", Json{{"prompt", "a"}, {"grammar", "root ::= \"xy\""}, {"n_predict", 9}});
  EXPECT_EQ(answer.json["content"], "xy") << answer.json;
  answer = ask(running, "/completion", Json{{"prompt", "a"}, {"json_schema", {{"const", 5}}}, {"n_predict", 9}});
  EXPECT_EQ(answer.json["content"], "5") << answer.json;
  answer = ask(running, "/generate", Json{{"inputs", "a"}, {"parameters", {{"grammar", {{"type", "regex"}, {"value", "q{4}"}}}}}});
  EXPECT_EQ(answer.json["generated_text"], "qqqq") << answer.json;
}

TEST(Structured, Responses) {
  RunningServer running;
  Json format{{"type", "json_schema"}, {"name", "x"}, {"strict", true}, {"schema", {{"const", {1, 2}}}}};
  Answer answer = ask(running, "/v1/responses", Json{{"input", "a"}, {"text", {{"format", format}}}});
  ASSERT_EQ(answer.status, 200) << answer.json;
  EXPECT_EQ(answer.json["output"][0]["content"][0]["text"], "[1,2]");
  format["type"] = "xml";
  EXPECT_EQ(ask(running, "/v1/responses", Json{{"input", "a"}, {"text", {{"format", format}}}}).status, 400);
}

TEST(Structured, RefusesByName) {
  RunningServer running;
  auto message = [&](const Json &fields) {
    Json body{{"prompt", "a"}};
    body.update(fields);
    Answer answer = ask(running, "/v1/completions", body);
    EXPECT_EQ(answer.status, 400) << fields;
    return answer.json.is_object() ? answer.json["error"]["message"].get<std::string>() : std::string();
  };
  EXPECT_THAT(message({{"guided_json", {{"properties", {{"a", {{"not", Json::object()}}}}}}}}),
              HasSubstr("guided_json: JSON schema, #/properties/a/not: the keyword not is not supported"));
  EXPECT_THAT(message({{"guided_json", "{"}}), HasSubstr("not valid JSON"));
  EXPECT_THAT(message({{"guided_regex", "a("}}), HasSubstr("guided_regex: regular expression, byte 2"));
  EXPECT_THAT(message({{"guided_grammar", "root ::= x"}}), HasSubstr("the rule x is used but not defined"));
  EXPECT_THAT(message({{"guided_choice", Json::array()}}), HasSubstr("guided_choice: must be a list"));
  EXPECT_THAT(message({{"guided_regex", "a"}, {"guided_choice", {"b"}}}), HasSubstr("both say"));
  EXPECT_THAT(message({{"response_format", {{"type", "structural_tag"}}}}), HasSubstr("type must be text"));
  EXPECT_THAT(message({{"structured_outputs", {{"structural_tag", "x"}}}}), HasSubstr("structural_tag"));
  EXPECT_THAT(message({{"guided_regex", "a"}, {"use_beam_search", true}, {"n", 2}}), HasSubstr("use_beam_search"));
  EXPECT_THAT(message({{"json_schema", {{"type", "strin"}}}}), HasSubstr("#/type"));
}

Json weather() {
  return Json{{"type", "function"},
              {"function",
               {{"name", "weather"},
                {"parameters", {{"type", "object"}, {"properties", {{"n", {{"const", 3}}}}}, {"required", {"n"}}}}}}};
}

Json chat(const std::string &text, const Json &fields) {
  Json body{{"messages", Json::array({Json{{"role", "user"}, {"content", text}}})}, {"max_tokens", 120}};
  body.update(fields);
  return body;
}

TEST(Tools, ForcedCalls) {
  for (const char *parser : {"hermes", "llama3_json", "mistral", "json"}) {
    ServerConfig config;
    config.tool_call_parser = parser;
    RunningServer running(config);
    for (const Json &choice : {Json("required"), Json{{"type", "function"}, {"function", {{"name", "weather"}}}}}) {
      Answer answer = ask(running, "/v1/chat/completions",
                          chat("x", {{"tools", {weather()}}, {"tool_choice", choice}, {"parallel_tool_calls", false}}));
      ASSERT_EQ(answer.status, 200) << answer.json;
      const Json &one = answer.json["choices"][0];
      EXPECT_EQ(one["finish_reason"], choice == "required" ? "tool_calls" : "stop") << one;
      EXPECT_EQ(one["message"]["content"], nullptr) << one;
      ASSERT_EQ(one["message"]["tool_calls"].size(), 1u) << parser << one;
      EXPECT_EQ(one["message"]["tool_calls"][0]["function"]["name"], "weather");
      EXPECT_EQ(Json::parse(one["message"]["tool_calls"][0]["function"]["arguments"].get<std::string>(), nullptr, false),
                (Json{{"n", 3}}));
    }
  }
}

TEST(Tools, Refusals) {
  RunningServer running;
  auto message = [&](const Json &fields) {
    Answer answer = ask(running, "/v1/chat/completions", chat("x", fields));
    EXPECT_EQ(answer.status, 400) << fields;
    return answer.json.is_object() ? answer.json["error"]["message"].get<std::string>() : std::string();
  };
  Json other = weather();
  other["function"]["parameters"]["not"] = Json::object();
  EXPECT_THAT(message({{"tools", {other}}, {"tool_choice", "required"}}), HasSubstr("weather: JSON schema, #/not"));
  EXPECT_THAT(message({{"tool_choice", "required"}}), HasSubstr("needs tools"));
  EXPECT_THAT(message({{"tools", {weather()}}, {"tool_choice", "maybe"}}), HasSubstr("tool_choice"));
  EXPECT_THAT(message({{"tools", {weather()}}, {"tool_choice", {{"type", "function"}, {"function", {{"name", "no"}}}}}}),
              HasSubstr("names the function no"));
  EXPECT_THAT(message({{"tools", {Json{{"type", "web"}}}}}), HasSubstr("tools"));
  EXPECT_THAT(message({{"tools", {weather()}}, {"tool_choice", "required"}, {"guided_regex", "a"}}), HasSubstr("together"));
}

// The text of a chunk's choice, and its calls put together.
struct Streamed {
  std::string content, reasoning, name, id, arguments, finish;
};

Streamed streamed(RunningServer &running, Json body) {
  body["stream"] = true;
  HttpAnswer answer = HttpClient(running.port()).post("/v1/chat/completions", dump_json(body), "");
  Streamed out;
  size_t at = 0;
  while ((at = answer.body.find("data: {", at)) != std::string::npos) {
    size_t end = answer.body.find('\n', at);
    Json event = Json::parse(answer.body.substr(at + 6, end - at - 6), nullptr, false);
    at = end;
    for (const Json &choice : event["choices"]) {
      const Json &delta = choice["delta"];
      out.content += delta.value("content", "");
      out.reasoning += delta.value("reasoning_content", "");
      for (const Json &call : delta.value("tool_calls", Json::array())) {
        out.id += call.value("id", "");
        out.name += call["function"].value("name", "");
        out.arguments += call["function"].value("arguments", "");
      }
      if (choice["finish_reason"].is_string())
        out.finish = choice["finish_reason"];
    }
  }
  return out;
}

TEST(Tools, StreamsCallsThatTheModelMakes) {
  ServerConfig config;
  config.tool_call_parser = "hermes";
  RunningServer running(config);
  Json body = chat("<tool_call>{\"name\":\"weather\",\"arguments\":{\"n\":[1]}}</tool_call>", {{"tools", {weather()}}});
  body["max_tokens"] = 80; // once through the prompt
  Streamed out = streamed(running, body);
  EXPECT_EQ(out.content, "user: ");
  EXPECT_EQ(out.name, "weather");
  EXPECT_EQ(out.arguments, "{\"n\":[1]}");
  EXPECT_EQ(out.id.rfind("call_", 0), 0u);
  Streamed none = streamed(running, chat("hello", {{"tools", {weather()}}, {"max_tokens", 10}}));
  EXPECT_EQ(none.content, "user: hell");
  EXPECT_EQ(none.id, "");
}

TEST(Reasoning, IsSplitOff) {
  ServerConfig config;
  config.reasoning_parser = "deepseek_r1";
  RunningServer running(config);
  Json body = chat("</think>b", {{"max_tokens", 22}});
  Streamed out = streamed(running, body);
  EXPECT_EQ(out.reasoning, "user: ");
  EXPECT_EQ(out.content.substr(0, 2), "b;");
  Answer answer = ask(running, "/v1/chat/completions", body);
  EXPECT_EQ(answer.json["choices"][0]["message"]["reasoning_content"], "user: ");
  body["include_reasoning"] = false;
  EXPECT_FALSE(ask(running, "/v1/chat/completions", body).json["choices"][0]["message"].contains("reasoning_content"));
  body = chat("</think>b", {{"max_tokens", 60}, {"guided_regex", "[0-9]{2}"}}); // the grammar starts behind the thoughts
  EXPECT_EQ(ask(running, "/v1/chat/completions", body).json["choices"][0]["message"]["content"], "99");
}

} // namespace
} // namespace llmrt::server
