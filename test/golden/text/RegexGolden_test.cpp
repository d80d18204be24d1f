// Regular expressions against the library's (test/golden/make_regexes.py). LLMC_GOLDEN_REGEXES names a further file.
#include "runtime/text/normal/pattern.h"
#include "test/golden/text/TokenizerFixture.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;

// A tokenizer that replaces matches by '#' and otherwise gives its text back: every byte is a token.
std::string replacer(const std::string &pattern) {
  json vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    char token[8];
    std::snprintf(token, sizeof token, "<0x%02X>", unsigned(byte));
    vocabulary[token] = byte;
  }
  json out;
  out["model"] = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", json::array()}, {"byte_fallback", true}};
  out["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", pattern}}}, {"content", "#"}};
  out["decoder"] = {{"type", "Sequence"}, {"decoders", {{{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}};
  return out.dump();
}

// The same by the matcher that remembers failures from its first step.
std::string replacedRemembering(llmc::testing::CompiledTokenizer &compiled, const std::string &text) {
  const auto *tables = flatbuffers::GetRoot<llmrt::schema::Tokenizer>(compiled.builder.GetBufferPointer());
  llmrt::CharClasses classes(tables->classes());
  llmrt::PatternMatcher matcher(*tables->patterns()->Get(0), classes, /*remembers_at_once=*/true);
  std::vector<llmrt::Span> matches;
  if (llmrt::Status status = matcher.find_all(text, matches); !status.ok()) return status.message();
  std::string out;
  size_t from = 0;
  for (const llmrt::Span &match : matches) {
    out += text.substr(from, match.begin - from) + "#";
    from = match.end;
  }
  return out + text.substr(from);
}

void checkFile(const std::filesystem::path &path) {
  std::ifstream in(path);
  std::string line;
  ASSERT_TRUE(std::getline(in, line)) << path;
  int agreeing = 0, total = 0, unsupported = 0, shown = 0;
  while (std::getline(in, line)) {
    json row = json::parse(line);
    llmc::testing::CompiledTokenizer compiled(replacer(row["pattern"]));
    if (!compiled.tokenizer) {
      EXPECT_NE(compiled.error.find("unsupported"), std::string::npos) << row["pattern"] << ": " << compiled.error;
      ++unsupported;
      if (std::getenv("LLMC_VERBOSE")) std::printf("%s: %s\n", row["pattern"].dump().c_str(), compiled.error.c_str());
      continue;
    }
    for (size_t i = 0; i < row["texts"].size(); ++i) {
      std::string given = row["texts"][i], expected = row["expected"][i];
      auto ids = compiled.tokenizer->encode(given, false);
      std::string text = ids.ok() ? *compiled.tokenizer->decode(*ids, false) : ids.status().message();
      // The library replaces nothing in an empty text.
      std::string remembered = given.empty() ? given : replacedRemembering(compiled, given);
      bool agrees = text == expected && remembered == expected;
      ++total;
      agreeing += agrees;
      if (!agrees && ++shown <= 10)
        ADD_FAILURE() << row["pattern"] << " on " << row["texts"][i] << "\n  gives " << json(text).dump() << " and "
                      << json(remembered).dump() << "\n  not   "
                      << row["expected"][i];
    }
  }
  std::printf("%d of %d texts agree; %d patterns are not supported\n", agreeing, total, unsupported);
  EXPECT_GT(total, 0);
  EXPECT_LT(unsupported * 20 * 10, total); // of some 20 texts a pattern: under a tenth
}

TEST(RegexGolden, Committed) { checkFile(LLMC_SOURCE_DIR "/test/golden/tokenizers/regexes/regexes.jsonl"); }

TEST(RegexGolden, External) {
  const char *file = std::getenv("LLMC_GOLDEN_REGEXES");
  if (!file) GTEST_SKIP() << "LLMC_GOLDEN_REGEXES is not set";
  checkFile(file);
}

} // namespace
