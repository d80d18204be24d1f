#include "runtime/packing/group_search.h"

namespace llmrt::packing {

namespace {

constexpr float kLargestHalf = 65504.0f;
constexpr float kSmallestHalf = 0x1p-24f;
// Refits of the scale after the first choice; a third one changes almost no group.
constexpr int kRefinements = 2;

// `rows` rows side by side.
template <int rows> struct Strip {
  typedef typename LaneTypes<rows>::Lanes Lanes;
  typedef typename LaneTypes<rows>::Doubles Doubles;
  typedef typename LaneTypes<rows>::Bits Bits;
  typedef typename LaneTypes<rows>::Bytes Bytes;

  const SearchPlan &plan;
  const float *values; // column c of the strip is at c * kRows
  int group;
  Bits alive;
  Lanes wx, ww; // the last scale tried: sums of w * x and of w * w
  Doubles error; // of the best so far
  Lanes best;
};

// w = the integer nearest to x / scale, within the plan's range.
template <typename Lanes>
LLMRT_INLINE void quantize(const SearchPlan &plan, const Lanes &x, const Lanes &inverse, Lanes &w) {
  w = x * inverse;
  clamp(plan.lowest, plan.highest, w);
  round_to_integer(w);
}

// To the nearest f16 value that is not zero; rows that are not alive get zero.
template <typename Bits, typename Lanes> LLMRT_INLINE void round_to_half(const Bits &alive, Lanes &scale) {
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

template <typename Bits, typename Lanes>
LLMRT_INLINE void invert(const Bits &alive, const Lanes &scale, Lanes &inverse) {
  inverse = Lanes(Bits(1.0f / scale) & alive);
}

// The exact squared error of an f16 scale, in double, kept if it is less than the best; and the sums for a refit.
template <int rows> LLMRT_INLINE void try_scale(Strip<rows> &s, const typename Strip<rows>::Lanes &scale) {
  using Lanes = typename Strip<rows>::Lanes;
  using Doubles = typename Strip<rows>::Doubles;
  Lanes inverse;
  invert(s.alive, scale, inverse);
  s.wx = s.ww = Lanes{};
  Doubles error = {}, exact = __builtin_convertvector(scale, Doubles);
  for (int c = 0; c < s.group; ++c) {
    Lanes x, w;
    load_lanes(s.values + c * kRows, x);
    quantize(s.plan, x, inverse, w);
    s.wx += w * x;
    s.ww += w * w;
    Doubles difference = __builtin_convertvector(x, Doubles) - exact * __builtin_convertvector(w, Doubles);
    error += difference * difference;
  }
  for (int r = 0; r < rows; ++r) {
    if (!(error[r] < s.error[r]))
      continue;
    s.error[r] = error[r];
    s.best[r] = scale[r];
  }
}

// The least-squares scale (not yet an f16) of the best of the plan's levels: the greatest (sum wx)^2 / sum ww.
template <int rows>
LLMRT_INLINE void try_levels(const Strip<rows> &s, const typename Strip<rows>::Lanes &extreme,
                             typename Strip<rows>::Lanes &scale) {
  using Lanes = typename Strip<rows>::Lanes;
  using Bits = typename Strip<rows>::Bits;
  Lanes best_gain = {}, zero = {};
  scale = extreme / s.plan.lowest;
  for (float level : s.plan.levels) {
    Lanes inverse = Lanes(Bits(-level / extreme) & s.alive);
    Lanes wx = {}, ww = {};
    for (int c = 0; c < s.group; ++c) {
      Lanes x, w;
      load_lanes(s.values + c * kRows, x);
      quantize(s.plan, x, inverse, w);
      wx += w * x;
      ww += w * w;
    }
    Lanes fit = wx / ww, gain = fit * wx;
    Bits better = (ww > zero) & (gain > best_gain);
    choose(better, fit, scale, scale);
    choose(better, gain, best_gain, best_gain);
  }
}

template <int rows>
LLMRT_INLINE PackStatus largest_of(const Strip<rows> &s, typename Strip<rows>::Lanes &largest,
                                   typename Strip<rows>::Lanes &extreme) {
  using Lanes = typename Strip<rows>::Lanes;
  using Bits = typename Strip<rows>::Bits;
  Bits not_finite = {};
  largest = extreme = Lanes{};
  for (int c = 0; c < s.group; ++c) {
    Lanes x;
    load_lanes(s.values + c * kRows, x);
    Bits bits = Bits(x) & 0x7fffffff;
    not_finite |= bits >= 0x7f800000;
    Bits larger = Lanes(bits) > largest;
    choose(larger, x, extreme, extreme);
    choose(larger, Lanes(bits), largest, largest);
  }
  Bits too_large = largest > kLargestHalf * s.plan.highest;
  bool any_bad = false, any_large = false;
  for (int r = 0; r < rows; ++r) {
    any_bad |= not_finite[r] != 0;
    any_large |= too_large[r] != 0;
  }
  return any_bad ? PackStatus::kNotFinite : any_large ? PackStatus::kTooLarge : PackStatus::kOk;
}

template <int rows> LLMRT_INLINE PackStatus search_strip(Strip<rows> &s, float *scales, int8_t *w) {
  using Lanes = typename Strip<rows>::Lanes;
  using Bits = typename Strip<rows>::Bits;
  using Bytes = typename Strip<rows>::Bytes;
  Lanes largest, extreme;
  if (PackStatus status = largest_of(s, largest, extreme); status != PackStatus::kOk)
    return status;
  s.alive = largest > kSmallestHalf / 2; // below, every scale rounds every value to zero
  s.error = typename Strip<rows>::Doubles{} + __builtin_inf();
  s.best = Lanes{};

  Lanes scale = largest / s.plan.highest;
  for (int i = 0; i <= kRefinements + 1; ++i) { // what is inlined into the loop is there once
    round_to_half(s.alive, scale);
    try_scale(s, scale);
    if (i == 0) {
      try_levels(s, extreme, scale);
    } else {
      Lanes fit = s.wx / s.ww;
      choose(s.ww > 0.0f, fit, scale, scale);
    }
  }

  Lanes inverse;
  invert(s.alive, s.best, inverse);
  std::memcpy(scales, &s.best, sizeof(Lanes));
  for (int c = 0; c < s.group; ++c) {
    Lanes x, q;
    load_lanes(s.values + c * kRows, x);
    quantize(s.plan, x, inverse, q);
    Bytes bytes = __builtin_convertvector(__builtin_convertvector(q, Bits), Bytes);
    std::memcpy(w + c * kRows, &bytes, sizeof(Bytes));
  }
  return PackStatus::kOk;
}

template <int rows>
LLMRT_INLINE PackStatus search_body(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w) {
  PackStatus status = PackStatus::kOk;
  for (int first = 0; first < kRows; first += rows) {
    Strip<rows> strip{plan, values + first, group, {}, {}, {}, {}, {}};
    PackStatus own = search_strip(strip, scales + first, w + first);
    if (own != PackStatus::kOk && status != PackStatus::kNotFinite)
      status = own;
  }
  return status;
}

PackStatus search_plain(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w) {
  return search_body<4>(plan, values, group, scales, w);
}

#if defined(__x86_64__)
LLMRT_AVX2 PackStatus search_avx2(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w) {
  return search_body<8>(plan, values, group, scales, w);
}

LLMRT_AVX512 PackStatus search_avx512(const SearchPlan &plan, const float *values, int group, float *scales,
                                      int8_t *w) {
  return search_body<16>(plan, values, group, scales, w);
}
#endif

constexpr SearchVariant kVariants[] = {
#if defined(__x86_64__)
    {"avx512", search_avx512},
    {"avx2", search_avx2},
#endif
    {"plain", search_plain},
};

} // namespace

std::span<const SearchVariant> search_variants() { return std::span(kVariants).subspan(first_variant()); }

PackStatus search_group(const SearchPlan &plan, const float *values, int group, float *scales, int8_t *w) {
  return kVariants[first_variant()].search(plan, values, group, scales, w);
}

} // namespace llmrt::packing
