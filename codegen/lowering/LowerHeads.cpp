// A linear that makes a layer's heads, lowered together with what happens to them on the way to attention: head norms,
// ropes and the write into the cache are one dispatch with it (docs/kernels.md, linear_heads).
#include "codegen/lowering/StepLowering.h"

namespace llmc {

using mlir::failed;
using mlir::failure;

namespace {

// A slice of the linear's outputs, and what it goes through; `value` is what others read.
struct Chain {
  llm::SliceOp slice;
  llm::NormOp norm;
  llm::RopeOp rope;
  mlir::Value value;
};

template <typename Op> Op onlyUser(mlir::Value value) {
  return value.hasOneUse() ? llvm::dyn_cast<Op>(*value.user_begin()) : Op();
}

Chain chainOf(llm::SliceOp slice) {
  Chain chain{slice, {}, {}, slice.getResult()};
  if (auto norm = onlyUser<llm::NormOp>(chain.value); norm && norm.getGroup() > 0) {
    chain.norm = norm;
    chain.value = norm.getResult();
  }
  if (auto rope = onlyUser<llm::RopeOp>(chain.value)) {
    chain.rope = rope;
    chain.value = rope.getResult();
  }
  return chain;
}

// Columns of the linear: where the slice begins, and how many heads of `dim` it is; 0 if it is not whole heads.
int64_t headsIn(Chain chain, int64_t dim) {
  int64_t columns = llm::getColumns(chain.value), heads = columns % dim == 0 ? columns / dim : 0;
  if (chain.rope && int64_t(chain.rope.getHeads()) != heads) return 0;
  if (chain.norm && int64_t(chain.norm.getGroup()) != dim) return 0;
  return heads;
}
int64_t endOf(Chain chain) { return int64_t(chain.slice.getOffset()) + llm::getColumns(chain.value); }

bool isPlain(Chain chain) { return !chain.norm && !chain.rope; }

// The kernel has one rope and one norm, with a weight for queries and one for keys.
bool areAlike(Chain query, Chain key) {
  if (bool(query.norm) != bool(key.norm) || bool(query.rope) != bool(key.rope)) return false;
  if (query.rope && query.rope.getRope() != key.rope.getRope()) return false;
  if (!query.norm) return true;
  auto isBuilt = [](llm::NormOp norm) {
    return norm.getKind() == llm::NormKind::Rms && norm.getWeightAttr() && !norm.getBiasAttr();
  };
  return isBuilt(query.norm) && isBuilt(key.norm) && query.norm.getEpsilon() == key.norm.getEpsilon();
}

// Pages may be written where the linear stands if nobody looks at them before they are written now.
bool mayWriteAt(mlir::Operation *linear, llm::CacheWriteOp write) {
  for (mlir::Operation *op = linear->getNextNode(); op && op != write; op = op->getNextNode())
    if (llvm::isa<llm::CacheWriteOp, llm::PagedAttentionOp>(op)) return false;
  return linear->isBeforeInBlock(write);
}

} // namespace

std::optional<StepLowering::Heads> StepLowering::headsOf(llm::LinearOp op) {
  if (!options.headsInLinear || op.getGated() || !op.getRows().empty()) return std::nullopt;
  std::optional<Chain> query, key, value;
  llm::CacheWriteOp write;
  for (mlir::Operation *user : op.getResult().getUsers()) {
    auto slice = llvm::dyn_cast<llm::SliceOp>(user);
    if (!slice) return std::nullopt;
    Chain chain = chainOf(slice);
    auto writer = onlyUser<llm::CacheWriteOp>(chain.value);
    if (writer && write && writer != write) return std::nullopt;
    if (writer) write = writer;
    std::optional<Chain> &place = !writer ? query : writer.getKey() == chain.value ? key : value;
    if (place) return std::nullopt;
    place = chain;
  }
  if (!query || !key || !value || !isPlain(*value) || !areAlike(*query, *key) || !mayWriteAt(op, write))
    return std::nullopt;
  int64_t keyDim = write.getKeyDim(), valueDim = write.getValueDim(), kvHeads = write.getKvHeads();
  bool inOrder = query->slice.getOffset() == 0 && endOf(*query) == int64_t(key->slice.getOffset()) &&
                 endOf(*key) == int64_t(value->slice.getOffset()) && endOf(*value) == llm::getColumns(op.getResult());
  Heads heads{write, query->rope ? query->rope.getRope() : llm::RopeAttr(), query->norm, key->norm, query->value,
              headsIn(*query, keyDim), {}};
  if (!inOrder || keyDim % 16 || valueDim % 16 || heads.queries == 0 || headsIn(*key, keyDim) != kvHeads ||
      headsIn(*value, valueDim) != kvHeads)
    return std::nullopt;
  heads.folded.push_back(write);
  for (Chain chain : {*query, *key, *value})
    for (mlir::Operation *part : {chain.slice.getOperation(), chain.norm.getOperation(), chain.rope.getOperation()})
      if (part) heads.folded.push_back(part);
  return heads;
}

llvm::LogicalResult StepLowering::dispatchHeads(llm::LinearOp op, Heads heads, std::string name,
                                                ConfigEntries entries, Operands operands, Scalars scalars) {
  llm::CacheWriteOp write = heads.write;
  int64_t keyDim = write.getKeyDim(), valueDim = write.getValueDim();
  auto group = cacheGroup(write, write.getGroup());
  if (failed(group)) return failure();
  llvm::StringRef kind = ropeKind(heads.rope), element = cacheElementName(group->getElement());
  if (heads.rope) operands.push_back(operand(ropeTables[withoutKind(heads.rope)]));
  for (llm::NormOp norm : {heads.queryNorm, heads.keyNorm}) {
    if (!norm) continue;
    if (failed(vectorOf(norm, norm.getWeightAttr(), keyDim))) return failure();
    operands.push_back(weight(norm.getWeightAttr()));
  }
  View out = newRows("query", heads.query, exec::Symbol::Tokens);
  int64_t index = group->getIndex(), half = heads.rope ? heads.rope.getDim() / 2 : 0;
  operands.append({input("Positions"), input("SequenceIndex"), input("PageTable", index), pool(*group, write.getSlot()),
                   operand(out)});
  constexpr size_t kLdOut = 6;
  scalars[kLdOut] = number(out.ld);
  scalars.append({number(heads.queries), number(write.getKvHeads()), number(keyDim / 16), number(valueDim / 16),
                  number(half), number(roundUp(half, 16)), symbol(exec::Symbol::Sequences),
                  symbol(exec::Symbol::MaxBlocks), symbol(exec::getPagesSymbol(unsigned(index)))});
  double epsilon = heads.queryNorm ? heads.queryNorm.getEpsilon().convertToDouble() : 0.0;
  entries.append({{"rope", builder.getStringAttr(kind)},
                  {"norm", builder.getStringAttr(heads.queryNorm ? "rms" : "none")},
                  {"epsilon", builder.getF64FloatAttr(epsilon)},
                  {"cache", builder.getStringAttr(element)}});
  name += ("_" + element).str();
  dispatch(kernels.get(name, "linear_heads", config(entries), &op.getEpilogue()), operands, scalars, op.getWeight());
  folded.insert(heads.folded.begin(), heads.folded.end());
  setView(heads.query, out);
  return mlir::success();
}

} // namespace llmc
