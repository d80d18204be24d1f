// vpdpbusd, or vpmaddubsw and vpmaddwd where a tier lacks it.
#include "codegen/cpu/Dot.h"
#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

// Unsigned weights by signed inputs into int32; the correction is what sums begin at.
class VnniDot : public GroupDot {
public:
  VnniDot(KernelBuilder &k, const Scheme &scheme, int64_t rows) : GroupDot(k, scheme, rows, false) {}

  Values begin(ValueRange corr) override {
    Values state;
    for (int64_t row = 0; row < rows; ++row) state.push_back(words(corr, row));
    return state;
  }
  Values finish(const Values &state, ValueRange) override { return state; }

private:
  void addQuads(Values &state, Value first, Value second, const Inputs &inputs) override {
    llvm::StringRef name = strip == 16 ? "llvm.x86.avx512.vpdpbusd.512" : "llvm.x86.avx512.vpdpbusd.256";
    Inputs at = inputs;
    for (Value weights : {first, second}) {
      for (int64_t row = 0; row < rows; ++row)
        state[row] = k.intrinsic(name, k.vec(k.i32Type(), strip),
                                 {state[row], weights, broadcastInputs(at, row, 4 * strip)});
      at.at = k.at(at.at, at.step);
    }
  }
};

// Pairs of products into int16: with u <= 15 they fit (15 x 127 x 2), and up to eight of them may be added before they
// are widened: just what 32 columns are. 8-bit weights are taken by size, their signs go to the inputs, and each pair
// (127 x 127 x 2) is widened at once. A state is an int32 sum a row, then, of 4-bit weights, an int16 one.
class PairsDot : public GroupDot {
public:
  PairsDot(KernelBuilder &k, const Scheme &scheme, int64_t rows) : GroupDot(k, scheme, rows, true) {}

  int64_t columnsTogether() const override {
    return wide() || (hasFewRegisters() && rows > 4) ? kStepColumns : 2 * kStepColumns;
  }
  bool hasFewRegisters() const override { return strip == 8; }
  Values begin(ValueRange) override { return Values(rows, splatOf(k.i32Type(), strip, 0)); }
  void narrow(Values &state) override {
    if (!wide()) state.append(rows, splatOf(k.b.getI16Type(), 2 * strip, 0));
  }
  void widen(Values &state) override {
    if (wide()) return;
    for (int64_t row = 0; row < rows; ++row) state[row] = addWidened(state[row], state[rows + row]);
    state.truncate(rows);
  }
  Values finish(const Values &state, ValueRange corr) override { return addCorrections(state, corr); }

private:
  VectorType products() { return k.vec(k.b.getI16Type(), 2 * strip); }

  Value multiply(Value unsignedBytes, Value signedBytes) {
    llvm::StringRef name = strip == 16 ? "llvm.x86.avx512.pmaddubs.w.512" : "llvm.x86.avx2.pmadd.ub.sw";
    return k.intrinsic(name, products(), {unsignedBytes, signedBytes});
  }

  Value addWidened(Value sum, Value pairs) {
    llvm::StringRef name = strip == 16 ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
    Value wide = k.intrinsic(name, k.vec(k.i32Type(), strip), {pairs, splatOf(k.b.getI16Type(), 2 * strip, 1)});
    return arith::AddIOp::create(k.b, sum, wide);
  }

  // Inputs with the signs of the weights.
  Value withSigns(Value inputs, Value weights) {
    if (strip == 8) return k.intrinsic("llvm.x86.avx2.psign.b", inputs.getType(), {inputs, weights});
    auto &b = k.b;
    Value zero = splatOf(k.i8Type(), 4 * strip, 0);
    Value negative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, weights, zero);
    return k.select(negative, arith::SubIOp::create(b, zero, inputs), inputs);
  }

  void addQuads(Values &state, Value first, Value second, const Inputs &inputs) override {
    Inputs at = inputs;
    for (Value weights : {first, second}) {
      Value sizes = wide() ? Value(math::AbsIOp::create(k.b, weights)) : weights;
      for (int64_t row = 0; row < rows; ++row) {
        Value x = broadcastInputs(at, row, 4 * strip);
        if (wide()) {
          state[row] = addWidened(state[row], multiply(sizes, withSigns(x, weights)));
        } else {
          Value &sum = state[rows + row];
          sum = arith::AddIOp::create(k.b, sum, multiply(weights, x));
        }
      }
      at.at = k.at(at.at, at.step);
    }
  }
};

} // namespace

std::unique_ptr<GroupDot> createX86Dot(KernelBuilder &k, const Scheme &scheme, int64_t rows) {
  uint64_t needed = k.tier.vectorBits == 512 ? LLMRT_FEATURE_AVX512_VNNI : LLMRT_FEATURE_AVX_VNNI;
  if (k.tier.features & needed) return std::make_unique<VnniDot>(k, scheme, rows);
  return std::make_unique<PairsDot>(k, scheme, rows);
}

} // namespace llmc::cpu
