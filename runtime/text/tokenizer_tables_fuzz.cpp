// Tables of any bytes: what passes the verifier must run.
#include "runtime/schema/tokenizer_generated.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/tokenizer_verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  flatbuffers::Verifier verifier(data, size, 64, 1'000'000);
  if (!verifier.VerifyBuffer<llmrt::schema::Tokenizer>(nullptr)) return 0;
  const auto *tables = flatbuffers::GetRoot<llmrt::schema::Tokenizer>(data);
  if (!llmrt::verify_tokenizer(*tables, 0).ok()) return 0;
  auto tokenizer = llmrt::Tokenizer::create(*tables);
  if (!tokenizer.ok()) return 0;
  auto ids = (*tokenizer)->encode("Hello <s> 123 e\xcc\x81 \xe4\xbd\xa0\n", true);
  if (!ids.ok()) return 0;
  for (int32_t &id : *ids) id = id < 0 ? 0 : id;
  (void)(*tokenizer)->decode(*ids, false);
  return 0;
}
