// What code for NVIDIA's GPUs is made for: PTX, which the driver of a later chip compiles too, and chips by name.
#include "codegen/Codegen.h"

namespace llmc::codegen {

const std::vector<CudaTier> &cudaTiers() {
  static const std::vector<CudaTier> tiers = {
      {"compute_75", "sm_75", ""},      {"compute_80", "sm_80", ""},    {"compute_90a", "sm_90a", ""},
      {"sm_75", "sm_75", "sm_75"},      {"sm_80", "sm_80", "sm_80"},    {"sm_86", "sm_80", "sm_86"},
      {"sm_87", "sm_80", "sm_87"},      {"sm_89", "sm_80", "sm_89"},    {"sm_90", "sm_80", "sm_90"},
      {"sm_90a", "sm_90a", "sm_90a"},   {"sm_100", "sm_80", "sm_100"},  {"sm_100a", "sm_80", "sm_100a"},
      {"sm_120", "sm_80", "sm_120"},    {"sm_120a", "sm_80", "sm_120a"},
  };
  return tiers;
}

const CudaTier *findCudaTier(llvm::StringRef name) {
  for (const CudaTier &tier : cudaTiers())
    if (name == tier.name) return &tier;
  return nullptr;
}

} // namespace llmc::codegen
