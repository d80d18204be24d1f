// What we use of Vulkan 1.1, declared by ourselves after the specification's binary interface (registry version 1.3),
// so that neither building nor running needs Vulkan: libvulkan is opened at run time. Names are the specification's
// without "Vk"; fields that we never set are called `unused`.
#pragma once

#include "runtime/base/os.h"
#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace llmrt::vk {

using Dispatchable = struct OpaqueDispatchable *; // an instance, a device, a queue, a command buffer
using Handle = uint64_t;                          // everything else; 0 is null
using Size = uint64_t;
using Result = int32_t;

inline constexpr Result kSuccess = 0, kIncomplete = 5;
std::string result_text(Result result); // "VK_ERROR_DEVICE_LOST"

enum StructureType : int32_t {
  kApplicationInfo = 0, kInstanceCreateInfo = 1, kDeviceQueueCreateInfo = 2, kDeviceCreateInfo = 3, kSubmitInfo = 4,
  kMemoryAllocateInfo = 5, kFenceCreateInfo = 8, kSemaphoreCreateInfo = 9, kBufferCreateInfo = 12,
  kShaderModuleCreateInfo = 16, kPipelineCacheCreateInfo = 17,
  kPipelineShaderStageCreateInfo = 18, kComputePipelineCreateInfo = 29, kPipelineLayoutCreateInfo = 30,
  kDescriptorSetLayoutCreateInfo = 32, kDescriptorPoolCreateInfo = 33, kDescriptorSetAllocateInfo = 34,
  kWriteDescriptorSet = 35, kCommandPoolCreateInfo = 39, kCommandBufferAllocateInfo = 40, kCommandBufferBeginInfo = 42,
  kMemoryBarrier = 46, kPhysicalDeviceFeatures2 = 1000059000, kPhysicalDeviceProperties2 = 1000059001,
  kFloat16Int8Features = 1000082000, kStorage16Features = 1000083000, kSubgroupProperties = 1000094000,
  kFloatControlsProperties = 1000197000, kTimelineSemaphoreFeatures = 1000207000,
  kSemaphoreTypeCreateInfo = 1000207002, kTimelineSemaphoreSubmitInfo = 1000207003, kSemaphoreWaitInfo = 1000207004,
  kSubgroupSizeProperties = 1000225000, kRequiredSubgroupSizeCreateInfo = 1000225001,
  kSubgroupSizeFeatures = 1000225002, kIntegerDotFeatures = 1000280000, kBfloat16Features = 1000141000,
  kMemoryModelFeatures = 1000211000, kCooperativeMatrixFeatures = 1000506000, kCooperativeMatrixShape = 1000506001,
  kCooperativeMatrixProperties = 1000506002,
};

inline constexpr uint32_t kApiVersion11 = (1u << 22) | (1u << 12);
inline constexpr uint32_t kQueueCompute = 2;
inline constexpr uint32_t kMemoryDeviceLocal = 1, kMemoryHostVisible = 2, kMemoryHostCoherent = 4,
                          kMemoryHostCached = 8;
inline constexpr uint32_t kBufferTransferSource = 1, kBufferTransferTarget = 2, kBufferStorage = 0x20,
                          kBufferIndirect = 0x100;
inline constexpr uint32_t kStageDrawIndirect = 2, kStageCompute = 0x800, kStageTransfer = 0x1000, kStageHost = 0x4000;
inline constexpr uint32_t kAccessIndirectRead = 1, kAccessShaderRead = 0x20, kAccessShaderWrite = 0x40,
                          kAccessTransferRead = 0x800, kAccessTransferWrite = 0x1000, kAccessHostRead = 0x2000,
                          kAccessHostWrite = 0x4000;
inline constexpr uint32_t kShaderStageCompute = 0x20;
inline constexpr uint32_t kRequireFullSubgroups = 2; // of a stage's flags
inline constexpr uint32_t kSubgroupShuffles = 0x10;  // of what subgroups can do
inline constexpr int32_t kBindPointCompute = 1;
inline constexpr int32_t kDescriptorStorageBuffer = 7;
inline constexpr uint32_t kCommandPoolResets = 2;
inline constexpr Size kWholeSize = ~Size(0);

enum DeviceType : int32_t { kOther = 0, kIntegrated = 1, kDiscrete = 2, kVirtual = 3, kCpu = 4 };

