// A tokenizer.json of any bytes; what compiles must pass the verifier and run.
#include "test/golden/text/TokenizerFixture.h"

#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llmc::testing::CompiledTokenizer compiled(std::string(reinterpret_cast<const char *>(data), size));
  if (compiled.contradicts) {
    std::fprintf(stderr, "%s\n", compiled.error.c_str());
    std::abort();
  }
  if (!compiled.tokenizer) return 0;
  auto ids = compiled.tokenizer->encode(llmc::testing::mixedText(), true);
  if (ids.ok()) (void)compiled.tokenizer->decode(*ids, false);
  return 0;
}
