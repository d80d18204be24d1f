#include "passes/Passes.h"

#include "mlir/IR/Builders.h"

namespace llmc {
#define GEN_PASS_DEF_PAGEATTENTION
#include "passes/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

namespace {

// What layers of one cache group have in common.
struct Shape {
  int64_t window, kvHeads, keyDim, valueDim;
  friend bool operator==(const Shape &, const Shape &) = default;
};

struct Group {
  Shape shape;
  SmallVector<AttentionOp> layers;
};

struct PageAttention : llmc::impl::PageAttentionBase<PageAttention> {
  using PageAttentionBase::PageAttentionBase;

  void runOnOperation() override {
    Type stored = parseElement();
    if (!stored)
      return fail("unknown element '" + element + "' of keys and values; use f32, bf16, f16 or int8");
    if (uint64_t(pageTokens) != tokensPerPage)
      return fail("pages of " + std::to_string(pageTokens) + " tokens are not supported; use 16");
    SmallVector<Group> groups = collectGroups();
    if (groups.size() > maxCacheGroups)
      return fail("the model has " + std::to_string(groups.size()) +
                  " kinds of attention layers (by window, heads and head sizes); at most 8 are supported");
    SymbolTable table(getOperation());
    for (auto [index, group] : llvm::enumerate(groups)) {
      declareGroup(table, index, group, stored);
      for (auto [slot, attention] : llvm::enumerate(group.layers))
        replace(attention, index, slot, stored);
    }
  }

  void fail(const std::string &message) {
    getOperation().emitError(message);
    signalPassFailure();
  }

  Type parseElement() {
    if (element == "f32")
      return Float32Type::get(&getContext());
    if (element == "bf16")
      return BFloat16Type::get(&getContext());
    if (element == "int8")
      return IntegerType::get(&getContext(), 8);
    return element == "f16" ? Float16Type::get(&getContext()) : Type();
  }

  // In order of first appearance, those without a window first.
  SmallVector<Group> collectGroups() {
    SmallVector<Group> groups;
    getOperation().walk([&](AttentionOp op) {
      Shape shape = {int64_t(op.getWindow()), int64_t(op.getKvHeads()), int64_t(op.getKeyDim()),
                     int64_t(op.getValueDim())};
      auto place = llvm::find_if(groups, [&](const Group &group) { return group.shape == shape; });
      if (place == groups.end()) {
        auto windowed = llvm::find_if(groups, [](const Group &group) { return group.shape.window != 0; });
        place = groups.insert(shape.window ? groups.end() : windowed, Group{shape, {}});
      }
      place->layers.push_back(op);
    });
    return groups;
  }

  void declareGroup(SymbolTable &table, int64_t index, const Group &group, Type stored) {
    const Shape &shape = group.shape;
    std::string name = shape.window ? "window" + std::to_string(shape.window) : "full";
    OpBuilder builder(&getContext());
    auto op = CacheGroupOp::create(builder, group.layers.front()->getLoc(), name, index, int64_t(group.layers.size()),
                                   shape.window, pageTokens, shape.kvHeads, shape.keyDim, shape.valueDim, stored);
    auto function = group.layers.front()->getParentOfType<func::FuncOp>();
    table.insert(op, Block::iterator(function));
  }

  static void replace(AttentionOp op, int64_t group, int64_t slot, Type stored) {
    OpBuilder builder(op);
    CacheWriteOp::create(builder, op.getLoc(), op.getBatch(), op.getKey(), op.getValue(), group, slot, op.getKvHeads(),
                         op.getKeyDim(), op.getValueDim(), stored);
    auto paged = PagedAttentionOp::create(
        builder, op.getLoc(), op.getType(), op.getBatch(), op.getQuery(), builder.getI64IntegerAttr(group),
        builder.getI64IntegerAttr(slot), TypeAttr::get(stored), op.getLayerAttr(), op.getHeadsAttr(),
        op.getKvHeadsAttr(), op.getKeyDimAttr(), op.getValueDimAttr(), op.getScaleAttr(), op.getSoftCapAttr(),
        op.getWindowAttr(), op.getSinksAttr(), op.getAlibiAttr());
    op.replaceAllUsesWith(paged.getResult());
    op.erase();
  }
};

} // namespace
