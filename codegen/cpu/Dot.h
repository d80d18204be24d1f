// The int8 dot product behind one helper: int32 sums over the columns of a weight group, of a strip of outputs (as many
// as a vector of the tier has lanes) by some rows of the step. Each tier has its own instructions and all have the same
// exact result.
#pragma once

#include "codegen/cpu/KernelBuilder.h"
#include "codegen/schemes/Scheme.h"

#include <memory>

namespace llmc::cpu {

class GroupDot {
public:
  static constexpr int64_t kStepColumns = 8;    // that add() takes
  static constexpr int64_t kNarrowColumns = 32; // that fit between narrow() and widen()

  // For `rows` rows of the step.
  static std::unique_ptr<GroupDot> create(KernelBuilder &k, const Scheme &scheme, int64_t rows);
  static int64_t lanes(const codegen::CpuTier &tier) { return tier.vectorBits / 32; } // outputs of a strip
  virtual ~GroupDot() = default;

  // Inputs of a tile: int8, four columns of a row side by side, then those of the next row. `at`: the first row and
  // column; `step`: bytes to the next four columns.
  struct Inputs {
    Value at, step;
  };

  int64_t rowCount() const { return rows; }
  // Columns worth unrolling together: the scheduler makes all that is unrolled ready at once, and spills it.
  virtual int64_t columnsTogether() const { return kNarrowColumns; }
  // With few of them, what waits takes none: corrections come with finish() alone, and the first columns are apart.
  virtual bool hasFewRegisters() const { return false; }
  // `corr`: an i32 a row, -zero x the sum of its inputs in the group: cancels the stored weights' offset.
  virtual Values begin(ValueRange corr) = 0;
  // Before and after every kNarrowColumns columns: what has narrower sums keeps them at the state's end meanwhile.
  virtual void narrow(Values &state) {}
  virtual void widen(Values &state) {}
  // kStepColumns columns. `weights`: the strip's part of their first line.
  void add(Values &state, Value weights, const Inputs &inputs);
  // A vector of i32 a row.
  virtual Values finish(const Values &state, ValueRange corr) = 0;

protected:
  GroupDot(KernelBuilder &k, const Scheme &scheme, int64_t rows, bool signedWeights)
      : k(k), scheme(scheme), rows(rows), strip(lanes(k.tier)), signedWeights_(signedWeights) {}

  // Eight columns: the strip's weights of the first four and of the second, bytes.
  virtual void addQuads(Values &state, Value first, Value second, const Inputs &inputs) = 0;

  bool wide() const { return scheme.bits == 8; }
  Value words(ValueRange scalars, int64_t row) { return k.broadcast(scalars[row], strip); }
  Value splatOf(mlir::Type element, int64_t lanes, int64_t value);
  Value asBytes(Value vector);
  // Four columns of a row, for each output of a vector of `bytes`.
  Value broadcastInputs(const Inputs &inputs, int64_t row, int64_t bytes);
  Values addCorrections(Values sums, ValueRange corr);

  KernelBuilder &k;
  const Scheme &scheme;
  int64_t rows, strip;

private:
  bool signedWeights_; // 8-bit weights lose their offset as they are loaded, and need no correction
};

// By what the tier has.
std::unique_ptr<GroupDot> createX86Dot(KernelBuilder &k, const Scheme &scheme, int64_t rows);
std::unique_ptr<GroupDot> createArmDot(KernelBuilder &k, const Scheme &scheme, int64_t rows);

} // namespace llmc::cpu
