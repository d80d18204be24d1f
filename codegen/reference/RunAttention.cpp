#include "codegen/reference/Step.h"

namespace llmc::reference {

static RopeSpec specOf(llm::RopeAttr rope) {
  return {.dim = rope.getDim(), .base = rope.getBase(), .interleaved = rope.getKind() == llm::RopeKind::Interleaved,
          .scaling = rope.getScaling().str(), .factor = rope.getFactor(), .low = rope.getLow(), .high = rope.getHigh(),
          .original = rope.getOriginal(), .betaFast = rope.getBetaFast(), .betaSlow = rope.getBetaSlow(),
          .attentionFactor = rope.getAttentionFactor(), .truncate = rope.getTruncate()};
}

Matrix Step::rope(llm::RopeOp op) {
  const Matrix &input = get(op.getInput());
  RopeSpec spec = specOf(op.getRope());
  int64_t heads = op.getHeads();
  Matrix result{input.columns, {}};
  for (size_t sequence = 0; sequence + 1 < starts_.size(); ++sequence) {
    int64_t first = starts_[sequence], count = starts_[sequence + 1] - first;
    std::vector<float> frequencies = ropeFrequencies(spec, options_.ropeLengths[sequence]);
    Values turned = reference::rope(spec, frequencies, Input(input.values).slice(first * input.columns,
                                                                                 count * input.columns),
                                    llvm::ArrayRef(positions_).slice(first, count), heads, input.columns / heads);
    result.values.insert(result.values.end(), turned.begin(), turned.end());
  }
  return result;
}

template <typename Op> llvm::Expected<Matrix> Step::attention(Op op, Input key, Input value) {
  llvm::Expected<const Weight *> sinks = weight(op, op.getSinksAttr());
  if (!sinks)
    return sinks.takeError();
  llvm::Expected<const Weight *> alibi = weight(op, op.getAlibiAttr());
  if (!alibi)
    return alibi.takeError();
  AttentionSpec spec{.heads = int64_t(op.getHeads()), .kvHeads = int64_t(op.getKvHeads()),
                     .keyDim = int64_t(op.getKeyDim()), .valueDim = int64_t(op.getValueDim()),
                     .scale = op.getScale().convertToDouble(), .softCap = op.getSoftCap().convertToDouble(),
                     .window = int64_t(op.getWindow())};
  const Matrix &query = get(op.getQuery());
  int64_t keyColumns = spec.kvHeads * spec.keyDim, valueColumns = spec.kvHeads * spec.valueDim;
  Matrix result{spec.heads * spec.valueDim, {}};
  for (size_t sequence = 0; sequence + 1 < starts_.size(); ++sequence) {
    int64_t first = starts_[sequence], count = starts_[sequence + 1] - first;
    Values rows = reference::attention(spec, Input(query.values).slice(first * query.columns, count * query.columns),
                                       llvm::ArrayRef(positions_).slice(first, count),
                                       key.slice(first * keyColumns, count * keyColumns),
                                       value.slice(first * valueColumns, count * valueColumns), (*sinks)->values,
                                       (*alibi)->values);
    result.values.insert(result.values.end(), rows.begin(), rows.end());
  }
  return result;
}

llvm::Expected<Matrix> Step::attention(llm::AttentionOp op) {
  return attention(op, get(op.getKey()).values, get(op.getValue()).values);
}

llvm::Error Step::cacheWrite(llm::CacheWriteOp op) {
  Cache cache{get(op.getKey()).values, get(op.getValue()).values};
  if (op.getElement().isInteger(8)) {
    roundInt8Groups(cache.key, op.getKeyDim());
    roundInt8Groups(cache.value, op.getValueDim());
  } else {
    roundAll(elementOf(op.getElement()), cache.key);
    roundAll(elementOf(op.getElement()), cache.value);
  }
  caches_[{op.getGroup(), op.getSlot()}] = std::move(cache);
  return llvm::Error::success();
}

llvm::Expected<Matrix> Step::pagedAttention(llm::PagedAttentionOp op) {
  auto found = caches_.find({int64_t(op.getGroup()), int64_t(op.getSlot())});
  if (found == caches_.end())
    return failure(op, "nothing was written to its cache before it");
  return attention(op, found->second.key, found->second.value);
}

} // namespace llmc::reference
