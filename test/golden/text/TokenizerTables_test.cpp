// Tokenizer tables as an earlier llmc wrote them: they must open, and encode as they did. A file is never made again; a
// change of the format adds files of the new version beside them. Made from the tokenizers of the same names.
#include "runtime/schema/tokenizer_generated.h"
#include "runtime/text/tokenizer_verify.h"
#include "test/golden/text/TokenizerChecker.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

void checkTables(const std::string &name) {
  SCOPED_TRACE(name);
  const std::string folder = LLMC_SOURCE_DIR "/test/golden/tokenizers/";
  std::ifstream file(folder + "frozen/" + name + ".tables", std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  const std::string text = bytes.str();
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t *>(text.data()), text.size(), 64, 1'000'000);
  ASSERT_TRUE(verifier.VerifyBuffer<llmrt::schema::Tokenizer>(nullptr));
  const auto *tables = flatbuffers::GetRoot<llmrt::schema::Tokenizer>(text.data());
  llmrt::Status verified = llmrt::verify_tokenizer(*tables, 0);
  ASSERT_TRUE(verified.ok()) << verified.message();
  auto tokenizer = llmrt::Tokenizer::create(*tables);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  std::ifstream vectors(folder + name + ".jsonl");
  std::string header;
  ASSERT_TRUE(std::getline(vectors, header));
  llmc::testing::TokenizerChecker(**tokenizer).lines(vectors, name);
}

TEST(TokenizerTables, Frozen) {
  for (const char *name : {"llama2", "llama3", "fixed-length", "unknown"}) checkTables(name);
}

} // namespace
