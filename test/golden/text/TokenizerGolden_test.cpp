// Compiled tokenizers against vectors of the Python library (test/golden/make_tokenizers.py). The environment variable
// LLMC_GOLDEN_TOKENIZERS names a folder of further vectors, for tokenizers that are not in this repository.
#include "test/golden/text/TokenizerFixture.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;
using namespace llmc::testing;

class Checker {
public:
  explicit Checker(const llmrt::Tokenizer &tokenizer) : tokenizer(tokenizer) {}

  void line(const json &row) {
    ++lines;
    bool agrees = true;
    Ids ids = row.contains("random") ? row["random"].get<Ids>() : row["ids"].get<Ids>();
    std::string text = row.value("text", "");
    if (row.contains("text")) {
      agrees &= same("ids", text, tokenizer.encode(text, true), ids);
      agrees &= same("plain ids", text, tokenizer.encode(text, false), row.value("plain", ids));
    }
    if (!ids.empty()) {
      std::string name = json(ids).dump(), decoded = row.value("decoded", text);
      agrees &= same("decoded", name, tokenizer.decode(ids, true), decoded);
      agrees &= same("shown", name, tokenizer.decode(ids, false), row.value("shown", decoded));
      agrees &= sameStreamed(ids, decoded);
    }
    agreeing += agrees;
  }

  int lines = 0, agreeing = 0;

private:
  template <typename T>
  bool same(const char *what, const std::string &of, llmrt::Result<T> result, const T &expected) {
    if (result.ok() && *result == expected) return true;
    if (++shown > 5) return false;
    std::string got = result.ok() ? json(*result).dump(-1, ' ', false, json::error_handler_t::replace)
                                  : result.status().message();
    ADD_FAILURE() << what << " of " << json(of).dump() << "\n  are " << got << "\n  not " << json(expected).dump();
    return false;
  }

  bool sameStreamed(const Ids &ids, const std::string &expected) {
    llmrt::StreamDecoder stream(tokenizer, true);
    std::string text;
    for (int32_t id : ids) {
      std::string piece = stream.push(id);
      EXPECT_NO_THROW((void)json(piece).dump()) << "half a character";
      text += piece;
    }
    text += stream.finish();
    return same("streamed", json(ids).dump(), llmrt::Result<std::string>(text), expected);
  }

  const llmrt::Tokenizer &tokenizer;
  int shown = 0;
};

void checkFile(const std::filesystem::path &vectors) {
  SCOPED_TRACE(vectors.string());
  std::ifstream in(vectors);
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  std::filesystem::path path = json::parse(line)["tokenizer"].get<std::string>();
  if (path.is_relative()) path = vectors.parent_path() / path;
  CompiledTokenizer compiled(readFile(path));
  ASSERT_TRUE(compiled.tokenizer) << compiled.error;
  Checker checker(*compiled.tokenizer);
  while (std::getline(in, line)) checker.line(json::parse(line));
  std::printf("%-24s %d of %d strings agree\n", vectors.stem().c_str(), checker.agreeing, checker.lines);
  EXPECT_GT(checker.lines, 0);
  EXPECT_EQ(checker.agreeing, checker.lines);
}

void checkFolder(const std::filesystem::path &folder) {
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_FALSE(files.empty()) << folder;
  for (const auto &file : files) checkFile(file);
}

TEST(TokenizerGolden, Committed) { checkFolder(LLMC_SOURCE_DIR "/test/golden/tokenizers"); }

TEST(TokenizerGolden, External) {
  const char *folder = std::getenv("LLMC_GOLDEN_TOKENIZERS");
  if (!folder) GTEST_SKIP() << "LLMC_GOLDEN_TOKENIZERS is not set";
  checkFolder(folder);
}

} // namespace
