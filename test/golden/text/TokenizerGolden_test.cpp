// Compiled tokenizers against vectors of the Python library (test/golden/make_tokenizers.py). The environment variable
// LLMC_GOLDEN_TOKENIZERS names a folder of further vectors, for tokenizers that are not in this repository.
#include "test/golden/text/TokenizerChecker.h"
#include "test/golden/text/TokenizerFixture.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;
using namespace llmc::testing;

void checkFile(const std::filesystem::path &vectors) {
  SCOPED_TRACE(vectors.string());
  std::ifstream in(vectors);
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  std::filesystem::path path = json::parse(line)["tokenizer"].get<std::string>();
  if (path.is_relative()) path = vectors.parent_path() / path;
  CompiledTokenizer compiled(readFile(path));
  ASSERT_TRUE(compiled.tokenizer) << compiled.error;
  TokenizerChecker(*compiled.tokenizer).lines(in, vectors.stem());
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
