#include "compiler/emit/WeightPlan.h"

namespace llmc {

static constexpr int64_t kBlockRows = 16;
// A block is packed in memory, as float32; no model comes near this length.
static constexpr int64_t kMaxColumns = int64_t(1) << 22;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

static llvm::Error invalid(llvm::StringRef name, const llvm::Twine &what) {
  return llvm::createStringError("weight " + name + " " + what);
}

static llvm::Expected<PlannedWeight> planWeight(llm::WeightOp op) {
  PlannedWeight weight;
  weight.op = op;
  weight.name = op.getSymName().str();
  mlir::Type element = op.getElement();
  weight.element = element.isBF16() ? "bf16" : element.isF16() ? "f16" : "f32";
  if (op.getInterleave() != 0 && op.getInterleave() != kBlockRows)
    return invalid(weight.name, "is interleaved in blocks of " + llvm::Twine(op.getInterleave()) + "; kernels read 16");
  int64_t rows = op.getRows();
  weight.blocks = op.getInterleave() ? 2 * ceilDiv(rows / 2, kBlockRows) : ceilDiv(rows, kBlockRows);
  if (!op.isMatrix()) {
    weight.layout = "vector";
    weight.rows = 1;
    weight.columns = rows;
    weight.element = "f32"; // rounded to the weight's own type before
    weight.blockBytes = kBlockRows * 4;
  } else {
    weight.layout = "rows16";
    weight.rows = rows;
    weight.columns = op.getColumns();
    if (weight.columns > kMaxColumns)
      return invalid(weight.name, "has rows of " + llvm::Twine(weight.columns) + " columns; at most " +
                                      llvm::Twine(kMaxColumns) + " can be packed");
    weight.scheme = findScheme(op.getScheme());
    if (!weight.scheme && op.getScheme() != "none")
      return invalid(weight.name, "has the unknown quantization scheme " + op.getScheme());
    int64_t elementBytes = weight.element == "f32" ? 4 : 2;
    weight.blockBytes = weight.scheme ? weight.scheme->chunks(weight.columns) * weight.scheme->chunkBytes()
                                      : kBlockRows * weight.columns * elementBytes;
  }
  weight.bytes = uint64_t(weight.blocks) * uint64_t(weight.blockBytes);
  return weight;
}

llvm::Expected<WeightPlan> planWeights(mlir::ModuleOp module) {
  WeightPlan plan;
  for (auto op : module.getOps<llm::WeightOp>()) {
    auto weight = planWeight(op);
    if (!weight) return weight.takeError();
    plan.bytes = (plan.bytes + 63) / 64 * 64;
    weight->offset = plan.bytes;
    plan.bytes += weight->bytes;
    plan.weights.push_back(std::move(*weight));
  }
  return plan;
}

} // namespace llmc
