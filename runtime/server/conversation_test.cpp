// Tools and thoughts over Anthropic's messages and OpenAI's responses: what the template is given, and how calls and
// thoughts come back, whole and streamed.
#include "runtime/server/conversation.h"
#include "runtime/server/testing/http_client.h"
#include "runtime/server/testing/running_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llmrt::server {
namespace {

using ::testing::HasSubstr;
using namespace llmrt::testing;

Json parsed(const std::string &text) { return Json::parse(text, nullptr, false); }

// ---- from the client ------------------------------------------------------------------------------------------------

TEST(Conversation, OfMessages) {
  const Json body = parsed(R"({"system":"be","tools":[{"name":"f","description":"d","input_schema":{"type":"object"},
    "cache_control":{"type":"ephemeral"}}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
    "messages":[{"role":"user","content":"hi"},
    {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"let me"},
      {"type":"tool_use","id":"t1","name":"f","input":{"a":1}},{"type":"tool_use","id":"t2","name":"f","input":{}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"1"}]},
      {"type":"tool_result","tool_use_id":"t2","content":"no","is_error":true},{"type":"text","text":"so?"}]}]})");
  FieldReader fields(body);
  Conversation turns = read_messages_conversation(fields);
  ASSERT_FALSE(fields.finish()) << fields.finish()->message;
  EXPECT_EQ(turns.messages, parsed(R"([{"role":"system","content":"be"},{"role":"user","content":"hi"},
    {"role":"assistant","content":"let me","tool_calls":[
      {"id":"t1","type":"function","function":{"name":"f","arguments":{"a":1}}},
      {"id":"t2","type":"function","function":{"name":"f","arguments":{}}}],"reasoning_content":"hm"},
    {"role":"tool","tool_call_id":"t1","content":"1"},{"role":"tool","tool_call_id":"t2","content":"Error: no"},
    {"role":"user","content":"so?"}])"));
  EXPECT_EQ(turns.tools, parsed(R"([{"type":"function","function":{"name":"f","description":"d",
    "parameters":{"type":"object"}}}])"));
  EXPECT_EQ(turns.tool_choice, parsed(R"({"type":"function","function":{"name":"f"}})"));
  EXPECT_FALSE(turns.parallel_calls);
}

