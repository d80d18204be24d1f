#include "passes/Passes.h"

namespace llmc {
#define GEN_PASS_DEF_VERIFYPAGED
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

// Groups by index, and the places of them that were written so far.
struct Cache {
  SmallVector<CacheGroupOp> groups;
  llvm::DenseSet<std::pair<int64_t, int64_t>> written; // (group, slot)
};

LogicalResult collect(ModuleOp module, Cache &cache) {
  for (auto group : module.getOps<CacheGroupOp>()) {
    if (group.getIndex() != cache.groups.size())
      return group.emitError("cache groups must be declared in order of their indices from 0");
    if (!cache.groups.empty() && !group.getWindow() && cache.groups.back().getWindow())
      return group.emitError("cache groups without a window come first");
    cache.groups.push_back(group);
  }
  return success();
}

template <typename Op> LogicalResult verifyPlace(Op op, Cache &cache) {
  if (op.getGroup() >= cache.groups.size())
    return op.emitError("there is no cache group ") << op.getGroup();
  CacheGroupOp group = cache.groups[op.getGroup()];
  if (op.getSlot() >= group.getLayers())
    return op.emitError("slot ") << op.getSlot() << " is beyond the " << group.getLayers() << " layers of @"
                                 << group.getSymName();
  bool alike = op.getKvHeads() == group.getKvHeads() && op.getKeyDim() == group.getKeyDim() &&
               op.getValueDim() == group.getValueDim() && op.getElement() == group.getElement();
  return alike ? success() : op.emitError("differs from @") << group.getSymName() << " in heads, sizes or element";
}

LogicalResult verifyWrite(CacheWriteOp op, Cache &cache) {
  if (failed(verifyPlace(op, cache)))
    return failure();
  if (!cache.written.insert({op.getGroup(), op.getSlot()}).second)
    return op.emitError("writes slot ") << op.getSlot() << " of group " << op.getGroup() << " a second time";
  return success();
}

LogicalResult verifyRead(PagedAttentionOp op, Cache &cache) {
  if (failed(verifyPlace(op, cache)))
    return failure();
  if (op.getWindow() != cache.groups[op.getGroup()].getWindow())
    return op.emitError("its window is ") << op.getWindow() << ", its group's is another";
  if (!cache.written.contains({op.getGroup(), op.getSlot()}))
    return op.emitError("reads keys and values before the step's were written");
  return success();
}

LogicalResult verify(Operation *op, Cache &cache) {
  if (isa<AttentionOp>(op))
    return op->emitError("does not go through pages");
  if (auto write = dyn_cast<CacheWriteOp>(op))
    return verifyWrite(write, cache);
  auto read = dyn_cast<PagedAttentionOp>(op);
  return read ? verifyRead(read, cache) : success();
}

struct VerifyPaged : llmc::impl::VerifyPagedBase<VerifyPaged> {
  void runOnOperation() override {
    Cache cache;
    if (failed(collect(getOperation(), cache)))
      return signalPassFailure();
    WalkResult result = getOperation().walk([&](Operation *op) {
      return failed(verify(op, cache)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    for (CacheGroupOp group : cache.groups)
      for (int64_t slot = 0; slot < int64_t(group.getLayers()); ++slot)
        if (!cache.written.contains({group.getIndex(), slot})) {
          group.emitError("nothing writes slot ") << slot;
          return signalPassFailure();
        }
  }
};

} // namespace
