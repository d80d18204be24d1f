// SHA-256 by the instructions of x86 (SHA-NI) and arm64 (the SHA2 extension), chosen when the program runs.
#include "runtime/base/os.h"
#include "runtime/base/sha256_internal.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace llmrt::sha256_internal {

#if defined(__x86_64__)

namespace {

// The state as the instructions want it: ABEF and CDGH, highest word first.
__attribute__((target("sha,sse4.1,ssse3"))) void compress_x86(uint32_t *state, const uint8_t *blocks, size_t count) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
  auto *words = reinterpret_cast<__m128i *>(state);
  __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xB1);
  __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1B);
  __m128i abef = _mm_alignr_epi8(abcd, efgh, 8);
  __m128i cdgh = _mm_blend_epi16(efgh, abcd, 0xF0);

  for (; count > 0; --count, blocks += 64) {
    __m128i abef_before = abef, cdgh_before = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; ++i)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(blocks) + i), swap);
    // Four rounds a turn; w is a ring of the last sixteen schedule words.
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __m128i &now = w[i & 3];
      if (i >= 4) {
        __m128i seven_back = _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4);
        now = _mm_add_epi32(_mm_sha256msg1_epu32(now, w[(i + 1) & 3]), seven_back);
        now = _mm_sha256msg2_epu32(now, w[(i + 3) & 3]);
      }
      __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i *>(kRound.data()) + i);
      __m128i sum = _mm_add_epi32(now, k);
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }

  __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

} // namespace

Compress simd_compress() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
    return nullptr;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & (1u << 29)))
    return nullptr;
  return compress_x86;
}

#elif defined(__aarch64__)

namespace {

#if defined(__clang__)
#define LLMRT_TARGET_SHA2 __attribute__((target("sha2")))
#else
#define LLMRT_TARGET_SHA2 __attribute__((target("+crypto")))
#endif

LLMRT_TARGET_SHA2 void compress_arm64(uint32_t *state, const uint8_t *blocks, size_t count) {
  uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
  for (; count > 0; --count, blocks += 64) {
    uint32x4_t abcd_before = abcd, efgh_before = efgh;
    uint32x4_t w[4];
    for (int i = 0; i < 4; ++i)
      w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(blocks + 16 * i)));
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      if (i >= 4)
        w[i & 3] = vsha256su1q_u32(vsha256su0q_u32(w[i & 3], w[(i + 1) & 3]), w[(i + 2) & 3], w[(i + 3) & 3]);
      uint32x4_t sum = vaddq_u32(w[i & 3], vld1q_u32(kRound.data() + 4 * i));
      uint32x4_t abcd_now = abcd;
      abcd = vsha256hq_u32(abcd, efgh, sum);
      efgh = vsha256h2q_u32(efgh, abcd_now, sum);
    }
    abcd = vaddq_u32(abcd, abcd_before);
    efgh = vaddq_u32(efgh, efgh_before);
  }
  vst1q_u32(state, abcd);
  vst1q_u32(state + 4, efgh);
}

} // namespace

Compress simd_compress() {
  constexpr uint64_t kHwcapSha2 = 1u << 6; // Linux's arch/arm64 uapi hwcap.h
  return os::cpu_hwcaps(0) & kHwcapSha2 ? compress_arm64 : nullptr;
}

#else

Compress simd_compress() { return nullptr; }

#endif

} // namespace llmrt::sha256_internal
