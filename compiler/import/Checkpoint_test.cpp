#include "compiler/import/Checkpoint.h"
#include "compiler/import/Config.h"
#include "compiler/import/TestFiles.h"

#include <gmock/gmock.h>

using namespace llmc;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

namespace {

const std::string kWeights = safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "\1\2\3\4");

std::string errorOf(llvm::StringRef path, bool needWeights = true) {
  auto checkpoint = openCheckpoint(path, needWeights);
  return checkpoint ? "" : llvm::toString(checkpoint.takeError());
}

Checkpoint opened(llvm::StringRef path, bool needWeights = true) {
  auto checkpoint = openCheckpoint(path, needWeights);
  if (!checkpoint) {
    ADD_FAILURE() << llvm::toString(checkpoint.takeError());
    return {};
  }
  return std::move(*checkpoint);
}

TEST(Checkpoint, RealFolders) {
  Checkpoint stories = opened(testModel("stories260k"));
  EXPECT_EQ(stories.name, "stories260k");
  EXPECT_EQ(stories.config["vocab_size"], 512);
  EXPECT_TRUE(stories.generationConfig.is_object());
  EXPECT_EQ(stories.tokenizerConfig["bos_token"], "<s>");
  ASSERT_TRUE(stories.tokenizerJson.has_value());
  EXPECT_FALSE(stories.chatTemplate.has_value());
  ASSERT_NE(stories.tensors, nullptr);
  EXPECT_EQ(specialTokens(stories),
            nlohmann::json::parse(R"({"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>"})"));

  Checkpoint sort = opened(testModel("nano-gpt-sort"));
  EXPECT_FALSE(sort.tokenizerJson.has_value());
  EXPECT_TRUE(sort.generationConfig.is_null());
  EXPECT_TRUE(specialTokens(sort).empty());
}

TEST(Checkpoint, EveryWayToNameAModel) {
  TestFolder folder;
  folder.write("m/config.json", R"({"model_type":"x"})");
  folder.write("m/model.safetensors", kWeights);
  folder.write("s/config.json", R"({"model_type":"y"})");
  folder.write("s/part.safetensors", kWeights);
  folder.write("s/model.safetensors.index.json", R"({"weight_map":{"a":"part.safetensors"}})");
  folder.write("one-config.json", R"({"model_type":"z"})");
  for (std::string path : {"m", "m/", "m/model.safetensors"}) {
    Checkpoint checkpoint = opened(folder.path(path));
    EXPECT_EQ(checkpoint.name, "m") << path;
    EXPECT_EQ(checkpoint.config["model_type"], "x");
    EXPECT_NE(checkpoint.tensors->find("a"), nullptr);
  }
  for (std::string path : {"s", "s/model.safetensors.index.json", "s/part.safetensors"}) {
    Checkpoint checkpoint = opened(folder.path(path));
    EXPECT_EQ(checkpoint.name, "s");
    EXPECT_NE(checkpoint.tensors->find("a"), nullptr);
  }
  Checkpoint bare = opened(folder.path("one-config.json"), /*needWeights=*/false);
  EXPECT_EQ(bare.name, "one-config");
  EXPECT_EQ(bare.config["model_type"], "z");
  EXPECT_EQ(bare.tensors, nullptr);
  EXPECT_EQ(opened(folder.path("m/config.json"), false).name, "m");
  EXPECT_EQ(opened(folder.path("m"), false).tensors, nullptr);
}

TEST(Checkpoint, WhatCannotBeOpenedSaysWhatToDo) {
  TestFolder folder;
  EXPECT_THAT(errorOf(folder.path("org/model")), HasSubstr("models are not downloaded"));
  EXPECT_THAT(errorOf(folder.write("m.gguf", "GGUF")), HasSubstr("GGUF is not supported yet"));
  EXPECT_THAT(errorOf(folder.write("pytorch_model.bin", "")), HasSubstr("pickled"));
  EXPECT_THAT(errorOf(folder.write("m.xyz", "")), HasSubstr("MODEL is a Hugging Face folder"));
  EXPECT_THAT(errorOf(folder.write("bare.json", "{}")), HasSubstr("--weights random:SEED"));
  EXPECT_THAT(errorOf(folder.write("n/model.safetensors", kWeights)), HasSubstr("config.json must stand beside"));
  folder.write("w/config.json", "{}");
  EXPECT_THAT(errorOf(folder.path("w")), HasSubstr("has neither model.safetensors"));
  EXPECT_EQ(errorOf(folder.path("w"), false), "");
  folder.write("w/pytorch_model.bin", "");
  EXPECT_THAT(errorOf(folder.path("w")), HasSubstr("save_pretrained"));
  folder.write("b/config.json", "{");
  EXPECT_THAT(errorOf(folder.path("b"), false), HasSubstr("b/config.json: not JSON"));
  folder.write("t/config.json", "{}");
  folder.write("t/tokenizer_config.json", "[]");
  EXPECT_THAT(errorOf(folder.path("t"), false), HasSubstr("t/tokenizer_config.json: must be a JSON object"));
}

TEST(Checkpoint, ChatTemplates) {
  TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("tokenizer_config.json", R"({"chat_template":"one"})");
  EXPECT_EQ(opened(folder.path(), false).chatTemplate, "one");

  const char *lists[] = {
      R"({"chat_template":[{"name":"default","template":"d"},{"name":"tool_use","template":"t"}]})",
      R"({"chat_template":{"tool_use":"t","default":"d"}})"};
  for (const char *list : lists) {
    folder.write("tokenizer_config.json", list);
    Checkpoint checkpoint = opened(folder.path(), false);
    EXPECT_EQ(checkpoint.chatTemplate, "d");
    EXPECT_THAT(checkpoint.namedChatTemplates, ElementsAre(Pair("tool_use", "t")));
  }
  for (const char *bad : {R"({"chat_template":3})", R"({"chat_template":[3]})", R"({"chat_template":[{"name":"x"}]})",
                          R"({"chat_template":{"a":[]}})"}) {
    folder.write("tokenizer_config.json", bad);
    EXPECT_THAT(errorOf(folder.path(), false), HasSubstr("chat_template")) << bad;
  }
  folder.write("tokenizer_config.json", lists[0]);
  folder.write("chat_template.jinja", "file");
  folder.write("additional_chat_templates/rag.jinja", "r");
  Checkpoint checkpoint = opened(folder.path(), false);
  EXPECT_EQ(checkpoint.chatTemplate, "file");
  EXPECT_THAT(checkpoint.namedChatTemplates, ElementsAre(Pair("rag", "r")));
}

TEST(Checkpoint, SpecialTokens) {
  TestFolder folder;
  folder.write("config.json", "{}");
  folder.write("tokenizer_config.json", R"({"bos_token":{"content":"<b>","lstrip":false},"eos_token":null,
    "pad_token":7,"extra_special_tokens":{"image_token":"<i>"},"model_max_length":5})");
  folder.write("special_tokens_map.json", R"({"bos_token":"<other>","unk_token":"<u>",
    "additional_special_tokens":["<x>",{"content":"<y>"},5]})");
  EXPECT_EQ(specialTokens(opened(folder.path(), false)),
            nlohmann::json::parse(R"({"bos_token":"<b>","unk_token":"<u>","image_token":"<i>",
              "additional_special_tokens":["<x>","<y>"]})"));
}

} // namespace
