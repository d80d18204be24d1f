#include "runtime/packing/affine_search.h"

namespace llmrt::packing {

namespace {

constexpr float kLowest = -8, kHighest = 7;
constexpr float kFewestSteps = -kNoOffset, kMostSteps = 63 - kNoOffset; // of an offset
constexpr float kLowestOffset = kFewestSteps * kOffsetStep, kHighestOffset = kMostSteps * kOffsetStep;
constexpr float kSmallestScale = 0x1p-20f, kLargestScale = 4032.0f;
// Steps tried, as parts of the one that just covers a group's range: finer ones clip its ends.
constexpr float kSteps[] = {1.02f, 0.99f, 0.96f, 0.93f, 0.9f, 0.87f, 0.84f, 0.81f, 0.78f, 0.75f};
constexpr int kRefinements = 2; // refits after the first choice
constexpr int kNeighbourRounds = 3;
// A value's squared error counts by its magnitude and this many mean magnitudes, which is about the root mean square.
constexpr float kMeanMagnitudes = 1.25f;

// `rows` rows side by side, and what the search has found so far.
template <int rows> struct Strip : LaneTypes<rows> {
  typedef typename LaneTypes<rows>::Lanes Lanes;

  const float *values; // column c of the strip is at c * kRows
  int group;
  Lanes least; // that a value's error counts
  // Of the integers chosen for the last pair, each times what its value's error counts (v).
  Lanes sum_v, sum_vw, sum_vww, sum_vx, sum_vwx;
  Lanes error, scale, offset; // the best pair, and its squared errors as they count
};

template <int rows> struct Pair {
  typename LaneTypes<rows>::Lanes scale, offset;
};

// A column, and the integers that a pair makes of it.
template <int rows, typename Lanes>
LLMRT_INLINE void quantize(const Strip<rows> &s, int column, const Lanes &inverse, const Lanes &offset, Lanes &x,
                           Lanes &w) {
  load_lanes(s.values + column * kRows, x);
  w = x * inverse - offset;
  clamp(kLowest, kHighest, w);
  round_to_integer(w);
}

template <int rows, typename Lanes> LLMRT_INLINE void magnitude_of(const Lanes &x, Lanes &magnitude) {
  typedef typename LaneTypes<rows>::Bits Bits;
  magnitude = Lanes(Bits(x) & 0x7fffffff);
}

template <int rows, typename Lanes> LLMRT_INLINE void clear_sums(Strip<rows> &s, const Lanes &zero) {
  s.sum_v = s.sum_vw = s.sum_vww = s.sum_vx = s.sum_vwx = zero;
}

template <int rows, typename Lanes>
LLMRT_INLINE void add_sums(Strip<rows> &s, const Lanes &x, const Lanes &w, const Lanes &v) {
  Lanes vw = v * w;
  s.sum_v += v;
  s.sum_vw += vw;
  s.sum_vww += vw * w;
  s.sum_vx += v * x;
  s.sum_vwx += vw * x;
}

// The pair that fits the integers best, its offset one that can be stored, and by how much it reduces the squared errors
// below those of zeros. Both stay as they are where all integers are equal.
template <int rows, typename Lanes> LLMRT_INLINE void fit(const Strip<rows> &s, Pair<rows> &pair, Lanes &reduction) {
  typedef typename LaneTypes<rows>::Bits Bits;
  Lanes spread = s.sum_v * s.sum_vww - s.sum_vw * s.sum_vw, slope = s.sum_v * s.sum_vwx - s.sum_vw * s.sum_vx;
  Lanes steps = (s.sum_vx * spread / slope - s.sum_vw) / s.sum_v / kOffsetStep;
  clamp(kFewestSteps, kMostSteps, steps);
  round_to_integer(steps);
  Lanes offset = steps * kOffsetStep;
  Lanes product = s.sum_vwx + offset * s.sum_vx;
  Lanes square = s.sum_vww + offset * (s.sum_vw + s.sum_vw + offset * s.sum_v);
  Lanes scale = product / square;
  Bits useful = (spread > 0.0f) & (slope > 0.0f) & (product > 0.0f) & (square > 0.0f);
  choose(useful, scale, pair.scale, pair.scale);
  choose(useful, offset, pair.offset, pair.offset);
  choose(useful, scale * product, reduction, reduction);
}

// To a scale that can be stored.
template <int rows> LLMRT_INLINE void round_scale(Pair<rows> &pair) {
  typedef typename LaneTypes<rows>::Lanes Lanes;
  typedef typename LaneTypes<rows>::Bits Bits;
  Lanes smallest = Lanes{} + kSmallestScale, largest = Lanes{} + kLargestScale;
  Bits bits = Bits(pair.scale);
  pair.scale = Lanes((bits + 0x1ffff + ((bits >> 18) & 1)) & ~0x3ffff);
  choose(pair.scale > largest, largest, pair.scale, pair.scale);
  Bits in_range = pair.scale >= smallest; // not so for a NaN either
  choose(in_range, pair.scale, smallest, pair.scale);
}

// The squared errors of a pair that can be stored, kept if they are less than the best's; and the sums for a refit.
template <int rows> LLMRT_INLINE void try_pair(Strip<rows> &s, const Pair<rows> &pair) {
  typedef typename LaneTypes<rows>::Lanes Lanes;
  typedef typename LaneTypes<rows>::Bits Bits;
  Lanes inverse = 1.0f / pair.scale, error = {};
  clear_sums(s, Lanes{});
  for (int c = 0; c < s.group; ++c) {
    Lanes x, w, magnitude;
    quantize(s, c, inverse, pair.offset, x, w);
    magnitude_of<rows>(x, magnitude);
    Lanes v = s.least + magnitude, difference = x - pair.scale * (w + pair.offset);
    add_sums(s, x, w, v);
    error += v * (difference * difference);
  }
  Bits better = error < s.error;
  choose(better, error, s.error, s.error);
  choose(better, pair.scale, s.scale, s.scale);
  choose(better, pair.offset, s.offset, s.offset);
}

// The best fit (its scale not yet rounded) over the steps, which stay as they are where none fits.
template <int rows, typename Lanes>
LLMRT_INLINE void try_steps(Strip<rows> &s, const Lanes &low, const Lanes &high, Pair<rows> &pair) {
  typedef typename LaneTypes<rows>::Bits Bits;
  Lanes best = {}, middle = (low + high) * 0.5f, smallest = Lanes{} + kSmallestScale;
  // -8 and 7 lie evenly about the middle, as far as there is an offset for it.
  Lanes offset = middle * (15.0f / (high - low)) + 0.5f;
  clamp(kLowestOffset, kHighestOffset, offset);
  Lanes above = high / (offset + kHighest), cover = low / (offset + kLowest);
  choose(above > cover, above, cover, cover);
  choose(cover > smallest, cover, smallest, cover); // nor is a range of nothing a NaN
  for (float part : kSteps) {
    Lanes scale = cover * part, inverse = 1.0f / scale, here = middle * inverse + 0.5f;
    clamp(kLowestOffset, kHighestOffset, here);
    clear_sums(s, Lanes{});
    for (int c = 0; c < s.group; ++c) {
      Lanes x, w, magnitude;
      quantize(s, c, inverse, here, x, w);
      magnitude_of<rows>(x, magnitude);
      add_sums(s, x, w, s.least + magnitude);
    }
    Pair<rows> fitted = pair;
    Lanes reduction = {};
    fit(s, fitted, reduction);
    Bits better = reduction > best;
    choose(better, fitted.scale, pair.scale, pair.scale);
    choose(better, fitted.offset, pair.offset, pair.offset);
    choose(better, reduction, best, best);
  }
}

// What can be stored beside the best pair: of 32 values, which scale and offset suit them best is left to chance.
template <int rows> LLMRT_INLINE void try_neighbours(Strip<rows> &s) {
  typedef typename LaneTypes<rows>::Lanes Lanes;
  typedef typename LaneTypes<rows>::Bits Bits;
  Pair<rows> middle{s.scale, s.offset};
  for (int i = 0; i < 9; ++i) {
    if (i == 4)
      continue; // itself
    Pair<rows> pair{Lanes(Bits(middle.scale) + ((i / 3 - 1) << 18)), middle.offset + kOffsetStep * float(i % 3 - 1)};
    clamp(kLowestOffset, kHighestOffset, pair.offset);
    round_scale(pair);
    try_pair(s, pair);
  }
}

// And what errors count at least.
template <int rows, typename Lanes> LLMRT_INLINE PackStatus range_of(Strip<rows> &s, Lanes &low, Lanes &high) {
  typedef typename LaneTypes<rows>::Bits Bits;
  Bits not_finite = {};
  Lanes sum = {};
  load_lanes(s.values, low);
  high = low;
  for (int c = 0; c < s.group; ++c) {
    Lanes x, magnitude;
    load_lanes(s.values + c * kRows, x);
    magnitude_of<rows>(x, magnitude);
    sum += magnitude;
    not_finite |= Bits(magnitude) >= 0x7f800000;
    choose(x < low, x, low, low);
    choose(x > high, x, high, high);
  }
  s.least = sum * (kMeanMagnitudes / float(s.group));
  Bits too_large = (low < -kLargestAffine) | (high > kLargestAffine);
  bool any_bad = false, any_large = false;
  for (int r = 0; r < rows; ++r) {
    any_bad |= not_finite[r] != 0;
    any_large |= too_large[r] != 0;
  }
  return any_bad ? PackStatus::kNotFinite : any_large ? PackStatus::kTooLarge : PackStatus::kOk;
}

template <int rows> LLMRT_INLINE void store(const Strip<rows> &s, uint16_t *codes, int8_t *w) {
  typedef typename LaneTypes<rows>::Lanes Lanes;
  typedef typename LaneTypes<rows>::Bits Bits;
  typedef typename LaneTypes<rows>::Bytes Bytes;
  for (int r = 0; r < rows; ++r) {
    float scale = s.scale[r];
    uint32_t bits;
    std::memcpy(&bits, &scale, sizeof bits);
    int steps = int(s.offset[r] / kOffsetStep); // exact
    codes[r] = uint16_t((bits >> 18) - ((127 - 20) << 5) + (uint32_t(steps + kNoOffset) << 10));
  }
  Lanes inverse = 1.0f / s.scale;
  for (int c = 0; c < s.group; ++c) {
    Lanes x, q;
    quantize(s, c, inverse, s.offset, x, q);
    Bytes bytes = __builtin_convertvector(__builtin_convertvector(q, Bits), Bytes);
    std::memcpy(w + c * kRows, &bytes, sizeof(Bytes));
  }
}

template <int rows> LLMRT_INLINE PackStatus search_strip(Strip<rows> &s, uint16_t *codes, int8_t *w) {
  typedef typename LaneTypes<rows>::Lanes Lanes;
  Lanes low, high;
  if (PackStatus status = range_of(s, low, high); status != PackStatus::kOk)
    return status;
  s.error = Lanes{} + __builtin_inff();
  // Without an offset first: a grid about zero stays exact.
  Lanes magnitude = high;
  choose(-low > high, -low, high, magnitude);
  Pair<rows> pair{magnitude * (1.0f / kHighest), Lanes{}};
  for (int i = 0; i <= kRefinements + 1; ++i) { // what is inlined into the loop is there once
    round_scale(pair);
    try_pair(s, pair);
    Lanes reduction = {};
    if (i == 0)
      try_steps(s, low, high, pair);
    else
      fit(s, pair, reduction);
  }
  for (int i = 0; i < kNeighbourRounds; ++i)
    try_neighbours(s);
  store(s, codes, w);
  return PackStatus::kOk;
}

template <int rows>
LLMRT_INLINE PackStatus search_body(const float *values, int group, uint16_t *codes, int8_t *w) {
  PackStatus status = PackStatus::kOk;
  for (int first = 0; first < kRows; first += rows) {
    Strip<rows> strip;
    strip.values = values + first;
    strip.group = group;
    PackStatus own = search_strip(strip, codes + first, w + first);
    if (own != PackStatus::kOk && status != PackStatus::kNotFinite)
      status = own;
  }
  return status;
}

PackStatus search_plain(const float *values, int group, uint16_t *codes, int8_t *w) {
  return search_body<4>(values, group, codes, w);
}

#if defined(__x86_64__)
LLMRT_AVX2 PackStatus search_avx2(const float *values, int group, uint16_t *codes, int8_t *w) {
  return search_body<8>(values, group, codes, w);
}

LLMRT_AVX512 PackStatus search_avx512(const float *values, int group, uint16_t *codes, int8_t *w) {
  return search_body<16>(values, group, codes, w);
}
#endif

constexpr AffineVariant kVariants[] = {
#if defined(__x86_64__)
    {"avx512", search_avx512},
    {"avx2", search_avx2},
#endif
    {"plain", search_plain},
};

} // namespace

std::span<const AffineVariant> affine_variants() { return std::span(kVariants).subspan(first_variant()); }

PackStatus search_affine(const float *values, int group, uint16_t *codes, int8_t *w) {
  return kVariants[first_variant()].search(values, group, codes, w);
}

} // namespace llmrt::packing
