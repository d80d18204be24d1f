// POST /v1/embeddings over an engine whose vector is the prompt's first four ids: what is told of it, and how.
#include "runtime/server/testing/http_client.h"
#include "runtime/server/testing/running_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace llmrt::server {
namespace {

using ::testing::HasSubstr;
using namespace llmrt::testing;

Json embed(const RunningServer &running, const std::string &fields, int status = 200) {
  HttpAnswer answer = HttpClient(running.port()).post("/v1/embeddings", "{" + fields + "}");
  EXPECT_EQ(answer.status, status) << answer.body;
  return Json::parse(answer.body, nullptr, false);
}

TEST(Embeddings, AreLists) {
  RunningServer running;
  Json json = embed(running, R"("model":"fake","input":[3,0,4],"user":"me")");
  EXPECT_EQ(json["object"], "list");
  EXPECT_EQ(json["model"], "fake");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(json["usage"]["total_tokens"], 3);
  ASSERT_EQ(json["data"].size(), 1u);
  EXPECT_EQ(json["data"][0]["object"], "embedding");
  EXPECT_EQ(json["data"][0]["index"], 0);
  EXPECT_EQ(json["data"][0]["embedding"], Json::array({0.6f, 0.0f, 0.8f, 0.0f})) << "of length 1";
  EXPECT_EQ(embed(running, R"("input":[3,0,4],"normalize":false)")["data"][0]["embedding"],
            Json::array({3.0f, 0.0f, 4.0f, 0.0f}));
}

TEST(Embeddings, TakeEveryFormOfInput) {
  RunningServer running;
  for (const char *input : {R"(["a","b"])", "[[256,97],[256,98]]"}) { // a text begins with 256
    Json json = embed(running, std::string(R"("normalize":false,"input":)") + input);
    ASSERT_EQ(json["data"].size(), 2u);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(json["data"][i]["index"], i);
      EXPECT_EQ(json["data"][i]["embedding"], Json::array({256.0f, float('a' + i), 0.0f, 0.0f}));
    }
    EXPECT_EQ(json["usage"]["prompt_tokens"], 4);
  }
  EXPECT_EQ(embed(running, R"("input":"a","add_special_tokens":false)")["data"][0]["embedding"][0], 1.0f);
}

TEST(Embeddings, CutAndEncode) {
  RunningServer running;
  // The first two dimensions are a vector of length 5 before they are made one of length 1.
  EXPECT_EQ(embed(running, R"("input":[3,4,5,6],"dimensions":2)")["data"][0]["embedding"], Json::array({0.6f, 0.8f}));
  // 1.0f is 00 00 80 3f.
  EXPECT_EQ(embed(running, R"("input":[1],"dimensions":1,"encoding_format":"base64")")["data"][0]["embedding"],
            "AACAPw==");
  EXPECT_EQ(embed(running, R"("input":[1,2],"normalize":false,"dimensions":2,"encoding_format":"base64")")["data"][0]
                ["embedding"],
            "AACAPwAAAEA=");
}

TEST(Embeddings, RefuseByName) {
  RunningServer running;
  for (const char *field : {R"("encoding_format":"hex")", R"("dimensions":5)", R"("dimensions":0)",
                            R"("truncate_prompt_tokens":1)", R"("normalize":1)", R"("stream":true)"}) {
    Json json = embed(running, std::string(R"("input":"a",)") + field, 400);
    std::string name = field;
    EXPECT_EQ(json["error"]["param"], Json(name.substr(1, name.find('"', 1) - 1))) << field;
  }
  for (const char *input : {"{}", "[]", R"(["a",1])", "[[]]", "[1000]", "7"})
    EXPECT_EQ(embed(running, std::string(R"("input":)") + input, 400)["error"]["param"].is_string(), true) << input;
  EXPECT_EQ(embed(running, R"("model":"fake")", 400)["error"]["param"], "input");
}

TEST(Embeddings, NeedAnArtifactThatGivesThem) {
  FakeEngineOptions options;
  options.hidden_width = 0;
  RunningServer running({}, options);
  EXPECT_THAT(embed(running, R"("input":"a")", 400)["error"]["message"].get<std::string>(),
              HasSubstr("compile it again"));
}

Json ask(const RunningServer &running, const char *path, const char *body, int status = 200) {
  HttpAnswer answer = HttpClient(running.port()).post(path, body);
  EXPECT_EQ(answer.status, status) << answer.body;
  return Json::parse(answer.body, nullptr, false);
}

TEST(Score, IsTheCosineOfTwoEmbeddings) {
  RunningServer running;
  Json json = ask(running, "/v1/score", R"({"text_1":"aa","text_2":["aa","zz"]})");
  ASSERT_EQ(json["data"].size(), 2u);
  EXPECT_EQ(json["data"][1]["index"], 1);
  EXPECT_NEAR(json["data"][0]["score"].get<double>(), 1, 1e-6);
  const double a = 256 * 256 + 97 * 97 * 2, z = 256 * 256 + 122 * 122 * 2, both = 256 * 256 + 97 * 122 * 2;
  EXPECT_NEAR(json["data"][1]["score"].get<double>(), both / std::sqrt(a * z), 1e-6);
  EXPECT_EQ(json["usage"]["prompt_tokens"], 9);
  json = ask(running, "/v1/score", R"({"text_1":["a","z"],"text_2":["a","z"]})");
  EXPECT_NEAR(json["data"][1]["score"].get<double>(), 1, 1e-6) << "pair by pair";
  EXPECT_EQ(ask(running, "/v1/score", R"({"text_1":["a","b"],"text_2":"a"})", 400)["error"]["param"], "text_1");
  EXPECT_EQ(ask(running, "/v1/score", R"({"text_1":"a"})", 400)["error"]["param"], "text_2");
}

TEST(Rerank, SortsDocuments) {
  RunningServer running;
  const char *body = R"({"query":"mm","documents":["zz","mm","zm"]})";
  Json json = ask(running, "/v1/rerank", body);
  ASSERT_EQ(json["results"].size(), 3u);
  EXPECT_EQ(json["results"][0]["index"], 1);
  EXPECT_EQ(json["results"][0]["document"]["text"], "mm");
  EXPECT_EQ(json["results"][2]["index"], 0);
  EXPECT_GT(json["results"][1]["relevance_score"], json["results"][2]["relevance_score"]);
  EXPECT_EQ(ask(running, "/v1/rerank", R"({"query":"m","documents":["z","m"],"top_n":1})")["results"].size(), 1u);
  EXPECT_EQ(ask(running, "/v1/rerank", R"({"documents":["z"]})", 400)["error"]["param"], "query");
  EXPECT_EQ(ask(running, "/v1/rerank", R"({"query":"z"})", 400)["error"]["param"], "documents");
}

} // namespace
} // namespace llmrt::server