struct ApplicationInfo {
  StructureType type = kApplicationInfo;
  const void *next = nullptr;
  const char *application_name = nullptr;
  uint32_t application_version = 0;
  const char *engine_name = nullptr;
  uint32_t engine_version = 0;
  uint32_t api_version = kApiVersion11;
};
struct InstanceCreateInfo {
  StructureType type = kInstanceCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0;
  const ApplicationInfo *application = nullptr;
  uint32_t layer_count = 0;
  const char *const *layers = nullptr;
  uint32_t extension_count = 0;
  const char *const *extensions = nullptr;
};

// Only the limits that we look at have names.
struct PhysicalDeviceLimits {
  uint32_t unused0[7];
  uint32_t max_storage_buffer_range;
  uint32_t unused1[11];
  uint32_t max_per_stage_storage_buffers;
  uint32_t unused2[7];
  uint32_t max_set_storage_buffers;
  uint32_t unused3[26];
  uint32_t max_shared_memory;
  uint32_t max_group_count[3];
  uint32_t max_group_threads;
  uint32_t unused4[23];
  Size min_storage_buffer_alignment;
  uint32_t unused5[42];
};
static_assert(sizeof(PhysicalDeviceLimits) == 504 && offsetof(PhysicalDeviceLimits, max_storage_buffer_range) == 28 &&
              offsetof(PhysicalDeviceLimits, max_per_stage_storage_buffers) == 76 &&
              offsetof(PhysicalDeviceLimits, max_set_storage_buffers) == 108 &&
              offsetof(PhysicalDeviceLimits, max_shared_memory) == 216 &&
              offsetof(PhysicalDeviceLimits, max_group_threads) == 232 &&
              offsetof(PhysicalDeviceLimits, min_storage_buffer_alignment) == 328);
struct PhysicalDeviceProperties {
  uint32_t api_version, driver_version, vendor, device;
  DeviceType type;
  char name[256];
  uint8_t pipeline_cache_uuid[16];
  PhysicalDeviceLimits limits;
  uint32_t unused[5];
};
static_assert(sizeof(PhysicalDeviceProperties) == 824 && offsetof(PhysicalDeviceProperties, limits) == 296);
struct PhysicalDeviceProperties2 {
  StructureType type = kPhysicalDeviceProperties2;
  void *next = nullptr;
  PhysicalDeviceProperties properties{};
};
// VK_KHR_shader_float_controls. Of each five the modes for floats of 16, 32 and 64 bits.
struct FloatControlsProperties {
  StructureType type = kFloatControlsProperties;
  void *next = nullptr;
  int32_t denormals_independence = 0, rounding_independence = 0;
  uint32_t keep_special[3] = {}, keep_denormals[3] = {}, flush_denormals[3] = {}, round_to_even[3] = {},
           round_to_zero[3] = {};
};
inline constexpr int32_t kIndependenceNone = 2; // one mode for all widths or none
struct SubgroupProperties {
  StructureType type = kSubgroupProperties;
  void *next = nullptr;
  uint32_t size = 0, stages = 0, operations = 0, quads_in_all_stages = 0;
};
// VK_EXT_subgroup_size_control. `stages`: those that may ask for a size.
struct SubgroupSizeProperties {
  StructureType type = kSubgroupSizeProperties;
  void *next = nullptr;
  uint32_t min_size = 0, max_size = 0, max_subgroups = 0, stages = 0;
};
struct RequiredSubgroupSizeCreateInfo {
  StructureType type = kRequiredSubgroupSizeCreateInfo;
  void *next = nullptr;
  uint32_t size = 0;
};
// VK_KHR_cooperative_matrix
struct CooperativeMatrixProperties {
  StructureType type = kCooperativeMatrixProperties;
  void *next = nullptr;
  uint32_t stages = 0;
};
enum ComponentType : int32_t { kComponentFloat32 = 1, kComponentBfloat16 = 1000141000 };
inline constexpr int32_t kScopeSubgroup = 3;
struct CooperativeMatrixShape { // of a product that the device has: m x k by k x n
  StructureType type = kCooperativeMatrixShape;
  void *next = nullptr;
  uint32_t m = 0, n = 0, k = 0;
  int32_t a = 0, b = 0, c = 0, result = 0; // component types
  uint32_t saturates = 0;
  int32_t scope = 0;
};
struct PhysicalDeviceFeatures2 {
  StructureType type = kPhysicalDeviceFeatures2;
  void *next = nullptr;
  uint32_t unused[55] = {};
};
// The features of one extension, 1 where the device has one, in its order. Each of those we ask for has at most four.
struct ExtensionFeatures {
  StructureType type;
  void *next = nullptr;
  uint32_t flags[4] = {};
};
struct QueueFamilyProperties {
  uint32_t flags, count, timestamp_bits, unused[3];
};
struct PhysicalDeviceMemoryProperties {
  uint32_t type_count;
  struct {
    uint32_t flags, heap;
  } types[32];
  uint32_t heap_count;
  struct {
    Size bytes;
    uint32_t flags;
  } heaps[16];
};
static_assert(sizeof(PhysicalDeviceMemoryProperties) == 520);

