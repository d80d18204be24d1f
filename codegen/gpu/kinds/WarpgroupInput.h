// x where chip.warpgroup_mma takes it from: [eight tokens][unit of 8 columns][token][pair] in the workgroup's memory. Place q
// of unit u is pair 4 q + u of a chain's 16, so that thread q of a group of four multiplies the columns of its weights
// (MatrixLinear.h).
#pragma once

#include "codegen/gpu/kinds/MatrixLinear.h"

namespace llmc::gpu {

struct WarpgroupInput {
  static constexpr int64_t kEight = 8, kUnits = 4;                        // tokens of a core matrix; its like in a chain
  static constexpr int64_t kUnitWords = 32, kEightWords = kUnits * kUnitWords;
  static constexpr int64_t kProductTokens = 64, kProductWords = kProductTokens / kEight * kEightWords;

  MatrixLinear &l;
  GpuBuilder &k;
  Value memory;
  Value lane, inEight, place; // of the thread in its warp: its token of each eight, and its place in each unit

  WarpgroupInput(MatrixLinear &linear, Value memory)
      : l(linear), k(linear.k), memory(memory), lane(k.rem(k.thread(), MatrixLinear::kWarp)), inEight(k.rem(lane, kEight)),
        place(k.div(lane, kEight)) {}

  // A warp copies unit `unit` of `chain`, of the eight tokens of which `row` is the thread's own, to the eight that begins
  // at word `eight`: 32 words side by side, from four runs of 32 bytes.
  void copy(Value chain, const Bf16Tiles::Row &row, Value unit, Value eight) {
    Value pair = k.add(k.add(k.mul(chain, MatrixLinear::kChain / 2), k.mul(place, kUnits)), unit);
    Value to = k.add(k.add(eight, k.mul(unit, kUnitWords)), k.add(k.mul(inEight, kUnits), place));
    k.copy(1, 0, l.x.pair(row, pair), memory, to);
  }

  // The chain's sums of the warp's row block and the 64 tokens from word `tokens` on, [eight][4 numbers].
  Values multiply(const std::array<Values, 2> &weights, Value tokens) {
    Values a(weights[0]);
    a.append(weights[1].begin(), weights[1].end());
    return k.warpgroupMma("bf16", a, memory, tokens);
  }
};

} // namespace llmc::gpu
