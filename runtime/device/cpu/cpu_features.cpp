#include "runtime/device/cpu/cpu_features.h"

#include "runtime/artifact/code_table.h"
#include "runtime/artifact/features.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"

#include <algorithm>
#include <bit>
#include <optional>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace llmrt {

namespace {

#if defined(__x86_64__)

constexpr bool has(uint32_t value, uint32_t mask) { return (value & mask) == mask; }
constexpr uint32_t bit(int index) { return 1u << index; }

// Which registers the system saves on a switch: bits 1 and 2 are SSE and AVX, 5 to 7 AVX-512's, 17 and 18 AMX's.
uint64_t saved_registers() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

uint64_t detect_features() {
  uint32_t a, b, c, d, basic, extended = 0;
  if (!__get_cpuid(1, &a, &b, &basic, &d) || !has(basic, bit(27))) // OSXSAVE
    return 0;
  if (__get_cpuid(0x80000001u, &a, &b, &c, &d))
    extended = c;
  uint32_t seven_b = 0, seven_c = 0, seven_d = 0, seven_one_a = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    seven_b = b, seven_c = c, seven_d = d;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
      seven_one_a = a;
  }
  uint64_t saved = saved_registers(), features = 0;
  // FMA, MOVBE, AVX, F16C; LZCNT; BMI1, AVX2, BMI2.
  if ((saved & 0x6) != 0x6 || !has(basic, bit(12) | bit(22) | bit(28) | bit(29)) || !has(extended, bit(5)) ||
      !has(seven_b, bit(3) | bit(5) | bit(8)))
    return 0;
  features |= LLMRT_FEATURE_AVX2;
  if (has(seven_one_a, bit(4)))
    features |= LLMRT_FEATURE_AVX_VNNI;
  // F, DQ, CD, BW, VL.
  if ((saved & 0xe6) != 0xe6 || !has(seven_b, bit(16) | bit(17) | bit(28) | bit(30) | bit(31)))
    return features;
  features |= LLMRT_FEATURE_AVX512;
  if (has(seven_c, bit(11)))
    features |= LLMRT_FEATURE_AVX512_VNNI;
  if (has(seven_one_a, bit(5)))
    features |= LLMRT_FEATURE_AVX512_BF16;
  if ((saved & 0x60000) == 0x60000 && has(seven_d, bit(24) | bit(25)) && os::allow_tile_registers()) // tiles, int8
    features |= LLMRT_FEATURE_AMX_INT8;
  return features;
}

constexpr uint32_t kArchitecture = LLMRT_ARCH_X86_64;

#elif defined(__aarch64__)

uint64_t detect_features() {
  // Linux's arch/arm64 uapi hwcap.h.
  constexpr uint64_t kAsimd = 1u << 1, kDotProduct = 1u << 20, kI8mm2 = 1u << 13;
  uint64_t words[2] = {os::cpu_hwcaps(0), os::cpu_hwcaps(1)}, features = 0;
  if (words[0] & kAsimd)
    features |= LLMRT_FEATURE_NEON;
  if (words[0] & kDotProduct)
    features |= LLMRT_FEATURE_DOTPROD;
  if (words[1] & kI8mm2)
    features |= LLMRT_FEATURE_I8MM;
  return features;
}

constexpr uint32_t kArchitecture = LLMRT_ARCH_ARM64;

#else

uint64_t detect_features() { return 0; }
constexpr uint32_t kArchitecture = 0;

#endif

struct Candidate {
  uint32_t segment;
  std::string name;
  uint32_t architecture;
  uint64_t features; // of the segment and of every entry
};

std::vector<Candidate> candidates(const Artifact &artifact) {
  std::vector<Candidate> result;
  const auto *segments = artifact.meta().segments();
  for (uint32_t i = 0; i < count_of(segments); ++i) {
    if (!is_cpu_code(*segments->Get(i)))
      continue;
    Result<CodeTable> table = CodeTable::parse(artifact.segment(i));
    if (!table)
      continue;
    uint64_t features = table->header().features;
    for (const llmrt_kernel_entry &entry : table->entries())
      features |= entry.features;
    result.push_back({i, std::string(text_of(segments->Get(i)->layout())), table->header().architecture, features});
  }
  return result;
}

// Among tiers with as many features, the later of the known ones.
int rank(const Candidate &candidate) {
  std::span<const TierName> tiers = known_tiers();
  int order = 0;
  for (size_t i = 0; i < tiers.size(); ++i)
    if (tiers[i].name == candidate.name)
      order = int(i) + 1;
  return std::popcount(candidate.features) * 64 + order;
}

bool runs(const Candidate &candidate, const CpuInfo &cpu) {
  return candidate.architecture == cpu.architecture && (candidate.features & ~cpu.features) == 0;
}

std::string names_of(const std::vector<Candidate> &all) {
  std::string text;
  for (const Candidate &candidate : all)
    text += (text.empty() ? "" : ", ") + candidate.name;
  return text.empty() ? "none" : text;
}

Status cannot_run(const std::string &what, const std::vector<Candidate> &all, const CpuInfo &cpu) {
  std::string best = best_tier_name(cpu);
  std::string machine =
      best.empty() ? "this machine is below every tier that can be compiled for (x86-64-v3 or arm64 is needed)"
                   : "this machine runs " + best + " and below; compile with --cpu-tier " + best;
  return Status(StatusCode::kUnsupported, what + "; the artifact has: " + names_of(all) + "; " + machine);
}

} // namespace

CpuInfo detect_cpu() { return {kArchitecture, detect_features()}; }

std::string best_tier_name(const CpuInfo &cpu) {
  std::string best;
  for (const TierName &tier : known_tiers())
    if (tier.architecture == cpu.architecture && (tier.features & ~cpu.features) == 0)
      best = tier.name;
  return best;
}

Result<uint32_t> select_tier(const Artifact &artifact, const CpuInfo &cpu, const std::string &forced,
                             std::span<const uint32_t> without) {
  std::vector<Candidate> all = candidates(artifact);
  if (!forced.empty() && forced != "native") {
    for (const Candidate &candidate : all) {
      if (candidate.name != forced)
        continue;
      if (candidate.architecture != cpu.architecture)
        return cannot_run("tier " + forced + " is for another architecture", all, cpu);
      if (!runs(candidate, cpu))
        return cannot_run("tier " + forced + " needs what this CPU lacks: " +
                              join_feature_names(candidate.features & ~cpu.features),
                          all, cpu);
      return candidate.segment;
    }
    return cannot_run("there is no tier " + forced + " in it", all, cpu);
  }
  const Candidate *best = nullptr;
  for (const Candidate &candidate : all)
    if (std::find(without.begin(), without.end(), candidate.segment) == without.end() && runs(candidate, cpu) &&
        (!best || rank(candidate) > rank(*best)))
      best = &candidate;
  if (!best)
    return cannot_run("no tier of it runs on this CPU", all, cpu);
  return best->segment;
}

} // namespace llmrt