TEST(Conversation, OfResponses) {
  const Json body = parsed(R"({"instructions":"be","tool_choice":{"type":"function","name":"f"},
    "tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true}],"parallel_tool_calls":false,
    "input":[{"role":"user","content":"hi"},
    {"type":"reasoning","id":"rs","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
    {"type":"message","role":"assistant","content":[{"type":"output_text","text":"let me"}]},
    {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
    {"type":"function_call","call_id":"c2","name":"f","arguments":"{}"},
    {"type":"function_call_output","call_id":"c1","output":"1"},
    {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"2"}]}]})");
  FieldReader fields(body);
  Conversation turns = read_responses_conversation(fields);
  ASSERT_FALSE(fields.finish()) << fields.finish()->message;
  EXPECT_EQ(turns.messages, parsed(R"([{"role":"system","content":"be"},{"role":"user","content":"hi"},
    {"role":"assistant","content":"let me","reasoning_content":"hm","tool_calls":[
      {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
      {"id":"c2","type":"function","function":{"name":"f","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"c1","content":"1"},{"role":"tool","tool_call_id":"c2","content":"2"}])"));
  EXPECT_EQ(turns.tools, parsed(R"([{"type":"function","function":{"name":"f","parameters":{"type":"object"},
    "strict":true}}])"));
  EXPECT_EQ(turns.tool_choice, parsed(R"({"type":"function","function":{"name":"f"}})"));
  EXPECT_FALSE(turns.parallel_calls);
}

// ---- to the client --------------------------------------------------------------------------------------------------

Json ask(const RunningServer &running, const std::string &path, const Json &body, int status = 200) {
  HttpAnswer answer = HttpClient(running.port()).post(path, dump_json(body));
  EXPECT_EQ(answer.status, status) << answer.body;
  return parsed(answer.body);
}

std::vector<Json> stream(const RunningServer &running, const std::string &path, Json body) {
  body["stream"] = true;
  HttpAnswer answer = HttpClient(running.port()).post(path, dump_json(body));
  std::vector<Json> out;
  for (size_t at = 0; (at = answer.body.find("data: {", at)) != std::string::npos; ++at)
    out.push_back(parsed(answer.body.substr(at + 6, answer.body.find('\n', at) - at - 6)));
  return out;
}

// Types of a stream's events, those that repeat once.
std::string types_of(const std::vector<Json> &events) {
  std::string out, last;
  for (const Json &event : events)
    if (std::string type = event["type"]; std::exchange(last, type) != type)
      out += type + " ";
  return out;
}

const char *kCall = R"(<tool_call>{"name":"weather","arguments":{"n":[1]}}</tool_call>)";
const Json kSchema = parsed(R"({"type":"object","properties":{"n":{"const":3}},"required":["n"]})");

ServerConfig hermes() {
  ServerConfig config;
  config.tool_call_parser = "hermes";
  return config;
}

Json messages_body(const std::string &text, const Json &more = Json::object()) {
  Json body{{"max_tokens", 80}, {"messages", {{{"role", "user"}, {"content", text}}}}};
  body["tools"] = Json::array({Json{{"name", "weather"}, {"input_schema", kSchema}}});
  body.update(more);
  return body;
}

Json responses_body(const std::string &text, const Json &more = Json::object()) {
  Json body{{"max_output_tokens", 80}, {"input", text}};
  body["tools"] = Json::array({Json{{"type", "function"}, {"name", "weather"}, {"parameters", kSchema}}});
  body.update(more);
  return body;
}

TEST(MessagesTools, CallsAreBlocks) {
  RunningServer running(hermes());
  Json json = ask(running, "/v1/messages", messages_body(kCall));
  ASSERT_EQ(json["content"].size(), 2u) << json;
  EXPECT_EQ(json["content"][0], parsed(R"({"type":"text","text":"user: "})"));
  EXPECT_EQ(json["content"][1]["type"], "tool_use");
  EXPECT_EQ(json["content"][1]["name"], "weather");
  EXPECT_EQ(json["content"][1]["input"], parsed(R"({"n":[1]})"));
  EXPECT_EQ(json["content"][1]["id"].get<std::string>().rfind("call_", 0), 0u);
  for (const char *choice : {R"({"type":"any"})", R"({"type":"tool","name":"weather"})"}) {
    json = ask(running, "/v1/messages", messages_body("x", {{"tool_choice", parsed(choice)}}));
    EXPECT_EQ(json["stop_reason"], "tool_use") << json;
    EXPECT_EQ(json["content"][0]["input"], parsed(R"({"n":3})"));
  }
  json = ask(running, "/v1/messages", messages_body(kCall, {{"tool_choice", {{"type", "none"}}}}));
  EXPECT_EQ(json["content"].size(), 1u) << json;
}

TEST(MessagesTools, StreamInputAsJson) {
  RunningServer running(hermes());
  std::vector<Json> events = stream(running, "/v1/messages", messages_body(kCall));
  EXPECT_EQ(types_of(events), "message_start content_block_start content_block_delta content_block_stop "
                              "content_block_start content_block_delta content_block_stop message_delta message_stop ");
  std::string input;
  for (const Json &event : events)
    if (event["type"] == "content_block_delta" && event["delta"]["type"] == "input_json_delta") {
      EXPECT_EQ(event["index"], 1);
      input += event["delta"]["partial_json"];
    }
  EXPECT_EQ(input, R"({"n":[1]})");
  Json cut = ask(running, "/v1/messages", messages_body(kCall, {{"max_tokens", 52}}));
  EXPECT_EQ(cut["stop_reason"], "max_tokens");
  EXPECT_TRUE(cut["content"][1]["input"].is_string()) << "what there is of a call that was cut off: " << cut;
}

TEST(MessagesTools, RefusesByName) {
  RunningServer running;
  for (const char *field : {R"({"tools":[{"type":"bash_20250124","name":"bash"}]})", R"({"tool_choice":{"type":"some"}})",
                            R"({"tools":[{"name":"a b","input_schema":{}}]})", R"({"tools":{}})",
                            R"({"tools":[],"tool_choice":{"type":"any"}})", R"({"thinking":{"type":"deep"}})",
                            R"({"thinking":{"type":"enabled","budget_tokens":1024}})"}) {
    Json json = ask(running, "/v1/messages", messages_body("x", parsed(field)), 400);
    std::string name = parsed(field).items().begin().key();
    EXPECT_THAT(json["error"]["message"].get<std::string>(), HasSubstr(name == "tools" ? "tool" : name)) << field;
  }
  for (const char *block : {R"({"type":"tool_result"})", R"({"type":"image"})", R"({"type":"tool_use","id":"a"})"}) {
    Json body{{"max_tokens", 1}, {"messages", {{{"role", "user"}, {"content", {parsed(block)}}}}}};
    ask(running, "/v1/messages", body, 400);
  }
}

TEST(MessagesThinking, IsABlockOfItsOwn) {
  ServerConfig config;
  config.reasoning_parser = "deepseek_r1";
  RunningServer running(config);
  Json body = messages_body("</think>b", {{"max_tokens", 16}});
  Json json = ask(running, "/v1/messages", body);
  ASSERT_EQ(json["content"].size(), 2u) << json;
  EXPECT_EQ(json["content"][0], parsed(R"({"type":"thinking","thinking":"user: ","signature":""})"));
  EXPECT_EQ(json["content"][1]["text"], "b;");
  std::vector<Json> events = stream(running, "/v1/messages", body);
  EXPECT_EQ(events[1]["content_block"]["type"], "thinking");
  EXPECT_EQ(events[2]["delta"]["type"], "thinking_delta");
  body["thinking"] = Json{{"type", "enabled"}, {"budget_tokens", 1024}};
  EXPECT_EQ(ask(running, "/v1/messages", body)["content"].size(), 2u);
  body["thinking"] = Json{{"type", "disabled"}};
  EXPECT_EQ(ask(running, "/v1/messages", body)["content"].size(), 1u);
}

TEST(ResponsesTools, CallsAreItems) {
  RunningServer running(hermes());
  Json json = ask(running, "/v1/responses", responses_body(kCall));
  ASSERT_EQ(json["output"].size(), 2u) << json;
  EXPECT_EQ(json["output"][0]["content"][0]["text"], "user: ");
  const Json &call = json["output"][1];
  EXPECT_EQ(call["type"], "function_call");
  EXPECT_EQ(call["name"], "weather");
  EXPECT_EQ(call["arguments"], R"({"n":[1]})");
  EXPECT_EQ(call["call_id"].get<std::string>().rfind("call_", 0), 0u);
  EXPECT_EQ(json["tools"][0]["name"], "weather");
  json = ask(running, "/v1/responses", responses_body("x", {{"tool_choice", "required"}}));
  EXPECT_EQ(json["status"], "completed") << json;
  EXPECT_EQ(parsed(json["output"][0]["arguments"]), parsed(R"({"n":3})"));
  EXPECT_EQ(json["tool_choice"], "required");
  json = ask(running, "/v1/responses", responses_body("x", {{"tool_choice", {{"type", "function"}, {"name", "no"}}}}), 400);
  EXPECT_EQ(json["error"]["param"], "tool_choice");
}

TEST(ResponsesTools, StreamArguments) {
  RunningServer running(hermes());
  std::vector<Json> events = stream(running, "/v1/responses", responses_body(kCall));
  EXPECT_EQ(types_of(events),
            "response.created response.in_progress response.output_item.added response.content_part.added "
            "response.output_text.delta response.output_text.done response.content_part.done response.output_item.done "
            "response.output_item.added response.function_call_arguments.delta response.function_call_arguments.done "
            "response.output_item.done response.incomplete ");
  std::string arguments;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["sequence_number"], i);
    if (events[i]["type"] == "response.function_call_arguments.delta") {
      EXPECT_EQ(events[i]["output_index"], 1);
      arguments += events[i]["delta"];
    }
  }
  EXPECT_EQ(arguments, R"({"n":[1]})");
  EXPECT_EQ(events.back()["response"]["output"][1]["arguments"], arguments);
}

