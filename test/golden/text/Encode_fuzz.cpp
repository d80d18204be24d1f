// Any text through one of the small tokenizers, chosen by the first byte: streaming gives what decoding gives.
#include "test/golden/text/TokenizerFixture.h"

#include <cstdlib>

namespace {

std::vector<std::unique_ptr<llmc::testing::CompiledTokenizer>> openAll() {
  std::vector<std::unique_ptr<llmc::testing::CompiledTokenizer>> out;
  for (const auto &entry : std::filesystem::directory_iterator(LLMC_SOURCE_DIR "/test/golden/tokenizers"))
    if (entry.path().extension() == ".json")
      out.push_back(std::make_unique<llmc::testing::CompiledTokenizer>(llmc::testing::readFile(entry.path())));
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const auto all = openAll(); // constant
  if (size == 0) return 0;
  const llmrt::Tokenizer &tokenizer = *all[data[0] % all.size()]->tokenizer;
  auto ids = tokenizer.encode(std::string_view(reinterpret_cast<const char *>(data) + 1, size - 1), true);
  if (!ids.ok()) return 0;
  auto text = tokenizer.decode(*ids, true);
  llmrt::StreamDecoder stream(tokenizer, true);
  std::string streamed;
  for (int32_t id : *ids) streamed += stream.push(id);
  streamed += stream.finish();
  if (!text.ok() || *text != streamed) std::abort();
  return 0;
}
