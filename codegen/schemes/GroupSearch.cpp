#include "codegen/schemes/GroupSearch.h"

#include <cstring>

// The body is compiled once for each vector width. All of it is single IEEE additions, multiplications, divisions and
// comparisons in a fixed order (the project is built with -ffp-contract=off), so every width gives the same bits.
#define LLMC_INLINE static inline __attribute__((always_inline))

namespace llmc::packing {
namespace {

using Lanes = float __attribute__((vector_size(64)));
using Half = float __attribute__((vector_size(32)));
using Doubles = double __attribute__((vector_size(64)));
using Bits = int32_t __attribute__((vector_size(64)));
using Bytes = int8_t __attribute__((vector_size(16)));

// Adding and subtracting it rounds to the nearest even integer; right for magnitudes below 2^22.
constexpr float kRoundToInteger = 12582912.0f;
constexpr float kLargestHalf = 65504.0f;
constexpr float kSmallestHalf = 0x1p-24f;
// Refits of the scale after the first choice; a third one changes almost no group.
constexpr int kRefinements = 2;

struct Sums {
  Lanes wx, ww; // sum of w * x, of w * w
};

// What the search has found so far, a row a lane.
struct Best {
  Doubles error[2];
  Lanes scale;
};

LLMC_INLINE void loadLanes(const float *from, Lanes &to) { std::memcpy(&to, from, sizeof(Lanes)); }

LLMC_INLINE void choose(const Bits &mask, const Lanes &yes, const Lanes &no, Lanes &out) {
  out = Lanes((Bits(yes) & mask) | (Bits(no) & ~mask));
}

// w = the integer nearest to x / scale, within the plan's range.
LLMC_INLINE void quantize(const SearchPlan &plan, const Lanes &x, const Lanes &inverse, Lanes &w) {
  Lanes lowest = Lanes{} + plan.lowest, highest = Lanes{} + plan.highest;
  w = x * inverse;
  choose(w < lowest, lowest, w, w);
  choose(w > highest, highest, w, w);
  w = (w + kRoundToInteger) - kRoundToInteger;
}

// To the nearest f16 value that is not zero; rows that are not alive get zero.
LLMC_INLINE void roundToHalf(const Bits &alive, Lanes &scale) {
  Bits sign = Bits(scale) & int32_t(0x80000000);
  Lanes magnitude = Lanes(Bits(scale) & 0x7fffffff);
  Lanes largest = Lanes{} + kLargestHalf, smallest = Lanes{} + kSmallestHalf;
  choose(magnitude > largest, largest, magnitude, magnitude);
  Bits bits = Bits(magnitude);
  Lanes normal = Lanes((bits + 0xfff + ((bits >> 13) & 1)) & ~0x1fff);
  Lanes small = (magnitude + 0.5f) - 0.5f; // a multiple of 2^-24
  choose(small < smallest, smallest, small, small);
  choose(magnitude < 0x1p-14f, small, normal, magnitude);
  scale = Lanes((Bits(magnitude) | sign) & alive);
}

LLMC_INLINE void invert(const Bits &alive, const Lanes &scale, Lanes &inverse) {
  inverse = Lanes(Bits(1.0f / scale) & alive);
}

LLMC_INLINE void addHalfError(const float *x, const float *scale, const float *w, Doubles &error) {
  Half halves[3];
  std::memcpy(&halves[0], x, sizeof(Half));
  std::memcpy(&halves[1], scale, sizeof(Half));
  std::memcpy(&halves[2], w, sizeof(Half));
  Doubles difference = __builtin_convertvector(halves[0], Doubles) -
                       __builtin_convertvector(halves[1], Doubles) * __builtin_convertvector(halves[2], Doubles);
  error += difference * difference;
}

// The exact squared error of an f16 scale, in double, kept if it is less than the best; and the sums for a refit.
LLMC_INLINE void tryScale(const SearchPlan &plan, const float *values, int group, const Bits &alive,
                          const Lanes &scale, Best &best, Sums &sums) {
  Lanes inverse;
  invert(alive, scale, inverse);
  sums.wx = sums.ww = Lanes{};
  Doubles error[2] = {};
  for (int c = 0; c < group; ++c) {
    Lanes x, w;
    loadLanes(values + c * kRows, x);
    quantize(plan, x, inverse, w);
    sums.wx += w * x;
    sums.ww += w * w;
    auto *xs = reinterpret_cast<const float *>(&x), *ss = reinterpret_cast<const float *>(&scale),
         *ws = reinterpret_cast<const float *>(&w);
    addHalfError(xs, ss, ws, error[0]);
    addHalfError(xs + 8, ss + 8, ws + 8, error[1]);
  }
  for (int r = 0; r < kRows; ++r) {
    if (!(error[r / 8][r % 8] < best.error[r / 8][r % 8])) continue;
    best.error[r / 8][r % 8] = error[r / 8][r % 8];
    best.scale[r] = scale[r];
  }
}

// The least-squares scale (not yet an f16) of the best of the plan's levels: the greatest (sum wx)^2 / sum ww.
LLMC_INLINE void tryLevels(const SearchPlan &plan, const float *values, int group, const Bits &alive,
                           const Lanes &extreme, Lanes &scale) {
  Lanes bestGain = {}, zero = {};
  scale = extreme / plan.lowest;
  for (float level : plan.levels) {
    Lanes inverse = Lanes(Bits(-level / extreme) & alive);
    Lanes wx = {}, ww = {};
    for (int c = 0; c < group; ++c) {
      Lanes x, w;
      loadLanes(values + c * kRows, x);
      quantize(plan, x, inverse, w);
      wx += w * x;
      ww += w * w;
    }
    Lanes fit = wx / ww, gain = fit * wx;
    Bits better = (ww > zero) & (gain > bestGain);
    choose(better, fit, scale, scale);
    choose(better, gain, bestGain, bestGain);
  }
}

LLMC_INLINE PackStatus largestOf(const SearchPlan &plan, const float *values, int group, Lanes &largest,
                                 Lanes &extreme) {
  Bits notFinite = {};
  largest = extreme = Lanes{};
  for (int c = 0; c < group; ++c) {
    Lanes x;
    loadLanes(values + c * kRows, x);
    Bits bits = Bits(x) & 0x7fffffff;
    notFinite |= bits >= 0x7f800000;
    Bits larger = Lanes(bits) > largest;
    choose(larger, x, extreme, extreme);
    choose(larger, Lanes(bits), largest, largest);
  }
  Bits tooLarge = largest > kLargestHalf * plan.highest;
  bool anyBad = false, anyLarge = false;
  for (int r = 0; r < kRows; ++r) {
    anyBad |= notFinite[r] != 0;
    anyLarge |= tooLarge[r] != 0;
  }
  return anyBad ? PackStatus::NotFinite : anyLarge ? PackStatus::TooLarge : PackStatus::Ok;
}

LLMC_INLINE PackStatus searchBody(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w) {
  Lanes largest, extreme;
  if (PackStatus status = largestOf(plan, values, group, largest, extreme); status != PackStatus::Ok) return status;
  Bits alive = largest > kSmallestHalf / 2; // below, every scale rounds every value to zero

  Best best;
  best.error[0] = best.error[1] = Doubles{} + __builtin_inf();
  best.scale = Lanes{};
  Sums sums;
  Lanes scale = largest / plan.highest;
  roundToHalf(alive, scale);
  tryScale(plan, values, group, alive, scale, best, sums);

  tryLevels(plan, values, group, alive, extreme, scale);
  for (int i = 0; i <= kRefinements; ++i) {
    roundToHalf(alive, scale);
    tryScale(plan, values, group, alive, scale, best, sums);
    Lanes fit = sums.wx / sums.ww;
    choose(sums.ww > 0.0f, fit, scale, scale);
  }

  Lanes inverse;
  invert(alive, best.scale, inverse);
  std::memcpy(scales, &best.scale, sizeof(Lanes));
  for (int c = 0; c < group; ++c) {
    Lanes x, q;
    loadLanes(values + c * kRows, x);
    quantize(plan, x, inverse, q);
    Bytes bytes = __builtin_convertvector(__builtin_convertvector(q, Bits), Bytes);
    std::memcpy(w + c * kRows, &bytes, sizeof(Bytes));
  }
  return PackStatus::Ok;
}

PackStatus searchPlain(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w) {
  return searchBody(plan, values, group, scales, w);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) PackStatus searchAvx2(const SearchPlan &plan, const float *values, int group,
                                                      float *scales, int8_t *w) {
  return searchBody(plan, values, group, scales, w);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) PackStatus
searchAvx512(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w) {
  return searchBody(plan, values, group, scales, w);
}
#endif

constexpr SearchVariant kVariants[] = {
#if defined(__x86_64__)
    {"avx512", searchAvx512},
    {"avx2", searchAvx2},
#endif
    {"plain", searchPlain},
};

size_t firstVariant() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    return 0;
  return __builtin_cpu_supports("avx2") ? 1 : 2;
#else
  return 0;
#endif
}

} // namespace

llvm::ArrayRef<SearchVariant> searchVariants() { return llvm::ArrayRef(kVariants).drop_front(firstVariant()); }

PackStatus searchGroup(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w) {
  return kVariants[firstVariant()].search(plan, values, group, scales, w);
}

} // namespace llmc::packing