TEST(ResponsesThinking, IsAnItemOfItsOwn) {
  ServerConfig config;
  config.reasoning_parser = "deepseek_r1";
  RunningServer running(config);
  Json body = responses_body("</think>b", {{"max_output_tokens", 16}});
  Json json = ask(running, "/v1/responses", body);
  ASSERT_EQ(json["output"].size(), 2u) << json;
  EXPECT_EQ(json["output"][0]["type"], "reasoning");
  EXPECT_EQ(json["output"][0]["content"][0], parsed(R"({"type":"reasoning_text","text":"user: "})"));
  EXPECT_EQ(json["output"][1]["content"][0]["text"], "b;");
  EXPECT_EQ(json["usage"]["output_tokens_details"]["reasoning_tokens"], 6);
  std::vector<Json> events = stream(running, "/v1/responses", body);
  EXPECT_THAT(types_of(events), HasSubstr("response.reasoning_text.delta response.reasoning_text.done"));
}

TEST(ResponsesThinking, EffortIsForTemplatesThatLookAtIt) {
  RunningServer running;
  Json body{{"input", "x"}, {"max_output_tokens", 1}, {"reasoning", {{"effort", "low"}}}};
  EXPECT_EQ(ask(running, "/v1/responses", body, 400)["error"]["param"], "reasoning");
  running.model->chat_template_source = "{{ reasoning_effort }}"; // what the fake template is said to be
  EXPECT_EQ(ask(running, "/v1/responses", body)["reasoning"]["effort"], "low");
  Json chat{{"messages", {{{"role", "user"}, {"content", "x"}}}}, {"max_tokens", 1}, {"reasoning_effort", "low"}};
  ask(running, "/v1/chat/completions", chat);
}

TEST(ResponsesText, KeepsToItsSchema) {
  RunningServer running;
  Json format{{"type", "json_schema"}, {"name", "w"}, {"schema", kSchema}, {"strict", true}};
  Json json = ask(running, "/v1/responses",
                  Json{{"input", "x"}, {"text", {{"format", format}}}, {"max_output_tokens", 60}});
  EXPECT_EQ(parsed(json["output"][0]["content"][0]["text"]), parsed(R"({"n":3})")) << json;
  EXPECT_EQ(json["text"]["format"], format);
}

} // namespace
} // namespace llmrt::server
