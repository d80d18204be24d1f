#include "codegen/gpu/ops/Chip.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace llmc::chip;

// The types of warpgroup_mma's results, which say nothing.
static ParseResult parseNumbers(OpAsmParser &parser, SmallVectorImpl<Type> &types) {
  types.assign(kWarpgroupNumbers, parser.getBuilder().getF32Type());
  return success();
}
static void printNumbers(OpAsmPrinter &, Operation *, TypeRange) {}

#include "codegen/gpu/ops/ChipDialect.cpp.inc"
#include "codegen/gpu/ops/ChipEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "codegen/gpu/ops/ChipAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "codegen/gpu/ops/ChipOps.cpp.inc"

void ChipDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "codegen/gpu/ops/ChipAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "codegen/gpu/ops/ChipOps.cpp.inc"
      >();
}

// The threads of the workgroup around `op`; none where no gpu.func says.
static std::optional<int64_t> threadsAround(Operation *op) {
  auto function = op->getParentOfType<gpu::GPUFuncOp>();
  if (!function || !function.getKnownBlockSize()) return std::nullopt;
  return function.getKnownBlockSize()->front();
}

static LogicalResult verifyWhole(Operation *op, int64_t threads) {
  std::optional<int64_t> all = threadsAround(op);
  if (!all) return op->emitOpError("stands in a gpu.func with a known_block_size");
  if (*all % threads != 0) return op->emitOpError("needs a workgroup of a multiple of ") << threads << " threads, not " << *all;
  return success();
}

LogicalResult MmaOp::verify() {
  if (getA().size() != 4 || getB().size() != 2 || getC().size() != 4)
    return emitOpError("takes 4 words of A, 2 of B and 4 numbers of C");
  return verifyWhole(*this, kWarp);
}

static bool isShared(Type memory) {
  auto space = dyn_cast_or_null<gpu::AddressSpaceAttr>(cast<MemRefType>(memory).getMemorySpace());
  return space && space.getValue() == gpu::AddressSpace::Workgroup;
}

LogicalResult WarpgroupMmaOp::verify() {
  if (int64_t(getA().size()) != kWarpgroupWords || int64_t(getD().size()) != kWarpgroupNumbers)
    return emitOpError("takes 8 words of A and gives 32 numbers");
  if (!isShared(getB().getType())) return emitOpError("takes B from the workgroup's memory");
  return verifyWhole(*this, kWarpgroup);
}

LogicalResult CopyOp::verify() {
  if (!llvm::is_contained({1, 2, 4}, getWords())) return emitOpError("copies 1, 2 or 4 words, not ") << getWords();
  if (isShared(getFrom().getType())) return emitOpError("copies from global memory");
  if (!isShared(getTo().getType())) return emitOpError("copies to the workgroup's memory");
  return success();
}

LogicalResult WaitOp::verify() {
  if (int64_t(getGroups()) < 0) return emitOpError("waits for no fewer than 0 groups to be left");
  return success();
}

LogicalResult ReduceOp::verify() {
  if (!llvm::is_contained({2, 4, 8, 16, 32}, getAcross()))
    return emitOpError("goes across 2, 4, 8, 16 or 32 threads, not ") << getAcross();
  std::optional<int64_t> all = threadsAround(*this);
  return verifyWhole(*this, all.value_or(0) > kWarp ? kWarp : int64_t(getAcross())); // no warp but a lone one is short
}

// The product whose numbers `op` begins with, if they go nowhere else.
static MmaOp startOf(MmaOp op) {
  auto before = op.getC()[0].getDefiningOp<MmaOp>();
  if (!before || before->getBlock() != op->getBlock() || before.getElement() != op.getElement()) return {};
  for (auto [i, number] : llvm::enumerate(op.getC()))
    if (number != before->getResult(unsigned(i)) || !number.hasOneUse()) return {};
  return before;
}

MmaOp llmc::chip::leaderOf(MmaOp op) {
  MmaOp before = startOf(op);
  return before && !leaderOf(before) ? before : MmaOp();
}

MmaOp llmc::chip::followerOf(MmaOp op) {
  if (op.getD0().use_empty()) return {};
  auto next = dyn_cast<MmaOp>(*op.getD0().getUsers().begin());
  return next && leaderOf(next) == op ? next : MmaOp();
}

llvm::SmallVector<MmaOp> llmc::chip::chainOf(MmaOp last) {
  if (MmaOp before = leaderOf(last)) return {before, last};
  return {last};
}
