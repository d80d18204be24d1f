#include "compiler/emit/GoldenTable.h"

#include "llvm/ADT/StringRef.h"

namespace llmc {

namespace schema = llmrt::schema;

namespace {

// Bytes that lie in the table already are found there, those of shorter operands inside of longer ones.
schema::GoldenBytes place(std::vector<char> &pool, const std::vector<char> &bytes) {
  llvm::StringRef all(pool.data(), pool.size()), own(bytes.data(), bytes.size());
  size_t at = all.find(own);
  if (at == llvm::StringRef::npos) {
    at = pool.size();
    pool.insert(pool.end(), bytes.begin(), bytes.end());
  }
  return schema::GoldenBytes(at, bytes.size());
}

} // namespace

GoldenTable makeGoldenTable(mlir::ModuleOp module, llvm::ArrayRef<exec::KernelOp> ofGpus) {
  GoldenTable table;
  uint32_t index = 0;
  for (auto kernel : module.getOps<exec::KernelOp>()) {
    for (const golden::Golden &golden : golden::makeGoldens(kernel, llvm::is_contained(ofGpus, kernel))) {
      GoldenEntry entry{index, golden.scalars, {}, {}};
      for (const std::vector<char> &operand : golden.operands) entry.operands.push_back(place(table.bytes, operand));
      for (const golden::Result &result : golden.results)
        entry.results.emplace_back(uint32_t(result.operand), float(result.bound), result.offset,
                                   place(table.bytes, result.expected));
      table.entries.push_back(std::move(entry));
    }
    ++index;
  }
  return table;
}

} // namespace llmc
