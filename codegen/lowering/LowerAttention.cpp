// Rope tables, rope, the KV cache and attention.
#include "codegen/lowering/Lowering.h"
#include "codegen/lowering/StepLowering.h"

namespace llmc {

using mlir::failed;
using mlir::failure;
using mlir::success;

llm::RopeAttr withoutKind(llm::RopeAttr rope) {
  return llm::RopeAttr::get(rope.getContext(), rope.getDim(), rope.getBase(), llm::RopeKind::Half, rope.getScaling(),
                            rope.getFactor(), rope.getLow(), rope.getHigh(), rope.getOriginal(), rope.getBetaFast(),
                            rope.getBetaSlow(), rope.getAttentionFactor(), rope.getTruncate());
}

llvm::StringRef ropeKind(llm::RopeAttr rope) {
  return !rope ? "none" : rope.getKind() == llm::RopeKind::Half ? "half" : "interleaved";
}

llvm::LogicalResult StepLowering::emitRopeTables() {
  builder.setInsertionPointToEnd(&program.getBody().front());
  for (auto op : step.getOps<llm::RopeOp>()) {
    llm::RopeAttr rope = withoutKind(op.getRope());
    if (ropeTables.count(rope)) continue;
    int64_t half = rope.getDim() / 2, padded = roundUp(half, 16);
    View table{newBuffer("rope_table", "f32", exec::Symbol::Tokens, 2 * padded * 4), 0, 2 * padded, 2 * padded};
    bool dynamic = rope.getScaling() == "dynamic";
    Operands operands{input("Positions")};
    ConfigEntries entries{
        {"scaling", builder.getStringAttr(dynamic ? "dynamic" : "static")},
        {"factor", builder.getF64FloatAttr(dynamic ? double(rope.getFactor()) : 1.0)},
        {"attention_factor", builder.getF64FloatAttr(rope.getAttentionFactor())}};
    if (dynamic) {
      operands.append({input("SequenceIndex"), input("RopeLength")});
      entries.append({{"base", builder.getF64FloatAttr(rope.getBase())},
                      {"dim", builder.getI64IntegerAttr(rope.getDim())},
                      {"original", builder.getI64IntegerAttr(rope.getOriginal())}});
    } else {
      std::string name = ("rope.frequencies." + llvm::Twine(ropeTables.size())).str();
      auto type = mlir::RankedTensorType::get({half}, builder.getF32Type());
      auto frequencies = llm::WeightOp::create(globals, step.getLoc(), name, type, llvm::ArrayRef<mlir::Attribute>());
      frequencies.setComputed("rope_frequencies");
      frequencies.setRopeAttr(rope);
      operands.push_back(exec::weightOperand(context, name));
    }
    operands.push_back(operand(table));
    dispatch(kernels.get(dynamic ? "rope_table_dynamic" : "rope_table", "rope_table", config(entries)), operands,
             {symbol(exec::Symbol::Tokens), number(half), number(padded), symbol(exec::Symbol::Sequences)});
    ropeTables[rope] = table;
  }
  return success();
}

llvm::LogicalResult StepLowering::lowerRope(llm::RopeOp op) {
  NormAttrs norm;
  mlir::Value source = op.getInput();
  if (auto normOp = source.getDefiningOp<llm::NormOp>(); normOp && isFoldedIntoRope(normOp)) {
    int64_t headDim = llm::getColumns(op.getResult()) / int64_t(op.getHeads());
    if (int64_t(normOp.getGroup()) != headDim) return op.emitOpError("turns heads that are not the norm's groups");
    norm = {normOp.getKind(), normOp.getWeightAttr(), {}, normOp.getEpsilon().convertToDouble()};
    if (failed(vectorOf(op, norm.weight, headDim))) return failure();
    if (normOp.getBias()) return normOp.emitOpError("has a bias; a norm over heads has none");
    source = normOp.getInput();
  }
  auto input = rowsOf(source, op);
  if (failed(input)) return failure();
  View out = resultRows("rope", op.getResult(), exec::Symbol::Tokens, {*input}, {});
  setView(op.getResult(), out);
  return emitRope(op, *input, op.getRope(), norm, op.getHeads(), out);
}

llvm::LogicalResult StepLowering::emitRope(mlir::Operation *op, const View &input, llm::RopeAttr rope,
                                           const NormAttrs &norm, int64_t heads, const View &out) {
  if (rope && rowClass(input) != exec::Symbol::Tokens)
    return op->emitOpError("turns wanted rows only; positions are known for the rows of the whole step");
  if (norm.kind && (*norm.kind != llm::NormKind::Rms || norm.bias))
    return op->emitOpError("is a norm over heads; only rms without a bias is built");
  llvm::StringRef kind = ropeKind(rope);
  int64_t half = rope ? rope.getDim() / 2 : 0;
  Operands operands{operand(input)};
  if (rope) operands.push_back(operand(ropeTables[withoutKind(rope)]));
  if (norm.kind) operands.push_back(weight(norm.weight));
  operands.push_back(operand(out));
  Scalars scalars{symbol(rowClass(input)), number(heads), number(input.width / heads), number(half),
                  number(roundUp(half, 16)), number(input.ld), number(out.ld)};
  std::string name = (rope ? llvm::Twine("rope_") + kind : llvm::Twine("head_norm")).str();
  if (rope && norm.kind) name += "_norm";
  dispatch(kernels.get(name, "rope",
                       config({{"kind", builder.getStringAttr(kind)},
                               {"norm", builder.getStringAttr(norm.kind ? "rms" : "none")},
                               {"epsilon", builder.getF64FloatAttr(norm.kind ? norm.epsilon : 0.0)}})),
           operands, scalars);
  return success();
}

// ---- the cache -------------------------------------------------------------------------------------------------------

int64_t pageBytes(int64_t kvHeads, int64_t keyDim, int64_t valueDim, int64_t pageTokens, mlir::Type element) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, scales = element.isInteger(8) ? 2 * 4 : 0;
  return kvHeads * pageTokens * ((keyDim + roundUp(valueDim, 16)) * bytes + scales);
}

