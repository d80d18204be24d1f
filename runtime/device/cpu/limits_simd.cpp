// Compiled for the base architecture; each loop names the instructions it needs and is called only where they are.
#include "runtime/device/cpu/limits_simd.h"

#include "runtime/abi/kernel.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace llmrt {

namespace {
// Independent sums: more than the latency of a dot product times the number that start each cycle.
constexpr int kSums = 12;
} // namespace

#if defined(__x86_64__)

namespace {

__attribute__((target("avx2"))) uint64_t read_avx2(const void *data, size_t bytes) {
  const auto *at = static_cast<const __m256i *>(data);
  __m256i sums[8] = {};
  for (size_t i = 0; i + 8 <= bytes / sizeof(__m256i); i += 8)
#pragma GCC unroll 8
    for (size_t k = 0; k < 8; ++k)
      sums[k] = _mm256_xor_si256(sums[k], _mm256_loadu_si256(at + i + k));
  for (int k = 1; k < 8; ++k)
    sums[0] = _mm256_xor_si256(sums[0], sums[k]);
  return uint64_t(_mm256_extract_epi64(sums[0], 0));
}

uint64_t read_sse2(const void *data, size_t bytes) {
  const auto *at = static_cast<const __m128i *>(data);
  __m128i sums[8] = {};
  for (size_t i = 0; i + 8 <= bytes / sizeof(__m128i); i += 8)
#pragma GCC unroll 8
    for (size_t k = 0; k < 8; ++k)
      sums[k] = _mm_xor_si128(sums[k], _mm_loadu_si128(at + i + k));
  for (int k = 1; k < 8; ++k)
    sums[0] = _mm_xor_si128(sums[0], sums[k]);
  return uint64_t(_mm_cvtsi128_si64(sums[0]));
}

// The empty assembly makes the operands unknown, so that no sum can be folded.
__attribute__((target("avx512f,avx512vnni"))) int32_t dot_vnni512(int64_t rounds) {
  __m512i sums[kSums] = {};
  __m512i a = _mm512_set1_epi32(0x01020301), b = _mm512_set1_epi32(0x01ff0201);
  for (int64_t i = 0; i < rounds; ++i) {
    __asm__ volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k)
      sums[k] = _mm512_dpbusd_epi32(sums[k], a, b);
  }
  for (int k = 1; k < kSums; ++k)
    sums[0] = _mm512_add_epi32(sums[0], sums[k]);
  int32_t lane;
  std::memcpy(&lane, &sums[0], sizeof lane);
  return lane;
}

__attribute__((target("avx2,avxvnni"))) int32_t dot_vnni256(int64_t rounds) {
  __m256i sums[kSums] = {};
  __m256i a = _mm256_set1_epi32(0x01020301), b = _mm256_set1_epi32(0x01ff0201);
  for (int64_t i = 0; i < rounds; ++i) {
    __asm__ volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k)
      sums[k] = _mm256_dpbusd_avx_epi32(sums[k], a, b);
  }
  for (int k = 1; k < kSums; ++k)
    sums[0] = _mm256_add_epi32(sums[0], sums[k]);
  return _mm256_extract_epi32(sums[0], 0);
}

__attribute__((target("avx2"))) int32_t dot_avx2(int64_t rounds) {
  __m256i sums[kSums] = {};
  __m256i a = _mm256_set1_epi32(0x01020301), b = _mm256_set1_epi32(0x01ff0201), ones = _mm256_set1_epi16(1);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k) {
      __asm__ volatile("" : "+x"(a), "+x"(b));
      sums[k] = _mm256_add_epi32(sums[k], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    }
  }
  for (int k = 1; k < kSums; ++k)
    sums[0] = _mm256_add_epi32(sums[0], sums[k]);
  return _mm256_extract_epi32(sums[0], 0);
}

} // namespace

uint64_t read_all(const void *data, size_t bytes) {
  return __builtin_cpu_supports("avx2") ? read_avx2(data, bytes) : read_sse2(data, bytes);
}

