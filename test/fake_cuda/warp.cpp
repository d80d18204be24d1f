#include "warp.h"

#include "half.h"
#include "thread.h"

namespace ptx {

namespace {

// mma.sync.m16n8k16, row.col: operands are d, a, b, c. Products are added up in double and rounded once, which is an order
// that no chip has: what is tested must not depend on one.
template <auto ToFloat> void multiply(const Instruction &i, Thread &first) {
  Thread *warp = &first;
  double a[16][16], b[16][8];
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane) {
    uint32_t group = lane / 4, pair = lane % 4 * 2;
    for (uint32_t word = 0; word < 4; ++word)
      for (uint32_t half = 0; half < 2; ++half)
        a[group + word % 2 * 8][pair + word / 2 * 8 + half] =
            double(ToFloat(warp[lane].word(i.more[4 + word]) >> (16 * half) & 0xffff));
    for (uint32_t word = 0; word < 2; ++word)
      for (uint32_t half = 0; half < 2; ++half)
        b[pair + word * 8 + half][group] = double(ToFloat(warp[lane].word(i.more[8 + word]) >> (16 * half) & 0xffff));
  }
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane) {
    float sums[4];
    for (uint32_t n = 0; n < 4; ++n) {
      uint32_t row = lane / 4 + n / 2 * 8, column = lane % 4 * 2 + n % 2;
      double sum = double(warp[lane].number(i.more[10 + n]));
      for (uint32_t k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      sums[n] = float(sum);
    }
    for (uint32_t n = 0; n < 4; ++n) warp[lane].set_number(i.more[n], sums[n]);
  }
}

// shfl.sync.bfly.b32 to, from, lane, clamp, mask; the clamp that is used lets all lanes through.
void butterfly(const Instruction &i, Thread &first) {
  Thread *warp = &first;
  uint32_t mask = first.word(i.more[4]), old[kWarpThreads] = {};
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane)
    if (mask >> lane & 1) old[lane] = warp[lane].word(i.more[1]);
  for (uint32_t lane = 0; lane < kWarpThreads; ++lane)
    if (mask >> lane & 1) warp[lane].set(i.more[0], old[lane ^ first.word(i.more[2])]);
}

} // namespace

Action warp_action(const std::string &name) {
  if (name == "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32") return multiply<from_bf16>;
  if (name == "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32") return multiply<from_f16>;
  return name == "shfl.sync.bfly.b32" ? butterfly : nullptr;
}

bool lone_warp(const Instruction &instruction, uint32_t threads) {
  uint64_t all = (uint64_t(1) << threads) - 1;
  return instruction.action == butterfly && uint32_t(instruction.more[4].value) == all;
}

} // namespace ptx