struct DeviceQueueCreateInfo {
  StructureType type = kDeviceQueueCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0, family = 0, count = 1;
  const float *priorities = nullptr;
};
struct DeviceCreateInfo {
  StructureType type = kDeviceCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0, queue_count = 1;
  const DeviceQueueCreateInfo *queues = nullptr;
  uint32_t layer_count = 0;
  const char *const *layers = nullptr;
  uint32_t extension_count = 0;
  const char *const *extensions = nullptr;
  const void *features = nullptr;
};
struct BufferCreateInfo {
  StructureType type = kBufferCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0;
  Size bytes = 0;
  uint32_t usage = 0;
  int32_t sharing = 0;
  uint32_t family_count = 0;
  const uint32_t *families = nullptr;
};
struct MemoryRequirements {
  Size bytes, alignment;
  uint32_t types;
};
struct MemoryAllocateInfo {
  StructureType type = kMemoryAllocateInfo;
  const void *next = nullptr;
  Size bytes = 0;
  uint32_t memory_type = 0;
};
struct ShaderModuleCreateInfo {
  StructureType type = kShaderModuleCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0;
  size_t bytes = 0;
  const uint32_t *words = nullptr;
};
struct PipelineShaderStageCreateInfo {
  StructureType type = kPipelineShaderStageCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0, stage = kShaderStageCompute;
  Handle module = 0;
  const char *name = "main";
  const void *specialization = nullptr;
};
struct ComputePipelineCreateInfo {
  StructureType type = kComputePipelineCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0;
  PipelineShaderStageCreateInfo stage;
  Handle layout = 0, base = 0;
  int32_t base_index = -1;
};
struct DescriptorSetLayoutBinding {
  uint32_t binding = 0;
  int32_t type = kDescriptorStorageBuffer;
  uint32_t count = 1, stages = kShaderStageCompute;
  const Handle *samplers = nullptr;
};
struct DescriptorSetLayoutCreateInfo {
  StructureType type = kDescriptorSetLayoutCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0, binding_count = 0;
  const DescriptorSetLayoutBinding *bindings = nullptr;
};
struct PipelineLayoutCreateInfo {
  StructureType type = kPipelineLayoutCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0, set_count = 1;
  const Handle *sets = nullptr;
  uint32_t range_count = 0;
  const void *ranges = nullptr;
};
struct DescriptorPoolSize {
  int32_t type = kDescriptorStorageBuffer;
  uint32_t count = 0;
};
struct DescriptorPoolCreateInfo {
  StructureType type = kDescriptorPoolCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0, max_sets = 0, size_count = 1;
  const DescriptorPoolSize *sizes = nullptr;
};
struct DescriptorSetAllocateInfo {
  StructureType type = kDescriptorSetAllocateInfo;
  const void *next = nullptr;
  Handle pool = 0;
  uint32_t count = 1;
  const Handle *layouts = nullptr;
};
struct DescriptorBufferInfo {
  Handle buffer = 0;
  Size offset = 0, range = 0;
};
struct WriteDescriptorSet {
  StructureType type = kWriteDescriptorSet;
  const void *next = nullptr;
  Handle set = 0;
  uint32_t binding = 0, element = 0, count = 1;
  int32_t kind = kDescriptorStorageBuffer;
  const void *images = nullptr;
  const DescriptorBufferInfo *buffers = nullptr;
  const Handle *views = nullptr;
};
struct CommandPoolCreateInfo {
  StructureType type = kCommandPoolCreateInfo;
  const void *next = nullptr;
  uint32_t flags = kCommandPoolResets, family = 0;
};
struct CommandBufferAllocateInfo {
  StructureType type = kCommandBufferAllocateInfo;
  const void *next = nullptr;
  Handle pool = 0;
  int32_t level = 0;
  uint32_t count = 1;
};
struct CommandBufferBeginInfo {
  StructureType type = kCommandBufferBeginInfo;
  const void *next = nullptr;
  uint32_t flags = 0;
  const void *inheritance = nullptr;
};
struct MemoryBarrier {
  StructureType type = kMemoryBarrier;
  const void *next = nullptr;
  uint32_t from = 0, to = 0; // accesses
};
struct BufferCopy {
  Size from = 0, to = 0, bytes = 0;
};
struct SubmitInfo {
  StructureType type = kSubmitInfo;
  const void *next = nullptr;
  uint32_t wait_count = 0;
  const Handle *waits = nullptr;
  const uint32_t *wait_stages = nullptr;
  uint32_t buffer_count = 0;
  const Dispatchable *buffers = nullptr;
  uint32_t signal_count = 0;
  const Handle *signals = nullptr;
};
struct FenceCreateInfo {
  StructureType type = kFenceCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0;
};
struct ExtensionProperties {
  char name[256];
  uint32_t version;
};
// VK_KHR_timeline_semaphore
struct SemaphoreTypeCreateInfo {
  StructureType type = kSemaphoreTypeCreateInfo;
  const void *next = nullptr;
  int32_t semaphore_type = 1; // a timeline
  uint64_t value = 0;
};
struct SemaphoreCreateInfo {
  StructureType type = kSemaphoreCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0;
};
struct TimelineSemaphoreSubmitInfo {
  StructureType type = kTimelineSemaphoreSubmitInfo;
  const void *next = nullptr;
  uint32_t wait_count = 0;
  const uint64_t *wait_values = nullptr;
  uint32_t signal_count = 1;
  const uint64_t *signal_values = nullptr;
};
struct SemaphoreWaitInfo {
  StructureType type = kSemaphoreWaitInfo;
  const void *next = nullptr;
  uint32_t flags = 0, count = 1;
  const Handle *semaphores = nullptr;
  const uint64_t *values = nullptr;
};
struct PipelineCacheCreateInfo {
  StructureType type = kPipelineCacheCreateInfo;
  const void *next = nullptr;
  uint32_t flags = 0;
  size_t bytes = 0;
  const void *data = nullptr;
};
struct DispatchIndirectCommand {
  uint32_t x, y, z;
};