llvm::StringRef cacheElementName(mlir::Type type) { return type.isInteger(8) ? "int8" : elementName(type); }

llvm::FailureOr<llm::CacheGroupOp> StepLowering::cacheGroup(mlir::Operation *op, int64_t index) {
  for (auto group : module.getOps<llm::CacheGroupOp>()) {
    if (int64_t(group.getIndex()) != index) continue;
    if (cacheElementName(group.getElement()).empty()) return group.emitOpError("has an element type no kernel knows");
    if (group.getPageTokens() != 16) return group.emitOpError("has pages that are not 16 tokens long");
    if (group.getElement().isBF16() && group.getKeyDim() % 2)
      return group.emitOpError("has keys of ") << group.getKeyDim() << " values, which bf16 pages keep in pairs; use "
                                                                       "--kv-cache-dtype f16";
    return group;
  }
  return op->emitOpError("names cache group ") << index << ", which does not exist";
}

// The layer's pages: pools are [layers][pages][bytes of a page].
mlir::Attribute StepLowering::pool(llm::CacheGroupOp group, int64_t slot) {
  int64_t bytes = pageBytes(group.getKvHeads(), group.getKeyDim(), group.getValueDim(), group.getPageTokens(),
                            group.getElement());
  int64_t index = group.getIndex();
  exec::Size offset = slot == 0 ? exec::Size() : exec::Size(slot * bytes, exec::getPagesSymbol(unsigned(index)));
  return exec::cacheOperand(context, group.getSymName(), index, offset);
}

llvm::LogicalResult StepLowering::lowerCacheWrite(llm::CacheWriteOp op) {
  auto group = cacheGroup(op, op.getGroup());
  auto key = rowsOf(op.getKey(), op), value = rowsOf(op.getValue(), op);
  if (failed(group) || failed(key) || failed(value)) return failure();
  if (rowClass(*key) != exec::Symbol::Tokens || rowClass(*value) != exec::Symbol::Tokens)
    return op.emitOpError("writes wanted rows only; every row of the step belongs in the cache");
  llvm::StringRef element = cacheElementName(group->getElement());
  auto kernel = kernels.get(("cache_write_" + element).str(), "cache_write",
                            config({{"element", builder.getStringAttr(element)}}));
  int64_t index = group->getIndex();
  Operands operands{operand(*key), operand(*value), input("Positions"), input("SequenceIndex"),
                    input("PageTable", index), pool(*group, op.getSlot())};
  Scalars scalars{symbol(exec::Symbol::Tokens), number(key->ld), number(value->ld), number(op.getKvHeads()),
                  number(op.getKeyDim()), number(op.getValueDim()), number(roundUp(op.getValueDim(), 16)),
                  symbol(exec::Symbol::Sequences), symbol(exec::Symbol::MaxBlocks),
                  symbol(exec::getPagesSymbol(unsigned(index)))};
  dispatch(kernel, operands, scalars);
  return success();
}

llvm::FailureOr<mlir::Attribute> StepLowering::pagedVector(llm::PagedAttentionOp op, mlir::FlatSymbolRefAttr name) {
  if (failed(vectorOf(op, name, op.getHeads()))) return failure();
  return weight(name);
}

