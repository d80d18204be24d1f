#include "runtime/device/vulkan/vulkan_tiers.h"

#include "runtime/artifact/code_table.h"
#include "runtime/artifact/features.h"
#include "runtime/artifact/verify.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace llmrt::vk {

std::vector<Tier> tiers_of(const Artifact &artifact) {
  std::vector<Tier> tiers;
  for (uint32_t i = 0; i < count_of(artifact.meta().segments()); ++i) {
    const schema::Segment &segment = *artifact.meta().segments()->Get(i);
    if (!is_code_of(segment, kVulkanTarget))
      continue;
    llmrt::Result<CodeTable> table = CodeTable::parse(artifact.segment(i));
    if (!table)
      continue;
    uint64_t features = table->header().features;
    for (const llmrt_kernel_entry &entry : table->entries())
      features |= entry.features;
    tiers.push_back({i, std::string(text_of(segment.layout())), features});
  }
  auto rank = [](const Tier &tier) { return std::pair(-std::popcount(tier.features), tier.segment); };
  std::sort(tiers.begin(), tiers.end(), [&](const Tier &a, const Tier &b) { return rank(a) < rank(b); });
  return tiers;
}

llmrt::Result<std::vector<Tier>> runnable_tiers(const Artifact &artifact, uint64_t features, const std::string &forced) {
  std::vector<Tier> runnable;
  std::string what;
  for (const Tier &tier : tiers_of(artifact)) {
    uint64_t missing = tier.features & ~features;
    what += (what.empty() ? "" : ", ") + tier.name +
            (missing ? " (which needs " + join_feature_names(missing) + ")" : "");
    if (!missing && (forced.empty() || tier.name == forced))
      runnable.push_back(tier);
  }
  if (runnable.empty())
    return Status(StatusCode::kUnsupported, "the device does not run " +
                                                (forced.empty() ? "the artifact's code" : "tier " + forced) +
                                                "; the artifact has " + (what.empty() ? "none" : what));
  return runnable;
}

} // namespace llmrt::vk