// The functions; those from CreateBuffer on are looked up for the device, which saves the loader's detour.
struct Api {
  using Void = void (*)();
  Void (*GetInstanceProcAddr)(Dispatchable instance, const char *name) = nullptr;
  Result (*CreateInstance)(const InstanceCreateInfo *, const void *, Dispatchable *) = nullptr;
  void (*DestroyInstance)(Dispatchable, const void *) = nullptr;
  Result (*EnumeratePhysicalDevices)(Dispatchable, uint32_t *, Dispatchable *) = nullptr;
  void (*GetPhysicalDeviceProperties)(Dispatchable, PhysicalDeviceProperties *) = nullptr;
  void (*GetPhysicalDeviceProperties2)(Dispatchable, PhysicalDeviceProperties2 *) = nullptr;
  void (*GetPhysicalDeviceFeatures2)(Dispatchable, PhysicalDeviceFeatures2 *) = nullptr;
  void (*GetPhysicalDeviceQueueFamilyProperties)(Dispatchable, uint32_t *, QueueFamilyProperties *) = nullptr;
  void (*GetPhysicalDeviceMemoryProperties)(Dispatchable, PhysicalDeviceMemoryProperties *) = nullptr;
  // Null where no driver has VK_KHR_cooperative_matrix.
  Result (*GetPhysicalDeviceCooperativeMatrixProperties)(Dispatchable, uint32_t *, CooperativeMatrixShape *) = nullptr;
  Result (*CreateDevice)(Dispatchable, const DeviceCreateInfo *, const void *, Dispatchable *) = nullptr;
  Void (*GetDeviceProcAddr)(Dispatchable, const char *) = nullptr;
  Result (*EnumerateDeviceExtensionProperties)(Dispatchable, const char *layer, uint32_t *,
                                               ExtensionProperties *) = nullptr;

