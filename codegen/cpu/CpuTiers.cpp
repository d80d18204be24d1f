#include "codegen/Codegen.h"

#include "runtime/abi/kernel.h"

namespace llmc::codegen {

// From the plainest to the most capable of each architecture: the runtime takes the last whose features are all there.
const std::vector<CpuTier> &cpuTiers() {
  constexpr const char *x86 = "x86_64-unknown-linux-gnu", *arm = "aarch64-unknown-linux-gnu";
  constexpr uint64_t v3 = LLMRT_FEATURE_AVX2, v4 = v3 | LLMRT_FEATURE_AVX512;
  constexpr uint64_t vnni = v4 | LLMRT_FEATURE_AVX512_VNNI;
  constexpr uint64_t dot = LLMRT_FEATURE_NEON | LLMRT_FEATURE_DOTPROD;
  static const std::vector<CpuTier> tiers = {
      {"x86-64-v3", x86, "x86-64-v3", "", LLMRT_ARCH_X86_64, v3, 256},
      {"x86-64-v3-vnni", x86, "x86-64-v3", "+avxvnni", LLMRT_ARCH_X86_64, v3 | LLMRT_FEATURE_AVX_VNNI, 256},
      {"x86-64-v4", x86, "x86-64-v4", "-prefer-256-bit", LLMRT_ARCH_X86_64, v4, 512},
      {"x86-64-v4-vnni", x86, "x86-64-v4", "+avx512vnni,-prefer-256-bit", LLMRT_ARCH_X86_64, vnni, 512},
      {"x86-64-v4-vnni-bf16", x86, "x86-64-v4", "+avx512vnni,+avx512bf16,-prefer-256-bit", LLMRT_ARCH_X86_64,
       vnni | LLMRT_FEATURE_AVX512_BF16, 512},
      {"x86-64-v4-amx", x86, "x86-64-v4", "+avx512vnni,+amx-tile,+amx-int8,-prefer-256-bit", LLMRT_ARCH_X86_64,
       vnni | LLMRT_FEATURE_AMX_INT8, 512, "x86-64-v4-vnni"},
      {"x86-64-v4-amx-bf16", x86, "x86-64-v4", "+avx512vnni,+avx512bf16,+amx-tile,+amx-int8,-prefer-256-bit",
       LLMRT_ARCH_X86_64, vnni | LLMRT_FEATURE_AVX512_BF16 | LLMRT_FEATURE_AMX_INT8, 512, "x86-64-v4-vnni-bf16"},
      {"arm64", arm, "generic", "+neon,+reserve-x18", LLMRT_ARCH_ARM64, LLMRT_FEATURE_NEON, 128},
      {"arm64-dotprod", arm, "generic", "+neon,+dotprod,+reserve-x18", LLMRT_ARCH_ARM64, dot, 128},
      {"arm64-i8mm", arm, "generic", "+neon,+dotprod,+i8mm,+reserve-x18", LLMRT_ARCH_ARM64,
       dot | LLMRT_FEATURE_I8MM, 128},
  };
  return tiers;
}

const CpuTier *findCpuTier(llvm::StringRef name) {
  for (const CpuTier &tier : cpuTiers())
    if (name == tier.name) return &tier;
  return nullptr;
}

} // namespace llmc::codegen