// Few heads give few work items: a row is then split into parts, up to kItems of a step of one row. Steps of more than
// kSplitRows rows are never split, so the records stay small.
std::optional<SplitAttention> StepLowering::splitAttention(llm::PagedAttentionOp op) {
  constexpr int64_t kItems = 32, kSplitRows = 4;
  int64_t parts = kItems / int64_t(op.getKvHeads());
  if (!options.splitAttention || parts < 2) return std::nullopt;
  int64_t headBlocks = ceilDiv(op.getHeads(), 16);
  int64_t segmentBytes = kSplitRows * headBlocks * (64 * roundUp(op.getValueDim(), 16) + 2 * 64);
  return SplitAttention{parts, kSplitRows, newBuffer("segments", "f32", exec::Symbol::MaxBlocks, segmentBytes / 16),
                        newBuffer("last_segment", "f32", exec::Symbol::One, segmentBytes)};
}

void StepLowering::combineAttention(llm::PagedAttentionOp op, const SplitAttention &split, const View &out) {
  Operands operands{input("Positions"), operand(split.segments), operand(split.last)};
  if (op.getSinksAttr()) operands.push_back(weight(op.getSinksAttr()));
  operands.push_back(operand(out));
  auto kernel = kernels.get("attention_combine", "attention_combine",
                            config({{"window", builder.getI64IntegerAttr(op.getWindow())},
                                    {"sinks", builder.getBoolAttr(bool(op.getSinksAttr()))},
                                    {"split_rows", builder.getI64IntegerAttr(split.rows)}}));
  Scalars scalars{symbol(exec::Symbol::Tokens), number(op.getHeads()), number(ceilDiv(op.getHeads(), 16)),
                  number(op.getValueDim()), number(roundUp(op.getValueDim(), 16)), number(out.ld),
                  symbol(exec::Symbol::MaxBlocks)};
  dispatch(kernel, operands, scalars, ("layer " + llvm::Twine(op.getLayer())).str());
}

llvm::LogicalResult StepLowering::lowerAttention(llm::PagedAttentionOp op) {
  auto group = cacheGroup(op, op.getGroup());
  auto query = rowsOf(op.getQuery(), op);
  if (failed(group) || failed(query)) return failure();
  if (rowClass(*query) != exec::Symbol::Tokens)
    return op.emitOpError("attends from wanted rows only; positions are known for the rows of the whole step");
  llvm::StringRef element = cacheElementName(group->getElement());
  int64_t index = group->getIndex();
  Operands operands{operand(*query), input("Positions"), input("SequenceIndex"), input("PageTable", index),
                    pool(*group, op.getSlot())};
  for (auto name : {op.getSinksAttr(), op.getAlibiAttr()}) {
    if (!name) continue;
    auto vector = pagedVector(op, name);
    if (failed(vector)) return failure();
    operands.push_back(*vector);
  }
  View out = newRows("attention", op.getResult(), exec::Symbol::Tokens);
  operands.push_back(operand(out));
  ConfigEntries entries{
      {"element", builder.getStringAttr(element)},
      {"scale", builder.getF64FloatAttr(op.getScale().convertToDouble())},
      {"soft_cap", builder.getF64FloatAttr(op.getSoftCap().convertToDouble())},
      {"window", builder.getI64IntegerAttr(op.getWindow())},
      {"sinks", builder.getBoolAttr(bool(op.getSinksAttr()))},
      {"alibi", builder.getBoolAttr(bool(op.getAlibiAttr()))}};
  std::optional<SplitAttention> split = splitAttention(op);
  if (split) {
    operands.append({operand(split->segments), operand(split->last)});
    entries.append({{"parts", builder.getI64IntegerAttr(split->parts)},
                    {"split_rows", builder.getI64IntegerAttr(split->rows)},
                    {"group", builder.getI64IntegerAttr(op.getHeads() / op.getKvHeads())}});
  }
  auto kernel = kernels.get(("attention_" + element).str(), "attention", config(entries));
  Scalars scalars{symbol(exec::Symbol::Tokens), number(op.getHeads()), number(op.getKvHeads()),
                  number(op.getHeads() / op.getKvHeads()), number(op.getKeyDim()), number(op.getValueDim()),
                  number(roundUp(op.getValueDim(), 16)), number(query->ld), number(out.ld),
                  symbol(exec::Symbol::Sequences), symbol(exec::Symbol::MaxBlocks),
                  symbol(exec::getPagesSymbol(unsigned(index)))};
  if (split) scalars.push_back(number(ceilDiv(op.getHeads(), 16)));
  dispatch(kernel, operands, scalars, ("layer " + llvm::Twine(op.getLayer())).str());
  if (split) combineAttention(op, *split, out);
  setView(op.getResult(), out);
  return success();
}

} // namespace llmc
