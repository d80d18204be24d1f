#include "compiler/import/tokenizer/Tables.h"

#include "llvm/ADT/ArrayRef.h"

namespace llmc::tokenizer {

namespace schema = llmrt::schema;

namespace {

struct DecompositionRow {
  uint32_t from, first, count;
};
struct CombiningRow {
  uint32_t first, last, combining;
};
struct CompositionRow {
  uint32_t first, second, result;
};

#include "compiler/import/tokenizer/NormalFormTables.inc"

std::vector<schema::Decomposition> decompositions(llvm::ArrayRef<DecompositionRow> rows) {
  std::vector<schema::Decomposition> out;
  for (const DecompositionRow &row : rows) out.emplace_back(row.from, row.first, row.count);
  return out;
}

} // namespace

flatbuffers::Offset<schema::NormalForms> writeNormalForms(flatbuffers::FlatBufferBuilder &builder,
                                                          bool compatibility) {
  std::vector<schema::CombiningRange> combining;
  for (const CombiningRow &row : combiningRows) combining.emplace_back(row.first, row.last, row.combining);
  std::vector<schema::Composition> compositions;
  for (const CompositionRow &row : compositionRows) compositions.emplace_back(row.first, row.second, row.result);
  auto canonicalVector = builder.CreateVectorOfStructs(decompositions(canonicalRows));
  auto compatibilityVector = builder.CreateVectorOfStructs(
      compatibility ? decompositions(compatibilityRows) : std::vector<schema::Decomposition>());
  auto points = builder.CreateVector(decompositionPoints, std::size(decompositionPoints));
  auto combiningVector = builder.CreateVectorOfStructs(combining);
  auto compositionVector = builder.CreateVectorOfStructs(compositions);
  return schema::CreateNormalForms(builder, canonicalVector, compatibilityVector, points, combiningVector,
                                   compositionVector);
}

} // namespace llmc::tokenizer