DotLoop best_dot_loop(uint64_t features) {
  // A multiplication and an addition for each of the bytes of a register.
  if (features & LLMRT_FEATURE_AVX512_VNNI)
    return {dot_vnni512, 2 * 64 * kSums};
  if (features & LLMRT_FEATURE_AVX_VNNI)
    return {dot_vnni256, 2 * 32 * kSums};
  if (features & LLMRT_FEATURE_AVX2)
    return {dot_avx2, 2 * 32 * kSums};
  return {nullptr, 0};
}

#elif defined(__aarch64__)

namespace {

#if defined(__clang__)
#define LLMRT_TARGET_DOTPROD __attribute__((target("dotprod")))
#define LLMRT_TARGET_I8MM __attribute__((target("i8mm")))
#else
#define LLMRT_TARGET_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#define LLMRT_TARGET_I8MM __attribute__((target("arch=armv8.2-a+i8mm")))
#endif

// The empty assembly makes the operands unknown, so that no sum can be folded.
LLMRT_TARGET_DOTPROD int32_t dot_sdot(int64_t rounds) {
  int32x4_t sums[kSums] = {};
  int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-2);
  for (int64_t i = 0; i < rounds; ++i) {
    __asm__ volatile("" : "+w"(a), "+w"(b));
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k)
      sums[k] = vdotq_s32(sums[k], a, b);
  }
  for (int k = 1; k < kSums; ++k)
    sums[0] = vaddq_s32(sums[0], sums[k]);
  return vgetq_lane_s32(sums[0], 0);
}

LLMRT_TARGET_I8MM int32_t dot_smmla(int64_t rounds) {
  int32x4_t sums[kSums] = {};
  int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-2);
  for (int64_t i = 0; i < rounds; ++i) {
    __asm__ volatile("" : "+w"(a), "+w"(b));
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k)
      sums[k] = vmmlaq_s32(sums[k], a, b);
  }
  for (int k = 1; k < kSums; ++k)
    sums[0] = vaddq_s32(sums[0], sums[k]);
  return vgetq_lane_s32(sums[0], 0);
}

// Without a dot product: widening multiplications, then pairwise sums.
int32_t dot_neon(int64_t rounds) {
  int32x4_t sums[kSums] = {};
  int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-2);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k) {
      __asm__ volatile("" : "+w"(a), "+w"(b));
      int16x8_t products = vmull_s8(vget_low_s8(a), vget_low_s8(b));
      sums[k] = vpadalq_s16(sums[k], vmlal_s8(products, vget_high_s8(a), vget_high_s8(b)));
    }
  }
  for (int k = 1; k < kSums; ++k)
    sums[0] = vaddq_s32(sums[0], sums[k]);
  return vgetq_lane_s32(sums[0], 0);
}

} // namespace

uint64_t read_all(const void *data, size_t bytes) {
  const auto *at = static_cast<const uint8_t *>(data);
  uint8x16_t sums[8] = {};
  for (size_t i = 0; i + 128 <= bytes; i += 128)
#pragma GCC unroll 8
    for (size_t k = 0; k < 8; ++k)
      sums[k] = veorq_u8(sums[k], vld1q_u8(at + i + 16 * k));
  for (int k = 1; k < 8; ++k)
    sums[0] = veorq_u8(sums[0], sums[k]);
  return vgetq_lane_u64(vreinterpretq_u64_u8(sums[0]), 0);
}

DotLoop best_dot_loop(uint64_t features) {
  if (features & LLMRT_FEATURE_I8MM) // a 2 x 8 by 8 x 2 product
    return {dot_smmla, 2 * 32 * kSums};
  if (features & LLMRT_FEATURE_DOTPROD)
    return {dot_sdot, 2 * 16 * kSums};
  if (features & LLMRT_FEATURE_NEON)
    return {dot_neon, 2 * 16 * kSums};
  return {nullptr, 0};
}

#else

uint64_t read_all(const void *data, size_t bytes) {
  uint64_t sum = 0, word;
  for (size_t i = 0; i + 8 <= bytes; i += 8) {
    std::memcpy(&word, static_cast<const char *>(data) + i, 8);
    sum ^= word;
  }
  return sum;
}

DotLoop best_dot_loop(uint64_t) { return {nullptr, 0}; }

#endif

} // namespace llmrt
