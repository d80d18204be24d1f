// Chip operations in what every device has. Correct is all that this is to be.
#include "codegen/common/Halves.h"
#include "codegen/gpu/ops/Chip.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace llmc::chip {

using namespace mlir;
using codegen::NumberBuilder;
using codegen::Values;

namespace {

constexpr int64_t kMmaWords = 6; // of A and B in a thread
constexpr int64_t kPairs = 8;    // of columns of a product
constexpr int64_t kUnitWords = 32, kEightWords = 4 * kUnitWords; // of warpgroup_mma's B: 8 x 8 numbers, 8 columns

class Plain : public NumberBuilder {
public:
  explicit Plain(gpu::GPUFuncOp function) : NumberBuilder(function.getLoc(), 0), function(function) {}

  void lower(llvm::function_ref<bool(Operation *)> isFast) {
    llvm::SmallVector<Operation *> all;
    int64_t words = 0; // that a thread gives away
    function.walk([&](Operation *op) {
      if (!isa<ChipDialect>(op->getDialect()) || isFast(op)) return;
      auto mma = dyn_cast<MmaOp>(op);
      if (mma && followerOf(mma)) return; // lowered there
      all.push_back(op);
      words = std::max(words, mma ? kMmaWords * int64_t(chainOf(mma).size()) : exchanged(op));
    });
    if (words) exchangeThrough(words);
    for (Operation *op : all) {
      b.setInsertionPoint(op);
      op->replaceAllUsesWith(lowered(op));
      while (op) { // a product and the one before it
        auto mma = dyn_cast<MmaOp>(op);
        Operation *before = mma ? leaderOf(mma) : MmaOp();
        op->erase();
        op = before;
      }
    }
  }

private:
  static int64_t exchanged(Operation *op) { return isa<WarpgroupMmaOp>(op) ? kWarpgroupWords : isa<ReduceOp>(op); }

  // One piece of memory for all operations: each leaves it with a barrier.
  void exchangeThrough(int64_t words) {
    threads = function.getKnownBlockSize()->front();
    auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
    auto type = MemRefType::get({threads * words}, i32Type(), MemRefLayoutAttrInterface{}, space);
    memory = function.addWorkgroupAttribution(type, b.getLoc());
    b.setInsertionPointToStart(&function.getBody().front());
    thread = gpu::ThreadIdOp::create(b, gpu::Dimension::x);
  }

  Values lowered(Operation *op) {
    if (auto mma = dyn_cast<MmaOp>(op)) return lowered(mma);
    if (auto mma = dyn_cast<WarpgroupMmaOp>(op)) return lowered(mma);
    if (auto dot = dyn_cast<Dot4Op>(op)) return {lowered(dot)};
    if (auto add = dyn_cast<AddPairsOp>(op)) return {lowered(add)};
    if (auto reduce = dyn_cast<ReduceOp>(op)) return {lowered(reduce)};
    if (auto copy = dyn_cast<CopyOp>(op)) lowered(copy);
    return {}; // a copy is there at once: nothing is to be waited for, or to be made seen
  }

  Value index(int64_t value) { return arith::ConstantOp::create(b, b.getIndexAttr(value)); }
  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
  Value mul(Value x, int64_t y) { return b.createOrFold<arith::MulIOp>(x, index(y)); }
  Value div(Value x, int64_t y) { return b.createOrFold<arith::DivUIOp>(x, index(y)); }
  Value rem(Value x, int64_t y) { return b.createOrFold<arith::RemUIOp>(x, index(y)); }
  void give(Value word, int64_t place) {
    memref::StoreOp::create(b, word, memory, ValueRange{add(thread, index(place * threads))});
  }
  Value take(Value at) { return memref::LoadOp::create(b, memory, ValueRange{at}); }

