#include "tools/llmrt/flags.h"

#include <cstdlib>
#include <gtest/gtest.h>

namespace llmrt::tool {
namespace {

std::vector<std::string> normal(std::vector<std::string> arguments) {
  std::vector<char *> pointers = {const_cast<char *>("llmrt")};
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  return normalized(static_cast<int>(pointers.size()), pointers.data());
}

TEST(Arguments, UnderscoresAndDashesAreAlikeInNamesOnly) {
  EXPECT_EQ(normal({"serve", "--max_model_len=a_b", "--max_num-seqs", "x_y", "-c", "1"}),
            (std::vector<std::string>{"serve", "--max-model-len=a_b", "--max-num-seqs", "x_y", "-c", "1"}));
  EXPECT_EQ(normal({"-np", "4"})[0], "--max-num-seqs");
  EXPECT_EQ(normal({"--", "--a_b"})[1], "--a_b");
}

TEST(Arguments, CountsTakeSuffixes) {
  int64_t value = 0;
  EXPECT_TRUE(parse_count("4096", value) && value == 4096);
  EXPECT_TRUE(parse_count("4k", value) && value == 4000);
  EXPECT_TRUE(parse_count("4K", value) && value == 4096);
  EXPECT_TRUE(parse_count("-1", value) && value == -1);
  EXPECT_TRUE(parse_count("2G", value) && value == 2ll << 30);
  for (const char *bad : {"", "k", "4x", "1.5", "4 k", "99999999999G", "0x10"})
    EXPECT_FALSE(parse_count(bad, value)) << bad;
}

TEST(Arguments, WhatIsNotThereIsNamed) {
  EXPECT_EQ(refused({"serve", "x.fbs", "--enable-lora"}), "--enable-lora");
  EXPECT_EQ(refused({"serve", "--speculative-config={}"}), "--speculative-config");
  EXPECT_EQ(refused({"serve", "x.fbs", "--port", "0"}), "");
  EXPECT_EQ(refused({"run", "--", "--enable-lora"}), "");
  setenv("LLMRT_ARG_ENABLE_LORA", "1", 1);
  EXPECT_EQ(refused({"serve"}), "LLMRT_ARG_ENABLE_LORA");
  unsetenv("LLMRT_ARG_ENABLE_LORA");
}

struct Seen {
  std::string file, text;
  std::vector<std::string> texts;
  int64_t integer = 0;
  std::vector<int64_t> integers;
  double number = 0;
  bool flag = false, cache = true, text_given = false;
};
Seen seen; // of the one verb of these tests

std::function<int()> setup(Flags &flags) {
  seen = Seen();
  flags.positional("FILE", seen.file, "");
  flags.text("--text", seen.text, "");
  flags.texts("--stop", seen.texts, "");
  flags.integer("-c,--max-model-len", seen.integer, "");
  flags.integers("-d", seen.integers, "");
  flags.number("--temperature", seen.number, "");
  flags.flag("-q,--quiet", seen.flag, "");
  flags.switched("prefix-caching", seen.cache, "");
  return [&flags] {
    seen.text_given = flags.given("--text");
    return 7;
  };
}

int parse(std::vector<std::string> arguments) {
  std::vector<char *> pointers = {const_cast<char *>("llmrt")};
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  return run_command_line({{"verb", "", setup}}, static_cast<int>(pointers.size()), pointers.data());
}

TEST(Flags, AreRead) {
  EXPECT_EQ(parse({"verb", "f.fbs", "--text", "-x y", "--stop", "a,b", "--stop", "c", "--max_model_len", "4k", "-d",
                   "0,4096", "--temperature", "-0.5", "-q", "--no-enable-prefix-caching"}),
            7);
  EXPECT_EQ(seen.file, "f.fbs");
  EXPECT_EQ(seen.text, "-x y");
  EXPECT_TRUE(seen.text_given);
  EXPECT_EQ(seen.texts, (std::vector<std::string>{"a,b", "c"}));
  EXPECT_EQ(seen.integer, 4000);
  EXPECT_EQ(seen.integers, (std::vector<int64_t>{0, 4096}));
  EXPECT_EQ(seen.number, -0.5);
  EXPECT_TRUE(seen.flag);
  EXPECT_FALSE(seen.cache);
}

TEST(Flags, TheEnvironmentSetsThem) {
  setenv("LLMRT_ARG_MAX_MODEL_LEN", "77", 1);
  EXPECT_EQ(parse({"verb", "f"}), 7);
  EXPECT_EQ(seen.integer, 77);
  EXPECT_EQ(parse({"verb", "f", "-c", "5"}), 7);
  EXPECT_EQ(seen.integer, 5) << "the command line wins";
  unsetenv("LLMRT_ARG_MAX_MODEL_LEN");
}

TEST(Flags, WrongUsageIsTwo) {
  EXPECT_EQ(parse({}), 2);
  EXPECT_EQ(parse({"nothing"}), 2);
  EXPECT_EQ(parse({"verb", "--unknown"}), 2);
  EXPECT_EQ(parse({"verb", "-c", "many"}), 2);
  EXPECT_EQ(parse({"verb", "-d", "1,,2"}), 2);
  EXPECT_EQ(parse({"verb", "--temperature", "hot"}), 2);
  EXPECT_EQ(parse({"verb", "a", "b"}), 2);
  EXPECT_EQ(parse({"--help"}), 0);
}

} // namespace
} // namespace llmrt::tool
