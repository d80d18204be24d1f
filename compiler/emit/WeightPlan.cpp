#include "compiler/emit/WeightPlan.h"

namespace llmc {

using packing::kBlockRows;
using packing::kMaxColumns;

static llvm::Error invalid(llvm::StringRef name, const llvm::Twine &what) {
  return llvm::createStringError("weight " + name + " " + what);
}

static packing::WeightForm formOf(llm::WeightOp op) {
  packing::WeightForm form;
  mlir::Type element = op.getElement();
  form.is_vector = !op.isMatrix();
  form.rows = op.getRows();
  form.columns = form.is_vector ? 1 : op.getColumns();
  form.interleaved = op.getInterleave() != 0;
  form.scheme = form.is_vector ? nullptr : findScheme(op.getScheme());
  form.element = element.isBF16() ? "bf16" : element.isF16() ? "f16" : "f32";
  if (op.getComputed()) form.sources.push_back({form.rows});
  for (auto source : op.getSources().getAsRange<llm::SourceAttr>())
    form.sources.push_back({source.getCount(), float(double(source.getScale())), float(double(source.getAdd())),
                            source.getZeros()});
  return form;
}

static llvm::Expected<PlannedWeight> planWeight(llm::WeightOp op) {
  PlannedWeight weight;
  weight.op = op;
  weight.name = op.getSymName().str();
  if (op.getInterleave() != 0 && op.getInterleave() != kBlockRows)
    return invalid(weight.name, "is interleaved in blocks of " + llvm::Twine(op.getInterleave()) + "; kernels read 16");
  weight.form = formOf(op);
  weight.element = weight.form.is_vector ? "f32" : std::string(weight.form.element);
  weight.scheme = weight.form.scheme;
  weight.layout = weight.form.is_vector ? "vector" : "rows16";
  weight.rows = weight.form.is_vector ? 1 : weight.form.rows;
  weight.columns = weight.form.is_vector ? weight.form.rows : weight.form.columns;
  if (!weight.isVector() && weight.columns > kMaxColumns)
    return invalid(weight.name, "has rows of " + llvm::Twine(weight.columns) + " columns; at most " +
                                    llvm::Twine(kMaxColumns) + " can be packed");
  if (!weight.isVector() && !weight.scheme && op.getScheme() != "none")
    return invalid(weight.name, "has the unknown quantization scheme " + op.getScheme());
  weight.blocks = weight.form.blocks();
  weight.blockBytes = weight.form.block_bytes();
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