  // A word's two numbers.
  Values halves(Value word, Half element) {
    llvm::StringRef name = stringifyHalf(element);
    return {codegen::halfToF32(*this, name, arith::AndIOp::create(b, word, i32(0xffff))),
            codegen::halfToF32(*this, name, arith::ShRUIOp::create(b, word, i32(16)))};
  }

  // Words of A and B lie in the memory as [product][word][thread].
  Values lowered(MmaOp last) {
    llvm::SmallVector<MmaOp> chain = chainOf(last);
    for (auto [product, op] : llvm::enumerate(chain)) {
      for (auto [i, word] : llvm::enumerate(op.getA())) give(word, int64_t(kMmaWords * product + i));
      for (auto [i, word] : llvm::enumerate(op.getB())) give(word, int64_t(kMmaWords * product + 4 + i));
    }
    gpu::BarrierOp::create(b);
    MmaOp op = chain.front();
    Value inWarp = rem(thread, kWarp), warp = b.createOrFold<arith::SubIOp>(thread, inWarp);
    Value row = mul(div(inWarp, 4), 4), column = mul(rem(inWarp, 4), 2); // of A in threads, of B
    auto loop = scf::ForOp::create(b, index(0), index(kPairs * int64_t(chain.size())), index(1), op.getC());
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value pair = rem(loop.getInductionVar(), kPairs), half = div(pair, 4), own = add(warp, rem(pair, 4));
      own = add(own, mul(div(loop.getInductionVar(), kPairs), kMmaWords * threads));
      Value a = add(add(own, row), mul(half, 2 * threads)), bAt = add(add(own, mul(column, 4)), mul(add(half, index(4)), threads));
      Values upper = halves(take(a), op.getElement()), lower = halves(take(add(a, index(threads))), op.getElement());
      Values left = halves(take(bAt), op.getElement()), right = halves(take(add(bAt, index(4))), op.getElement());
      Values sums(loop.getRegionIterArgs());
      for (int i = 0; i < 2; ++i) {
        sums[0] = fma(upper[i], left[i], sums[0]);
        sums[1] = fma(upper[i], right[i], sums[1]);
        sums[2] = fma(lower[i], left[i], sums[2]);
        sums[3] = fma(lower[i], right[i], sums[3]);
      }
      scf::YieldOp::create(b, sums);
    }
    gpu::BarrierOp::create(b);
    return Values(loop.getResults());
  }

