#include "runtime/artifact/features.h"

#include "runtime/abi/kernel.h"

#include <array>

namespace llmrt {

namespace {

constexpr uint64_t kV3 = LLMRT_FEATURE_AVX2, kV4 = LLMRT_FEATURE_AVX2 | LLMRT_FEATURE_AVX512;

constexpr std::array<TierName, 10> kTiers = {{
    {"x86-64-v3", LLMRT_ARCH_X86_64, kV3},
    {"x86-64-v3-vnni", LLMRT_ARCH_X86_64, kV3 | LLMRT_FEATURE_AVX_VNNI},
    {"x86-64-v4", LLMRT_ARCH_X86_64, kV4},
    {"x86-64-v4-vnni", LLMRT_ARCH_X86_64, kV4 | LLMRT_FEATURE_AVX512_VNNI},
    {"x86-64-v4-vnni-bf16", LLMRT_ARCH_X86_64, kV4 | LLMRT_FEATURE_AVX512_VNNI | LLMRT_FEATURE_AVX512_BF16},
    {"x86-64-v4-amx", LLMRT_ARCH_X86_64, kV4 | LLMRT_FEATURE_AVX512_VNNI | LLMRT_FEATURE_AMX_INT8},
    {"x86-64-v4-amx-bf16", LLMRT_ARCH_X86_64,
     kV4 | LLMRT_FEATURE_AVX512_VNNI | LLMRT_FEATURE_AVX512_BF16 | LLMRT_FEATURE_AMX_INT8},
    {"arm64", LLMRT_ARCH_ARM64, LLMRT_FEATURE_NEON},
    {"arm64-dotprod", LLMRT_ARCH_ARM64, LLMRT_FEATURE_NEON | LLMRT_FEATURE_DOTPROD},
    {"arm64-i8mm", LLMRT_ARCH_ARM64, LLMRT_FEATURE_NEON | LLMRT_FEATURE_DOTPROD | LLMRT_FEATURE_I8MM},
}};

struct FeatureName {
  uint64_t bit;
  const char *name;
};
constexpr std::array<FeatureName, 15> kFeatures = {{{LLMRT_FEATURE_AVX2, "avx2"},
                                                     {LLMRT_FEATURE_AVX512, "avx512"},
                                                     {LLMRT_FEATURE_AVX512_VNNI, "avx512_vnni"},
                                                     {LLMRT_FEATURE_AVX512_BF16, "avx512_bf16"},
                                                     {LLMRT_FEATURE_AVX_VNNI, "avx_vnni"},
                                                     {LLMRT_FEATURE_AMX_INT8, "amx_int8"},
                                                     {LLMRT_FEATURE_NEON, "neon"},
                                                     {LLMRT_FEATURE_DOTPROD, "dotprod"},
                                                     {LLMRT_FEATURE_I8MM, "i8mm"},
                                                     {LLMRT_FEATURE_STORAGE16, "storage16"},
                                                     {LLMRT_FEATURE_FLOAT16, "float16"},
                                                     {LLMRT_FEATURE_INT_DOT, "int_dot"},
                                                     {LLMRT_FEATURE_SUBGROUP_SIZE, "subgroup_size"},
                                                     {LLMRT_FEATURE_SUBGROUP_SHUFFLE, "subgroup_shuffle"},
                                                     {LLMRT_FEATURE_MATRIX_BF16, "matrix_bf16"}}};

std::string name_of(uint64_t bit, int index) {
  for (const FeatureName &feature : kFeatures)
    if (feature.bit == bit)
      return feature.name;
  return "bit" + std::to_string(index);
}

} // namespace

std::span<const TierName> known_tiers() { return kTiers; }

std::vector<std::string> feature_names(uint64_t features) {
  std::vector<std::string> names;
  for (int index = 0; index < 64; ++index)
    if (uint64_t bit = uint64_t(1) << index; features & bit)
      names.push_back(name_of(bit, index));
  return names;
}

std::string join_feature_names(uint64_t features) {
  std::string text;
  for (const std::string &name : feature_names(features))
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

} // namespace llmrt
