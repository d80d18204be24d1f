// The endpoints over loopback, with an engine that answers a prompt's own bytes.
#include "runtime/server/testing/http_client.h"
#include "runtime/server/testing/running_server.h"

#include <cstdio>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace llmrt::server {
namespace {

using ::testing::HasSubstr;
using namespace llmrt::testing;

Json json_of(const HttpAnswer &answer) {
  Json out = Json::parse(answer.body, nullptr, false);
  EXPECT_FALSE(out.is_discarded()) << answer.status << " " << answer.body;
  return out;
}

HttpAnswer post(int port, const std::string &path, const std::string &body, const std::string &headers = "") {
  return HttpClient(port).post(path, body, headers);
}

TEST(Server, SaysLoadingUntilReady) {
  RunningServer running({}, {}, false);
  HttpClient client(running.port());
  HttpAnswer health = client.get("/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(health.body, R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})");
  EXPECT_EQ(client.get("/v1/models").status, 503);
  EXPECT_EQ(client.get("/metrics").status, 200);
  running.server->set_model(*running.model);
  EXPECT_EQ(client.get("/health").status, 200);
  EXPECT_EQ(client.get("/ping").status, 200);
}

TEST(Server, ListsItsModel) {
  RunningServer running;
  Json json = json_of(HttpClient(running.port()).get("/v1/models"));
  EXPECT_EQ(json["object"], "list");
  EXPECT_EQ(json["data"][0]["id"], "fake");
  EXPECT_EQ(json["data"][0]["max_model_len"], 256);
}

TEST(Server, CompletesText) {
  RunningServer running;
  HttpAnswer answer = post(running.port(), "/v1/completions",
                           R"({"model":"fake","prompt":"abc","max_tokens":5,"temperature":0})", "X-Request-Id: r-1\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers["x-request-id"], "r-1");
  Json json = json_of(answer);
  EXPECT_EQ(json["object"], "text_completion");
  EXPECT_EQ(json["id"], "cmpl-r-1");
  EXPECT_EQ(json["system_fingerprint"], "0123456789abcdef");
  // The prompt is the begin token and three bytes; the begin token has no text.
  EXPECT_EQ(json["choices"][0]["text"], "abc");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(json["usage"]["completion_tokens"], 5);
  EXPECT_EQ(json["usage"]["total_tokens"], 9);
  EXPECT_EQ(json["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
}

TEST(Server, TakesEveryFormOfPrompt) {
  RunningServer running;
  auto texts = [&](const std::string &prompt) {
    Json json = json_of(post(running.port(), "/v1/completions",
                             R"({"max_tokens":2,"add_special_tokens":false,"prompt":)" + prompt + "}"));
    std::string out;
    for (const auto &choice : json["choices"])
      out += choice["text"].get<std::string>() + "|";
    return out;
  };
  EXPECT_EQ(texts(R"("ab")"), "ab|");
  EXPECT_EQ(texts(R"(["ab","cd"])"), "ab|cd|");
  EXPECT_EQ(texts("[97,98]"), "ab|");
  EXPECT_EQ(texts("[[97,98],[99,100]]"), "ab|cd|");
  for (const char *bad : {"5", "{}", "[]", "[[]]", R"([97,"a"])", R"(["a",97])", "[1.5]", "[99999]", "[-1]", "null",
                          R"([["a"]])"})
    EXPECT_EQ(post(running.port(), "/v1/completions", std::string(R"({"prompt":)") + bad + "}").status, 400) << bad;
}

TEST(Server, StreamsAndSaysUsage) {
  RunningServer running;
  HttpAnswer answer = post(running.port(), "/v1/completions",
                           R"({"prompt":"xyz","max_tokens":4,"stream":true,"add_special_tokens":false,)"
                           R"("stream_options":{"include_usage":true}})");
  EXPECT_EQ(answer.headers["content-type"], "text/event-stream; charset=utf-8");
  std::vector<std::string> events = sse_data(answer.body);
  ASSERT_EQ(events.size(), 6u) << answer.body;
  std::string text;
  for (size_t i = 0; i < 4; ++i) {
    Json json = Json::parse(events[i]);
    text += json["choices"][0]["text"].get<std::string>();
    EXPECT_EQ(json["choices"][0]["finish_reason"], i == 3 ? Json("length") : Json(nullptr));
    EXPECT_EQ(json["usage"], nullptr);
  }
  EXPECT_EQ(text, "xyzx");
  Json usage = Json::parse(events[4]);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["completion_tokens"], 4);
  EXPECT_EQ(events[5], "[DONE]");
}

TEST(Server, AStreamOfCompletionsHasAnEventForEachToken) {
  RunningServer running;
  HttpAnswer answer = post(running.port(), "/v1/completions", R"({"prompt":"abc","max_tokens":5,"stream":true})");
  std::vector<std::string> texts;
  for (const std::string &event : sse_data(answer.body))
    if (event != "[DONE]")
      texts.push_back(Json::parse(event)["choices"][0]["text"]);
  // The prompt comes back, of which the begin token has no text.
  EXPECT_EQ(texts, (std::vector<std::string>{"", "a", "b", "c", ""}));
}

TEST(Server, StopsAtStringsAndIds) {
  RunningServer running;
  Json json = json_of(post(running.port(), "/v1/completions",
                           R"({"prompt":"one stop two","max_tokens":50,"stop":["stop"]})"));
  EXPECT_EQ(json["choices"][0]["text"], "one ");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["choices"][0]["stop_reason"], "stop");
  json = json_of(post(running.port(), "/v1/completions",
                      R"({"prompt":"ab!cd","max_tokens":50,"stop_token_ids":[33]})"));
  EXPECT_EQ(json["choices"][0]["text"], "ab");
  EXPECT_EQ(json["choices"][0]["stop_reason"], 33);
  json = json_of(post(running.port(), "/v1/completions",
                      R"({"prompt":"ab!cd","max_tokens":50,"stop":"!","include_stop_str_in_output":true})"));
  EXPECT_EQ(json["choices"][0]["text"], "ab!");
}

TEST(Server, SeveralChoicesAndEcho) {
  RunningServer running;
  Json json = json_of(post(running.port(), "/v1/completions",
                           R"({"prompt":["ab","cd"],"n":2,"max_tokens":3,"echo":true,"add_special_tokens":false})"));
  ASSERT_EQ(json["choices"].size(), 4u);
  const char *expected[] = {"ababa", "ababa", "cdcdc", "cdcdc"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(json["choices"][i]["index"], i);
    EXPECT_EQ(json["choices"][i]["text"], expected[i]);
  }
  EXPECT_EQ(json["usage"]["prompt_tokens"], 4);
  EXPECT_EQ(json["usage"]["completion_tokens"], 12);
}

TEST(Server, Logprobs) {
  RunningServer running;
  Json json = json_of(post(running.port(), "/v1/completions",
                           R"({"prompt":"hé","max_tokens":3,"logprobs":2,"add_special_tokens":false})"));
  const Json &logprobs = json["choices"][0]["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), 3u);
  EXPECT_EQ(logprobs["tokens"][0], "h");
  EXPECT_EQ(logprobs["token_logprobs"][0], -0.5);
  EXPECT_EQ(logprobs["top_logprobs"][0].size(), 2u);
  EXPECT_EQ(logprobs["text_offset"], Json::parse("[0,1,4]"));
  json = json_of(post(running.port(), "/v1/chat/completions",
                      R"({"messages":[{"role":"user","content":"x"}],"max_tokens":2,"logprobs":true,"top_logprobs":1})"));
  const Json &content = json["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 2u);
  EXPECT_EQ(content[0]["token"], "u");
  EXPECT_EQ(content[0]["bytes"], Json::parse("[117]"));
  EXPECT_EQ(content[0]["top_logprobs"].size(), 1u);
}

TEST(Server, EchoWithLogprobsShowsThePromptsToo) {
  RunningServer running;
  const std::string fields = R"("prompt":"ab","n":2,"max_tokens":2,"logprobs":1,"echo":true,"add_special_tokens":false)";
  Json json = json_of(post(running.port(), "/v1/completions", "{" + fields + "}"));
  for (int i : {0, 1}) {
    const Json &choice = json["choices"][i];
    EXPECT_EQ(choice["text"], "abab");
    EXPECT_EQ(choice["logprobs"]["tokens"], Json::parse(R"(["a","b","a","b"])"));
    EXPECT_EQ(choice["logprobs"]["token_logprobs"][0], nullptr);
    EXPECT_EQ(choice["logprobs"]["token_logprobs"][1], -1.0);
    EXPECT_EQ(choice["logprobs"]["top_logprobs"][1], Json::parse(R"({"Z":-0.25,"b":-1.0})"));
    EXPECT_EQ(choice["logprobs"]["text_offset"], Json::parse("[0,1,2,3]"));
  }
  std::vector<std::string> events =
      sse_data(post(running.port(), "/v1/completions", "{" + fields + R"(,"stream":true})").body);
  ASSERT_EQ(events.size(), 5u); // two for each choice, [DONE]
  json = Json::parse(events[0]);
  EXPECT_EQ(json["choices"][0]["text"], "aba");
  EXPECT_EQ(json["choices"][0]["logprobs"]["tokens"], Json::parse(R"(["a","b","a"])"));
}

TEST(Server, PromptLogprobs) {
  RunningServer running;
  const char *rest = R"("prompt_logprobs":1,"max_tokens":1,"n":2,"add_special_tokens":false)";
  Json json = json_of(post(running.port(), "/v1/completions", std::string(R"({"prompt":"ab",)") + rest + "}"));
  EXPECT_EQ(json["choices"][1]["prompt_logprobs"],
            Json::parse(R"([null,{"98":{"logprob":-1.0,"rank":2,"decoded_token":"b"},)"
                        R"("90":{"logprob":-0.25,"rank":1,"decoded_token":"Z"}}])"));
  json = json_of(post(running.port(), "/v1/chat/completions",
                      std::string(R"({"messages":[{"role":"user","content":"a"}],)") + rest + "}"));
  EXPECT_EQ(json["prompt_logprobs"].size(), std::string("user: a;assistant: ").size());
}

TEST(Server, BestOfGivesThoseWithTheBestMeanLogprob) {
  RunningServer running;
  Json json = json_of(post(running.port(), "/v1/completions",
                           R"({"prompt":["ab","cd"],"n":2,"best_of":4,"max_tokens":2,"logprobs":0,)"
                           R"("add_special_tokens":false})"));
  ASSERT_EQ(json["choices"].size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(json["choices"][i]["index"], i);
    EXPECT_EQ(json["choices"][i]["text"], i < 2 ? "ab" : "cd");
    EXPECT_EQ(json["choices"][i]["logprobs"]["token_logprobs"][0], i % 2 ? -0.5f / 3 : -0.5f / 4);
  }
  EXPECT_EQ(json["usage"]["completion_tokens"], 2 * 4 * 2) << "all that were made count";
  json = json_of(post(running.port(), "/v1/completions", R"({"prompt":"a","n":1,"best_of":3,"max_tokens":1})"));
  EXPECT_EQ(json["choices"].size(), 1u);
  EXPECT_EQ(json["choices"][0]["logprobs"], nullptr);
}

TEST(Server, BeamSearchAsksTheEngineForItsBest) {
  RunningServer running;
  Json json = json_of(post(running.port(), "/v1/completions",
                           R"({"prompt":["ab","cd"],"n":2,"best_of":4,"max_tokens":2,"use_beam_search":true,)"
                           R"("length_penalty":0.5,"add_special_tokens":false})"));
  ASSERT_EQ(json["choices"].size(), 4u);
  EXPECT_EQ(json["choices"][3]["index"], 3);
  EXPECT_EQ(json["choices"][3]["text"], "cd");
}

TEST(Server, Chats) {
  RunningServer running;
  Json json = json_of(post(running.port(), "/v1/chat/completions",
                           R"({"messages":[{"role":"user","content":"hi"}],"max_completion_tokens":9})"));
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["choices"][0]["message"]["role"], "assistant");
  EXPECT_EQ(json["choices"][0]["message"]["content"], "user: hi;");
  json = json_of(post(running.port(), "/v1/chat/completions",
                      R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],)"
                      R"("max_tokens":9})"));
  EXPECT_EQ(json["choices"][0]["message"]["content"], "user: a\nb");
}

TEST(Server, StreamsChat) {
  RunningServer running;
  HttpAnswer answer = post(running.port(), "/v1/chat/completions",
                           R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":4,"stream":true})");
  std::vector<std::string> events = sse_data(answer.body);
  ASSERT_EQ(events.size(), 6u);
  Json first = Json::parse(events[0]);
  EXPECT_EQ(first["object"], "chat.completion.chunk");
  EXPECT_EQ(first["choices"][0]["delta"]["role"], "assistant");
  std::string text;
  for (size_t i = 1; i + 1 < events.size(); ++i)
    text += Json::parse(events[i])["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(text, "user");
  EXPECT_EQ(events.back(), "[DONE]");
}

TEST(Server, ChatTemplateOptions) {
  RunningServer running;
  auto prompt = [&](const std::string &rest) {
    HttpAnswer answer =
        post(running.port(), "/apply-template", R"({"messages":[{"role":"user","content":"hi"})" + rest + "}");
    return answer.status == 200 ? json_of(answer)["prompt"].get<std::string>() : std::to_string(answer.status);
  };
  EXPECT_EQ(prompt("]"), "user: hi;assistant: ");
  EXPECT_EQ(prompt(R"(],"add_generation_prompt":false)"), "user: hi;");
  EXPECT_EQ(prompt(R"(],"chat_template_kwargs":{"extra":"+"})"), "user: hi;+assistant: ");
  EXPECT_EQ(prompt(R"(,{"role":"assistant","content":"so "}],"continue_final_message":true)"),
            "user: hi;assistant: so ");
  EXPECT_EQ(prompt(R"(,{"role":"error","content":"x"}])"), "400");
  EXPECT_EQ(prompt(R"(,{"role":"user"}])"), "400");
  EXPECT_EQ(prompt(R"(,{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])"), "400");
}

TEST(Server, WithoutATemplateChatSaysWhatToDo) {
  RunningServer running;
  running.model->chat_template.reset();
  HttpAnswer answer =
      post(running.port(), "/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("--chat-template"));
}

TEST(Server, TokenizesAndBack) {
  RunningServer running;
  Json json = json_of(post(running.port(), "/tokenize", R"({"model":"fake","prompt":"ab","return_token_strs":true})"));
  EXPECT_EQ(json["tokens"], Json::parse("[256,97,98]"));
  EXPECT_EQ(json["count"], 3);
  EXPECT_EQ(json["max_model_len"], 256);
  EXPECT_EQ(json["token_strs"][1], "a");
  json = json_of(post(running.port(), "/tokenize", R"({"content":"ab","add_special":false,"with_pieces":true})"));
  EXPECT_EQ(json["tokens"][0]["piece"], "a");
  json = json_of(post(running.port(), "/tokenize", R"({"messages":[{"role":"user","content":"a"}]})"));
  EXPECT_EQ(json["count"], 19);
  json = json_of(post(running.port(), "/detokenize", R"({"tokens":[97,98]})"));
  EXPECT_EQ(json["prompt"], "ab");
  EXPECT_EQ(json["content"], "ab");
  EXPECT_EQ(post(running.port(), "/detokenize", R"({"tokens":[97,9999]})").status, 400);
}

TEST(Server, RefusesWhatWouldChangeTheOutput) {
  RunningServer running;
  for (const char *field :
       {R"("typo_temperature":1)", R"("temperature":"hot")", R"("temperature":-1)", R"("top_p":0)", R"("top_k":-2)",
        R"("n":0)", R"("best_of":129)", R"("length_penalty":2)", R"("response_format":{"type":"xml"})",
        R"("structured_outputs":{"regex":"[a"})", R"("suffix":"x")", R"("logit_bias":{"x":1})",
        R"("logit_bias":{"97":"x"})", R"("stop":[""])", R"("stop":5)", R"("stop_token_ids":["a"])",
        R"("stream_options":{"include_usage":true})", R"("logprobs":true)", R"("logprobs":21)", R"("seed":1.5)",
        R"("stream":"yes")", R"("prompt_logprobs":21)", R"("max_tokens":-1)", R"("min_p":2)", R"("priority":"high")",
        R"("cache_salt":1)", R"("mirostat":3)", R"("typical_p":0)", R"("dry_base":0.5)", R"("xtc_threshold":-1)",
        R"("dry_sequence_breakers":5)", R"("top_p":0.5,"use_beam_search":true)",
        R"("best_of":2,"n":3)", R"("best_of":3,"stream":true)", R"("prompt_logprobs":1,"stream":true)"}) {
    HttpAnswer answer = post(running.port(), "/v1/completions", std::string(R"({"prompt":"a",)") + field + "}");
    EXPECT_EQ(answer.status, 400) << field << answer.body;
    std::string name = field;
    name = name.substr(1, name.find('"', 1) - 1);
    EXPECT_EQ(json_of(answer)["error"]["param"], name) << answer.body;
  }
  for (const char *field : {R"("tools":[{"type":"function"}])", R"("tool_choice":"required")", R"("top_logprobs":1)",
                            R"("reasoning_effort":"high")", R"("functions":[])"})
    EXPECT_EQ(post(running.port(), "/v1/chat/completions",
                   std::string(R"({"messages":[{"role":"user","content":"a"}],)") + field + "}").status,
              400)
        << field;
}

TEST(Server, TakesWhatDoesNot) {
  RunningServer running;
  HttpAnswer answer =
      post(running.port(), "/v1/completions",
           R"({"prompt":"a","user":"me","n":1,"best_of":1,"use_beam_search":false,"stop":null,"suffix":null,"seed":-1,)"
           R"("response_format":{"type":"text"},"logit_bias":{"97":1.5},"top_k":5,"min_p":0.1,"priority":3,)"
           R"("frequency_penalty":0.5,"presence_penalty":-0.5,"repetition_penalty":1.1,"min_tokens":1,)"
           R"("ignore_eos":true,"cache_salt":"s","max_tokens":2,"typical_p":0.9,"dry_multiplier":0.8,"dry_base":1.5,)"
           R"("dry_sequence_breakers":["\n"],"xtc_probability":0.2,"xtc_threshold":0.1,"mirostat":2})");
  EXPECT_EQ(answer.status, 200) << answer.body;
}

TEST(Server, KnowsItsPathsAndMethods) {
  RunningServer running;
  HttpClient client(running.port());
  for (const char *path : {"/v1/audio/transcriptions",
                           "/v1/load_lora_adapter", "/v1/unload_lora_adapter"}) {
    HttpAnswer answer = client.post(path, "{}");
    EXPECT_EQ(answer.status, 501) << path;
    EXPECT_THAT(answer.body, HasSubstr(path));
  }
  EXPECT_EQ(client.get("/nothing").status, 404);
  HttpAnswer wrong = client.get("/v1/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers["allow"], "POST");
  EXPECT_EQ(client.get("/version?x=1").status, 200);
  client.send("HEAD /version HTTP/1.1\r\n\r\n");
  EXPECT_THAT(client.receive_until("\r\n\r\n"), HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_EQ(client.post("/v1/completions", R"({"model":"other","prompt":"a"})").status, 404);
  EXPECT_EQ(json_of(client.get("/load"))["server_load"], 0);
}

TEST(Server, HasAPageThatLoadsNothingFromElsewhere) {
  ServerConfig config;
  config.api_keys = {"secret"};
  RunningServer running(config);
  HttpClient client(running.port());
  HttpAnswer page = client.get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers["content-type"], "text/html; charset=utf-8");
  EXPECT_THAT(page.headers["content-security-policy"], HasSubstr("default-src 'none'; script-src 'self'"));
  for (const char *elsewhere : {"href=\"http", "src=\"http", "href=\"//", "src=\"//"})
    EXPECT_EQ(page.body.find(elsewhere), page.body.npos);
  EXPECT_EQ(page.body.find("style="), page.body.npos) << "the policy forbids it";
  std::string script = client.get("/page.js").body;
  for (const char *path : {"page.css", "page.js", "markdown.js", "server.js"}) {
    EXPECT_THAT(page.body + script, HasSubstr(path));
    EXPECT_EQ(client.get(std::string("/") + path).status, 200);
  }
  EXPECT_EQ(page.body.find("<script>"), page.body.npos) << "the policy forbids it";
}

TEST(Server, KeepsAnAccessLog) {
  std::string path = ::testing::TempDir() + "access.log";
  std::remove(path.c_str());
  ServerConfig config;
  config.access_log = path;
  RunningServer running(config);
  HttpClient client(running.port());
  client.post("/v1/completions", R"({"prompt":"ab","max_tokens":2})", "X-Request-Id: r-7\r\n");
  client.get("/nothing?secret=1");
  std::vector<std::string> lines;
  for (int i = 0; i < 500 && lines.size() < 2; ++i) { // an answer may come before its line
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::ifstream file(path);
    lines.clear();
    for (std::string line; std::getline(file, line);)
      lines.push_back(line);
  }
  ASSERT_EQ(lines.size(), 2u);
  Json first = Json::parse(lines[0]);
  EXPECT_EQ(first["method"], "POST");
  EXPECT_EQ(first["path"], "/v1/completions");
  EXPECT_EQ(first["status"], 200);
  EXPECT_EQ(first["request_id"], "r-7");
  EXPECT_GT(first["bytes"], 100);
  EXPECT_EQ(Json::parse(lines[1])["path"], "/nothing");
}

TEST(Server, WantsItsKey) {
  ServerConfig config;
  config.api_keys = {"secret", "second"};
  RunningServer running(config);
  HttpClient client(running.port());
  EXPECT_EQ(client.get("/v1/models").status, 401);
  EXPECT_EQ(client.get("/v1/models", "Authorization: Bearer wrong\r\n").status, 401);
  EXPECT_EQ(client.get("/v1/models", "Authorization: Bearer secre\r\n").status, 401);
  EXPECT_EQ(client.get("/v1/models", "Authorization: Bearer secret\r\n").status, 200);
  EXPECT_EQ(client.get("/v1/models", "Authorization: Bearer second\r\n").status, 200);
  EXPECT_EQ(client.get("/health").status, 200);
  EXPECT_EQ(client.get("/metrics").status, 200);
  EXPECT_EQ(client.post("/tokenize", R"({"prompt":"a"})").status, 401);
}

TEST(Server, CrossOriginHeaders) {
  ServerConfig config;
  config.allowed_origins = {"https://a.example"};
  RunningServer running(config);
  HttpClient client(running.port());
  EXPECT_EQ(client.get("/health", "Origin: https://a.example\r\n").headers["access-control-allow-origin"],
            "https://a.example");
  EXPECT_EQ(client.get("/health", "Origin: https://b.example\r\n").headers.count("access-control-allow-origin"), 0u);
  client.send("OPTIONS /v1/completions HTTP/1.1\r\nOrigin: https://a.example\r\n\r\n");
  HttpAnswer preflight = client.receive();
  EXPECT_EQ(preflight.status, 204);
  EXPECT_THAT(preflight.headers["access-control-allow-methods"], HasSubstr("POST"));
}

TEST(Server, TooLongAPromptIsRefused) {
  RunningServer running;
  std::string prompt(300, 'a');
  HttpAnswer answer = post(running.port(), "/v1/completions", R"({"prompt":")" + prompt + "\"}");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("maximum context length is 256"));
  EXPECT_EQ(post(running.port(), "/v1/completions", R"({"prompt":"a","max_tokens":255})").status, 400);
  EXPECT_EQ(post(running.port(), "/v1/completions", R"({"prompt":"a","max_tokens":254})").status, 200);
}

TEST(Server, AFullQueueIs503WithRetryAfter) {
  FakeEngineOptions options;
  options.max_queue = 1;
  options.step_time = std::chrono::milliseconds(5);
  RunningServer running({}, options);
  HttpClient first(running.port());
  first.send(request_text("POST", "/v1/completions", R"({"prompt":"abc","max_tokens":200,"stream":true})", ""));
  first.receive_until("data: ");
  HttpAnswer answer = post(running.port(), "/v1/completions", R"({"prompt":"b"})");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.count("retry-after"), 1u);
}

TEST(Server, AnEngineErrorIsToldInsideAStreamToo) {
  FakeEngineOptions options;
  options.fail_at_token = 2;
  RunningServer running({}, options);
  EXPECT_EQ(post(running.port(), "/v1/completions", R"({"prompt":"abc"})").status, 500);
  std::vector<std::string> events =
      sse_data(post(running.port(), "/v1/completions", R"({"prompt":"abc","stream":true})").body);
  ASSERT_GE(events.size(), 2u);
  EXPECT_THAT(events[events.size() - 2], HasSubstr("the fake engine fails here"));
  EXPECT_EQ(events.back(), "[DONE]");
}

TEST(Server, DeadlinesOfRequestsAndOfTheServer) {
  FakeEngineOptions options;
  options.step_time = std::chrono::milliseconds(2);
  ServerConfig config;
  RunningServer patient(config, options);
  const char *fields = R"("prompt":"abc","max_tokens":250)";
  HttpAnswer answer = post(patient.port(), "/v1/completions", "{" + std::string(fields) + R"(,"deadline_ms":5})");
  EXPECT_EQ(answer.status, 504);
  EXPECT_THAT(answer.body, HasSubstr("deadline"));
  config.request_seconds = 0.2; // a busy machine makes one token in that, and not 250 at 2 ms each
  RunningServer hasty(config, options);
  EXPECT_EQ(post(hasty.port(), "/v1/completions", "{" + std::string(fields) + "}").status, 504);
  EXPECT_EQ(post(hasty.port(), "/v1/completions", R"({"prompt":"abc","max_tokens":1})").status, 200);
}

TEST(Server, MetricsCountRequests) {
  RunningServer running;
  post(running.port(), "/v1/completions", R"({"prompt":"abc","max_tokens":3})");
  // An answer is counted when it has been written, which is a moment after the client has it.
  const std::string counted = "http_requests_total{handler=\"/v1/completions\",method=\"POST\",status=\"200\"} 1";
  HttpAnswer answer = HttpClient(running.port()).get("/metrics");
  for (int turn = 0; turn < 1000 && answer.body.find(counted) == std::string::npos; ++turn)
    answer = HttpClient(running.port()).get("/metrics");
  EXPECT_THAT(answer.headers["content-type"], HasSubstr("text/plain"));
  EXPECT_THAT(answer.body, HasSubstr(counted));
  EXPECT_THAT(answer.body, HasSubstr("request_success_total{engine=\"0\",model_name=\"fake\",finished_reason=\"length\"} 1"));
  EXPECT_THAT(answer.body, HasSubstr("time_to_first_token_seconds_count{engine=\"0\",model_name=\"fake\"} 1"));
  for (const char *part : {"queue", "inference", "prefill", "decode"})
    EXPECT_THAT(answer.body, HasSubstr("request_" + std::string(part) +
                                       "_time_seconds_count{engine=\"0\",model_name=\"fake\"} 1"));
  EXPECT_THAT(answer.body, HasSubstr("inter_token_latency_seconds_count{engine=\"0\",model_name=\"fake\"} 2"));
}

} // namespace
} // namespace llmrt::server