  // Sums of the thread's two rows and of two columns of each eight, a pair of products after the other. Words of A lie in the
  // memory as [word][thread].
  Values lowered(WarpgroupMmaOp op) {
    for (auto [i, word] : llvm::enumerate(op.getA())) give(word, int64_t(i));
    gpu::BarrierOp::create(b);
    Value inWarp = rem(thread, kWarp), warp = b.createOrFold<arith::SubIOp>(thread, inWarp);
    Value rows = add(warp, mul(div(inWarp, 4), 4)), column = mul(rem(inWarp, 4), 2);
    Values zeros(kWarpgroupNumbers, f32(0));
    auto loop = scf::ForOp::create(b, index(0), index(2 * kPairs), index(1), zeros);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value unit = div(loop.getInductionVar(), 4), pair = rem(loop.getInductionVar(), 4);
      Value a = add(add(rows, pair), mul(unit, 2 * threads)); // words 2 unit and 2 unit + 1
      Value at = add(add(op.getIndex(), mul(unit, kUnitWords)), add(mul(column, 4), pair));
      Values upper = halves(take(a), op.getElement()), lower = halves(take(add(a, index(threads))), op.getElement());
      Values sums(loop.getRegionIterArgs());
      for (int64_t eight = 0; eight < kWarpgroupNumbers / 4; ++eight) {
        auto load = [&](int64_t further) {
          Value place = add(at, index(eight * kEightWords + further));
          return halves(memref::LoadOp::create(b, op.getB(), ValueRange{place}), op.getElement());
        };
        Values left = load(0), right = load(4);
        Value *own = &sums[size_t(4 * eight)];
        for (int i = 0; i < 2; ++i) {
          own[0] = fma(upper[i], left[i], own[0]);
          own[1] = fma(upper[i], right[i], own[1]);
          own[2] = fma(lower[i], left[i], own[2]);
          own[3] = fma(lower[i], right[i], own[3]);
        }
      }
      scf::YieldOp::create(b, sums);
    }
    gpu::BarrierOp::create(b);
    return Values(loop.getResults());
  }

  Value lowered(Dot4Op op) {
    Value sum = op.getC();
    for (int byte = 0; byte < 4; ++byte) {
      Value left = i32(24 - 8 * byte), right = i32(24);
      auto signedByte = [&](Value word) -> Value {
        return arith::ShRSIOp::create(b, arith::ShLIOp::create(b, word, left), right);
      };
      Value x = op.getUnsignedA() ? Value(arith::ShRUIOp::create(b, arith::ShLIOp::create(b, op.getA(), left), right))
                                  : signedByte(op.getA());
      sum = arith::AddIOp::create(b, sum, arith::MulIOp::create(b, x, signedByte(op.getB())));
    }
    return sum;
  }

  // By way of f32, whose 24 bits are enough that rounding twice is as rounding once: twice the 8 of bf16 and two more are.
  Value lowered(AddPairsOp op) {
    Values x = halves(op.getA(), Half::Bf16), y = halves(op.getB(), Half::Bf16);
    Value low = codegen::f32ToBf16(*this, addf(x[0], y[0])), high = codegen::f32ToBf16(*this, addf(x[1], y[1]));
    return arith::OrIOp::create(b, low, arith::ShLIOp::create(b, high, i32(16)));
  }

  Value lowered(ReduceOp op) {
    int64_t across = int64_t(op.getAcross());
    give(arith::BitcastOp::create(b, i32Type(), op.getValue()), 0);
    gpu::BarrierOp::create(b);
    Value first = b.createOrFold<arith::SubIOp>(thread, rem(thread, across));
    Values values;
    for (int64_t i = 0; i < across; ++i)
      values.push_back(arith::BitcastOp::create(b, f32Type(), take(add(first, index(i)))));
    for (int64_t half = across / 2; half >= 1; half /= 2)
      for (int64_t i = 0; i < half; ++i) {
        Value x = values[size_t(i)], y = values[size_t(i + half)];
        values[size_t(i)] = op.getFold() == Fold::Sum ? addf(x, y) : maxf(x, y);
      }
    gpu::BarrierOp::create(b);
    return values[0];
  }

  void lowered(CopyOp op) {
    for (int64_t i = 0; i < int64_t(op.getWords()); ++i) {
      Value word = memref::LoadOp::create(b, op.getFrom(), ValueRange{add(op.getFromIndex(), index(i))});
      memref::StoreOp::create(b, word, op.getTo(), ValueRange{add(op.getToIndex(), index(i))});
    }
  }

  gpu::GPUFuncOp function;
  Value memory, thread;
  int64_t threads = 0; // of a workgroup
};

struct LowerChipPlain : PassWrapper<LowerChipPlain, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerChipPlain)
  llvm::StringRef getArgument() const final { return "lower-chip-plain"; }
  llvm::StringRef getDescription() const final { return "Makes of chip operations what every GPU has"; }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, math::MathDialect, memref::MemRefDialect, scf::SCFDialect>();
  }
  void runOnOperation() final {
    getOperation().walk([](gpu::GPUFuncOp function) { lowerPlainly(function, [](Operation *) { return false; }); });
  }
};

} // namespace

void lowerPlainly(gpu::GPUFuncOp function, llvm::function_ref<bool(Operation *)> isFast) {
  Plain(function).lower(isFast);
}

std::unique_ptr<Pass> createLowerChipPlainPass() { return std::make_unique<LowerChipPlain>(); }

} // namespace llmc::chip
