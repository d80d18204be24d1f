// llm.attention, llm.cache_write and llm.paged_attention.
#include "dialects/llm/Llm.h"

using namespace mlir;
using namespace llmc::llm;

static LogicalResult verifyColumns(Operation *op, StringRef what, Value value, int64_t heads, int64_t dim) {
  int64_t columns;
  if (!llvm::MulOverflow(heads, dim, columns) && getColumns(value) == columns)
    return success();
  return op->emitOpError() << what << " must have " << heads << " x " << dim << " columns, it has "
                           << getColumns(value);
}

template <typename Op> static LogicalResult verifyAttention(Op op) {
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads();
  if (heads % kvHeads)
    return op.emitOpError("kv_heads must divide heads");
  if (op.getSoftCap().isNegative())
    return op.emitOpError("soft_cap must not be negative");
  if (failed(verifyColumns(op, "query", op.getQuery(), heads, op.getKeyDim())))
    return failure();
  return verifyColumns(op, "result", op.getResult(), heads, op.getValueDim());
}

// Sinks and ALiBi slopes: one value a head.
template <typename Op> static LogicalResult verifyHeadVectors(Op op, SymbolTableCollection &tables) {
  for (FlatSymbolRefAttr name : {op.getSinksAttr(), op.getAlibiAttr()}) {
    if (!name)
      continue;
    auto weight = tables.lookupNearestSymbolFrom<WeightOp>(op, name);
    if (!weight)
      return op.emitOpError("names no llm.weight of the module: ") << name;
    if (weight.isMatrix() || weight.getRows() != int64_t(op.getHeads()))
      return op.emitOpError("needs a value for each of ")
             << op.getHeads() << " heads, " << name << " is " << weight.getTensorType();
  }
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyAttention(*this)) || failed(verifyColumns(*this, "key", getKey(), getKvHeads(), getKeyDim())))
    return failure();
  return verifyColumns(*this, "value", getValue(), getKvHeads(), getValueDim());
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &tables) { return verifyHeadVectors(*this, tables); }

LogicalResult CacheWriteOp::verify() {
  if (failed(verifyColumns(*this, "key", getKey(), getKvHeads(), getKeyDim())))
    return failure();
  return verifyColumns(*this, "value", getValue(), getKvHeads(), getValueDim());
}

LogicalResult PagedAttentionOp::verify() { return verifyAttention(*this); }

LogicalResult PagedAttentionOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifyHeadVectors(*this, tables);
}
