// The model's part of the tables: hashed, so that the runtime builds nothing.
#include "compiler/import/tokenizer/Tables.h"

#include "runtime/schema/token_hash.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace llmc::tokenizer {

namespace schema = llmrt::schema;

namespace {

constexpr uint32_t noToken = 0xffffffff;

// A power of two that keeps at least a third of the slots free.
size_t slotCount(size_t entries) {
  size_t slots = 4;
  while (slots * 2 < entries * 3) slots *= 2;
  return slots;
}

std::vector<uint32_t> hashSpellings(const ModelTables &model) {
  std::vector<uint32_t> slots(slotCount(model.ids.size()));
  for (const auto &[token, id] : model.ids) {
    size_t slot = llmrt::hash_bytes(token) & (slots.size() - 1);
    while (slots[slot]) slot = (slot + 1) & (slots.size() - 1);
    slots[slot] = id + 1;
  }
  return slots;
}

std::vector<schema::Merge> hashMerges(const ModelTables &model) {
  std::vector<schema::Merge> slots(slotCount(model.merges.size()), schema::Merge(0, 0, 0, noToken));
  for (const schema::Merge &merge : model.merges) {
    size_t slot = llmrt::hash_pair(merge.left(), merge.right()) & (slots.size() - 1);
    while (slots[slot].result() != noToken) slot = (slot + 1) & (slots.size() - 1);
    slots[slot] = merge;
  }
  return slots;
}

} // namespace

flatbuffers::Offset<schema::Vocabulary> writeVocabulary(flatbuffers::FlatBufferBuilder &builder,
                                                        const ModelTables &model) {
  std::string bytes;
  std::vector<uint32_t> ends;
  for (const std::string &spelling : model.spellings) {
    bytes += spelling;
    ends.push_back(uint32_t(bytes.size()));
  }
  auto byteVector = builder.CreateVector(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  auto endVector = builder.CreateVector(ends);
  auto slotVector = builder.CreateVector(hashSpellings(model));
  flatbuffers::Offset<flatbuffers::Vector<double>> scores;
  if (model.kind == schema::ModelKind::Unigram) scores = builder.CreateVector(model.scores);
  auto present = builder.CreateVector(model.present);
  return schema::CreateVocabulary(builder, byteVector, endVector, slotVector, scores, present);
}

flatbuffers::Offset<schema::TokenModel> writeModel(flatbuffers::FlatBufferBuilder &builder, const ModelTables &model) {
  uint32_t longest = 0;
  for (const std::string &spelling : model.spellings) longest = std::max(longest, uint32_t(spelling.size()));
  std::vector<int32_t> byteIds;
  for (unsigned byte = 0; model.byteFallback && byte < 256; ++byte) {
    std::string token;
    llvm::raw_string_ostream(token) << "<0x" << llvm::format_hex_no_prefix(byte, 2, /*Upper=*/true) << ">";
    auto found = model.ids.find(token);
    byteIds.push_back(found == model.ids.end() ? -1 : int32_t(found->second));
  }
  auto prefix = builder.CreateString(model.prefix), suffix = builder.CreateString(model.suffix);
  flatbuffers::Offset<flatbuffers::Vector<const schema::Merge *>> merges;
  if (model.kind == schema::ModelKind::Bpe) merges = builder.CreateVectorOfStructs(hashMerges(model));
  auto bytes = builder.CreateVector(byteIds);
  return schema::CreateTokenModel(builder, model.kind, model.unknown, model.fuseUnknown, model.byteFallback,
                                  model.ignoreMerges, prefix, suffix, merges, bytes, model.maxWordChars, longest,
                                  model.unknownScore);
}

} // namespace llmc::tokenizer
