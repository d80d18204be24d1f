// smmla or sdot, or smull where a tier has neither. Weights are signed bytes in all of them: u of 4 bits is one.
#include "codegen/cpu/Dot.h"
#include "runtime/abi/kernel.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

constexpr int64_t kBytes = 16; // of a vector

class ArmDot : public GroupDot {
protected:
  ArmDot(KernelBuilder &k, const Scheme &scheme, int64_t rows) : GroupDot(k, scheme, rows, true) {}

  VectorType sums() { return k.vec(k.i32Type(), strip); }
  Value shuffle(Value x, Value y, llvm::ArrayRef<int64_t> mask) { return vector::ShuffleOp::create(k.b, x, y, mask); }
  Value asWords(Value bytes) { return vector::BitCastOp::create(k.b, sums(), bytes); }
  Values zeros(int64_t count) { return Values(count, splatOf(k.i32Type(), strip, 0)); }
  // Four rows' inputs at once where there are four: sdot takes one of them by its place.
  Values inputsOf(const Inputs &at) {
    Values all;
    int64_t row = 0;
    for (; row + 4 <= rows; row += 4) {
      Value four = k.load(sums(), k.at(at.at, 4 * row), 4);
      for (int64_t i = 0; i < 4; ++i) all.push_back(asBytes(shuffle(four, four, {i, i, i, i})));
    }
    for (; row < rows; ++row) all.push_back(broadcastInputs(at, row, kBytes));
    return all;
  }
};

class SdotDot : public ArmDot {
public:
  SdotDot(KernelBuilder &k, const Scheme &scheme, int64_t rows) : ArmDot(k, scheme, rows) {}

  Values begin(ValueRange corr) override {
    if (wide()) return zeros(rows);
    Values state;
    for (int64_t row = 0; row < rows; ++row) state.push_back(words(corr, row));
    return state;
  }
  Values finish(const Values &state, ValueRange) override { return state; }

private:
  void addQuads(Values &state, Value first, Value second, const Inputs &inputs) override {
    Inputs at = inputs;
    for (Value weights : {first, second}) {
      for (auto [row, x] : llvm::enumerate(inputsOf(at)))
        state[row] = k.intrinsic("llvm.aarch64.neon.sdot", sums(), {state[row], weights, x});
      at.at = k.at(at.at, at.step);
    }
  }
};

// 2 outputs x 8 columns by 8 columns x 2 rows of the step. A state is, for each two rows, the sums of outputs 0 and 1,
// then of 2 and 3: {o0 r0, o0 r1, o1 r0, o1 r1}.
class MatrixDot : public ArmDot {
public:
  MatrixDot(KernelBuilder &k, const Scheme &scheme, int64_t rows) : ArmDot(k, scheme, rows) {}

  Values begin(ValueRange) override { return zeros(2 * ((rows + 1) / 2)); }
  Values finish(const Values &state, ValueRange corr) override {
    Values result;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t odd = row % 2, pair = row - odd;
      result.push_back(shuffle(state[pair], state[pair + 1], {odd, odd + 2, odd + 4, odd + 6}));
    }
    return addCorrections(result, corr);
  }

private:
  // Eight columns of rows `row` and `row + 1`; of the last row alone twice.
  Value pairOf(const Inputs &at, int64_t row) {
    VectorType two = k.vec(k.i32Type(), 2);
    auto load = [&](Value pointer) {
      if (row + 1 < rows) return k.load(two, k.at(pointer, 4 * row), 4);
      return k.broadcast(k.load(k.i32Type(), k.at(pointer, 4 * row)), 2);
    };
    Value low = load(at.at), high = load(k.at(at.at, at.step));
    return asBytes(shuffle(low, high, {0, 2, 1, 3}));
  }

  void addQuads(Values &state, Value first, Value second, const Inputs &inputs) override {
    Value low = asWords(first), high = asWords(second);
    Value outputs[2] = {asBytes(shuffle(low, high, {0, 4, 1, 5})), asBytes(shuffle(low, high, {2, 6, 3, 7}))};
    for (int64_t row = 0; row < rows; row += 2) {
      Value x = pairOf(inputs, row);
      for (int64_t i = 0; i < 2; ++i)
        state[row + i] = k.intrinsic("llvm.aarch64.neon.smmla.v4i32.v16i8", sums(), {state[row + i], outputs[i], x});
    }
  }
};

// Products of bytes into int16. Those of 4-bit weights (15 x 127) are added there, eight of them for 32 columns, before
// they are widened; those of 8-bit ones are widened at once. A state is, for each row, sums of pairs of columns of outputs
// 0 and 1, then of 2 and 3; then, of 4-bit weights, the same of single columns in int16.
class ProductsDot : public ArmDot {
public:
  ProductsDot(KernelBuilder &k, const Scheme &scheme, int64_t rows) : ArmDot(k, scheme, rows) {}

  Values begin(ValueRange) override { return zeros(2 * rows); }
  void narrow(Values &state) override {
    if (!wide()) state.append(2 * rows, splatOf(k.b.getI16Type(), kBytes / 2, 0));
  }
  void widen(Values &state) override {
    if (wide()) return;
    for (int64_t i = 0; i < 2 * rows; ++i) addWidened(state[i], state[2 * rows + i]);
    state.truncate(2 * rows);
  }
  Values finish(const Values &state, ValueRange corr) override {
    Values result;
    for (int64_t row = 0; row < rows; ++row)
      result.push_back(k.intrinsic("llvm.aarch64.neon.addp.v4i32", sums(), {state[2 * row], state[2 * row + 1]}));
    return addCorrections(result, corr);
  }

private:
  VectorType products() { return k.vec(k.b.getI16Type(), kBytes / 2); }
  Value half(Value bytes, int64_t index) {
    llvm::SmallVector<int64_t> mask;
    for (int64_t i = 0; i < kBytes / 2; ++i) mask.push_back(index * kBytes / 2 + i);
    return arith::ExtSIOp::create(k.b, products(), shuffle(bytes, bytes, mask));
  }
  void addWidened(Value &sum, Value values) {
    sum = arith::AddIOp::create(k.b, sum, k.intrinsic("llvm.aarch64.neon.saddlp.v4i32.v8i16", sums(), {values}));
  }

  void addQuads(Values &state, Value first, Value second, const Inputs &inputs) override {
    Inputs at = inputs;
    for (Value weights : {first, second}) {
      for (int64_t row = 0; row < rows; ++row) {
        Value x = broadcastInputs(at, row, kBytes);
        for (int64_t i = 0; i < 2; ++i) {
          Value product = arith::MulIOp::create(k.b, half(weights, i), half(x, i));
          if (wide()) {
            addWidened(state[2 * row + i], product);
          } else {
            Value &sum = state[2 * rows + 2 * row + i];
            sum = arith::AddIOp::create(k.b, sum, product);
          }
        }
      }
      at.at = k.at(at.at, at.step);
    }
  }
};

} // namespace

std::unique_ptr<GroupDot> createArmDot(KernelBuilder &k, const Scheme &scheme, int64_t rows) {
  if ((k.tier.features & LLMRT_FEATURE_I8MM) && rows > 1) return std::make_unique<MatrixDot>(k, scheme, rows);
  if (k.tier.features & LLMRT_FEATURE_DOTPROD) return std::make_unique<SdotDot>(k, scheme, rows);
  return std::make_unique<ProductsDot>(k, scheme, rows);
}

} // namespace llmc::cpu