  void (*DestroyDevice)(Dispatchable, const void *) = nullptr;
  void (*GetDeviceQueue)(Dispatchable, uint32_t family, uint32_t index, Dispatchable *) = nullptr;
  Result (*DeviceWaitIdle)(Dispatchable) = nullptr;
  Result (*CreateBuffer)(Dispatchable, const BufferCreateInfo *, const void *, Handle *) = nullptr;
  void (*DestroyBuffer)(Dispatchable, Handle, const void *) = nullptr;
  void (*GetBufferMemoryRequirements)(Dispatchable, Handle, MemoryRequirements *) = nullptr;
  Result (*AllocateMemory)(Dispatchable, const MemoryAllocateInfo *, const void *, Handle *) = nullptr;
  void (*FreeMemory)(Dispatchable, Handle, const void *) = nullptr;
  Result (*BindBufferMemory)(Dispatchable, Handle buffer, Handle memory, Size) = nullptr;
  Result (*MapMemory)(Dispatchable, Handle, Size offset, Size bytes, uint32_t flags, void **) = nullptr;
  Result (*CreateShaderModule)(Dispatchable, const ShaderModuleCreateInfo *, const void *, Handle *) = nullptr;
  void (*DestroyShaderModule)(Dispatchable, Handle, const void *) = nullptr;
  Result (*CreateDescriptorSetLayout)(Dispatchable, const DescriptorSetLayoutCreateInfo *, const void *,
                                      Handle *) = nullptr;
  void (*DestroyDescriptorSetLayout)(Dispatchable, Handle, const void *) = nullptr;
  Result (*CreatePipelineLayout)(Dispatchable, const PipelineLayoutCreateInfo *, const void *, Handle *) = nullptr;
  void (*DestroyPipelineLayout)(Dispatchable, Handle, const void *) = nullptr;
  Result (*CreateComputePipelines)(Dispatchable, Handle cache, uint32_t count, const ComputePipelineCreateInfo *,
                                   const void *, Handle *) = nullptr;
  void (*DestroyPipeline)(Dispatchable, Handle, const void *) = nullptr;
  Result (*CreateDescriptorPool)(Dispatchable, const DescriptorPoolCreateInfo *, const void *, Handle *) = nullptr;
  void (*DestroyDescriptorPool)(Dispatchable, Handle, const void *) = nullptr;
  Result (*AllocateDescriptorSets)(Dispatchable, const DescriptorSetAllocateInfo *, Handle *) = nullptr;
  void (*UpdateDescriptorSets)(Dispatchable, uint32_t count, const WriteDescriptorSet *, uint32_t,
                               const void *) = nullptr;
  Result (*CreateCommandPool)(Dispatchable, const CommandPoolCreateInfo *, const void *, Handle *) = nullptr;
  void (*DestroyCommandPool)(Dispatchable, Handle, const void *) = nullptr;
  Result (*AllocateCommandBuffers)(Dispatchable, const CommandBufferAllocateInfo *, Dispatchable *) = nullptr;
  Result (*CreateFence)(Dispatchable, const FenceCreateInfo *, const void *, Handle *) = nullptr;
  void (*DestroyFence)(Dispatchable, Handle, const void *) = nullptr;
  Result (*ResetFences)(Dispatchable, uint32_t count, const Handle *) = nullptr;
  Result (*WaitForFences)(Dispatchable, uint32_t count, const Handle *, uint32_t all, uint64_t nanoseconds) = nullptr;
  // Null where the device has no timeline semaphores.
  Result (*CreateSemaphore)(Dispatchable, const SemaphoreCreateInfo *, const void *, Handle *) = nullptr;
  void (*DestroySemaphore)(Dispatchable, Handle, const void *) = nullptr;
  Result (*WaitSemaphores)(Dispatchable, const SemaphoreWaitInfo *, uint64_t nanoseconds) = nullptr;
  Result (*CreatePipelineCache)(Dispatchable, const PipelineCacheCreateInfo *, const void *, Handle *) = nullptr;
  void (*DestroyPipelineCache)(Dispatchable, Handle, const void *) = nullptr;
  Result (*GetPipelineCacheData)(Dispatchable, Handle, size_t *bytes, void *) = nullptr;
  Result (*QueueSubmit)(Dispatchable, uint32_t count, const SubmitInfo *, Handle fence) = nullptr;
  Result (*BeginCommandBuffer)(Dispatchable, const CommandBufferBeginInfo *) = nullptr;
  Result (*EndCommandBuffer)(Dispatchable) = nullptr;
  void (*CmdBindPipeline)(Dispatchable, int32_t bind_point, Handle) = nullptr;
  void (*CmdBindDescriptorSets)(Dispatchable, int32_t bind_point, Handle layout, uint32_t first, uint32_t count,
                                const Handle *, uint32_t, const uint32_t *) = nullptr;
  void (*CmdDispatchIndirect)(Dispatchable, Handle buffer, Size offset) = nullptr;
  void (*CmdPipelineBarrier)(Dispatchable, uint32_t from, uint32_t to, uint32_t flags, uint32_t, const MemoryBarrier *,
                             uint32_t, const void *, uint32_t, const void *) = nullptr;
  void (*CmdCopyBuffer)(Dispatchable, Handle from, Handle to, uint32_t count, const BufferCopy *) = nullptr;
  void (*CmdFillBuffer)(Dispatchable, Handle, Size offset, Size bytes, uint32_t word) = nullptr;

  // Opens libvulkan. kUnsupported where there is none, or what it has is not Vulkan.
  static llmrt::Result<Api> open();
  Status load_instance(Dispatchable instance);
  Status load_device(Dispatchable device, bool timeline_semaphores);

private:
  os::SharedLibrary loader_;
};

} // namespace llmrt::vk
