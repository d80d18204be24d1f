#include "runtime/device/vulkan/vulkan_features.h"

#include "runtime/abi/kernel.h"

#include <algorithm>
#include <cstring>

namespace llmrt::vk {

namespace {

// Not a kernel's business, or parts of what is, so not of the ABI.
constexpr uint64_t kTimeline = 1, kMatrices = 2, kBfloat16 = 4, kMemoryModel = 8;
constexpr uint64_t kMatrixParts = kMatrices | kBfloat16 | kMemoryModel;

// Extensions whose features are parts of later versions of Vulkan too: drivers of those go on listing them, and we ask for
// Vulkan 1.1.
struct Optional {
  uint64_t bit;
  StructureType type;
  const char *extension; // null: in Vulkan 1.1
  uint32_t needed;       // of the structure's flags, a bit each
};
constexpr Optional kOptional[] = {
    {kTimeline, kTimelineSemaphoreFeatures, "VK_KHR_timeline_semaphore", 1},
    {LLMRT_FEATURE_STORAGE16, kStorage16Features, nullptr, 1}, // in storage buffers
    {LLMRT_FEATURE_FLOAT16, kFloat16Int8Features, "VK_KHR_shader_float16_int8", 1},
    {LLMRT_FEATURE_INT_DOT, kIntegerDotFeatures, "VK_KHR_shader_integer_dot_product", 1},
    {LLMRT_FEATURE_SUBGROUP_SIZE, kSubgroupSizeFeatures, "VK_EXT_subgroup_size_control", 3}, // full subgroups too
    {kMatrices, kCooperativeMatrixFeatures, "VK_KHR_cooperative_matrix", 1},
    {kBfloat16, kBfloat16Features, "VK_KHR_shader_bfloat16", 5}, // the type, and matrices of it
    {kMemoryModel, kMemoryModelFeatures, "VK_KHR_vulkan_memory_model", 1},
};
constexpr const char *kFloatControls = "VK_KHR_shader_float_controls";

std::vector<ExtensionProperties> extensions_of(const Api &api, Dispatchable physical) {
  uint32_t count = 0;
  if (api.EnumerateDeviceExtensionProperties(physical, nullptr, &count, nullptr) != kSuccess)
    return {};
  std::vector<ExtensionProperties> all(count);
  Result result = api.EnumerateDeviceExtensionProperties(physical, nullptr, &count, all.data());
  all.resize(result == kSuccess || result == kIncomplete ? std::min<size_t>(count, all.size()) : 0);
  return all;
}

bool contains(const std::vector<ExtensionProperties> &all, const char *name) {
  return std::any_of(all.begin(), all.end(), [&](const auto &one) { return std::strcmp(one.name, name) == 0; });
}

bool has_all(const ExtensionFeatures &features, uint32_t needed) {
  for (size_t i = 0; i < std::size(features.flags); ++i)
    if ((needed >> i & 1) && !features.flags[i])
      return false;
  return true;
}

// Modes of 32-bit floats alone, where the device allows that.
FloatControls float_controls_of(const Api &api, Dispatchable physical) {
  FloatControlsProperties offered;
  PhysicalDeviceProperties2 properties;
  properties.next = &offered;
  api.GetPhysicalDeviceProperties2(physical, &properties);
  FloatControls floats;
  floats.keep_special = offered.keep_special[1];
  floats.keep_denormals = offered.keep_denormals[1] && offered.denormals_independence != kIndependenceNone;
  floats.round_to_even = offered.round_to_even[1] && offered.rounding_independence != kIndependenceNone;
  return floats;
}

SubgroupSizes subgroup_sizes_of(const Api &api, Dispatchable physical) {
  SubgroupSizeProperties sizes;
  SubgroupProperties subgroups;
  subgroups.next = &sizes;
  PhysicalDeviceProperties2 properties;
  properties.next = &subgroups;
  api.GetPhysicalDeviceProperties2(physical, &properties);
  return usable_sizes(subgroups, sizes);
}

bool multiplies_bf16(const Api &api, Dispatchable physical) {
  CooperativeMatrixProperties matrices;
  PhysicalDeviceProperties2 properties;
  properties.next = &matrices;
  api.GetPhysicalDeviceProperties2(physical, &properties);
  auto list = api.GetPhysicalDeviceCooperativeMatrixProperties;
  uint32_t count = 0;
  if (!(matrices.stages & kShaderStageCompute) || !list || list(physical, &count, nullptr) != kSuccess)
    return false;
  std::vector<CooperativeMatrixShape> shapes(count);
  Result result = list(physical, &count, shapes.data());
  shapes.resize(result == kSuccess || result == kIncomplete ? std::min<size_t>(count, shapes.size()) : 0);
  return multiply_bf16(shapes);
}

} // namespace

OptionalFeatures::OptionalFeatures(const Api &api, Dispatchable physical) {
  static_assert(std::size(kOptional) == kCount);
  std::vector<ExtensionProperties> extensions = extensions_of(api, physical);
  std::array<ExtensionFeatures, kCount> found{};
  PhysicalDeviceFeatures2 all;
  for (size_t i = 0; i < kCount; ++i) {
    const Optional &row = kOptional[i];
    found[i].type = row.type;
    if (row.extension && !contains(extensions, row.extension))
      continue;
    found[i].next = all.next;
    all.next = &found[i];
  }
  api.GetPhysicalDeviceFeatures2(physical, &all);
  for (size_t i = 0; i < kCount; ++i)
    if (has_all(found[i], kOptional[i].needed))
      has_ |= kOptional[i].bit;
  if (has_ & LLMRT_FEATURE_SUBGROUP_SIZE)
    sizes_ = subgroup_sizes_of(api, physical);
  if (sizes_.any())
    has_ |= LLMRT_FEATURE_SUBGROUP_SHUFFLE;
  bool warps = sizes_.any() && sizes_.demand(32).size == 32;
  if (warps && (has_ & kMatrixParts) == kMatrixParts && multiplies_bf16(api, physical))
    has_ |= LLMRT_FEATURE_MATRIX_BF16;
  else
    has_ &= ~kMatrixParts;
  for (const Optional &row : kOptional)
    if ((has_ & row.bit) && row.extension)
      extensions_.push_back(row.extension);
  if (contains(extensions, kFloatControls))
    floats_ = float_controls_of(api, physical);
  if (floats_.any())
    extensions_.push_back(kFloatControls);
}

uint64_t OptionalFeatures::features() const { return has_ & ~(kTimeline | kMatrixParts); }
bool OptionalFeatures::timeline_semaphores() const { return has_ & kTimeline; }

void OptionalFeatures::enable(DeviceCreateInfo &info) {
  for (size_t i = 0; i < kCount; ++i) {
    if (!(has_ & kOptional[i].bit))
      continue;
    wanted_[i].type = kOptional[i].type;
    for (size_t flag = 0; flag < std::size(wanted_[i].flags); ++flag)
      wanted_[i].flags[flag] = kOptional[i].needed >> flag & 1;
    wanted_[i].next = const_cast<void *>(info.next);
    info.next = &wanted_[i];
  }
  info.extension_count = uint32_t(extensions_.size());
  info.extensions = extensions_.data();
}

} // namespace llmrt::vk
