#include "runtime/device/vulkan/vulkan_api.h"

#include <cstring>
#include <span>
#include <utility>

namespace llmrt::vk {

namespace {

struct Wanted {
  const char *name;
  void *slot; // of a function pointer
};

// A function pointer of any type, stored through its bytes: they all have the same size.
void store(void *slot, Api::Void function) { std::memcpy(slot, &function, sizeof function); }

template <typename Lookup> Status load_all(std::span<const Wanted> wanted, Lookup lookup) {
  for (const Wanted &one : wanted) {
    Api::Void function = lookup(one.name);
    if (!function)
      return Status(StatusCode::kUnsupported, std::string("the Vulkan driver lacks ") + one.name);
    store(one.slot, function);
  }
  return ok_status();
}

} // namespace

std::string result_text(Result result) {
  static constexpr std::pair<Result, const char *> kNames[] = {
      {-1, "VK_ERROR_OUT_OF_HOST_MEMORY"},   {-2, "VK_ERROR_OUT_OF_DEVICE_MEMORY"},
      {-3, "VK_ERROR_INITIALIZATION_FAILED"}, {-4, "VK_ERROR_DEVICE_LOST"},
      {-5, "VK_ERROR_MEMORY_MAP_FAILED"},    {-7, "VK_ERROR_EXTENSION_NOT_PRESENT"},
      {-8, "VK_ERROR_FEATURE_NOT_PRESENT"},  {-9, "VK_ERROR_INCOMPATIBLE_DRIVER"},
      {-10, "VK_ERROR_TOO_MANY_OBJECTS"},    {-12, "VK_ERROR_FRAGMENTED_POOL"},
      {-1000069000, "VK_ERROR_OUT_OF_POOL_MEMORY"}};
  for (auto [code, name] : kNames)
    if (code == result)
      return name;
  return "VkResult " + std::to_string(result);
}

llmrt::Result<Api> Api::open() {
  llmrt::Result<os::SharedLibrary> library = os::SharedLibrary::open("libvulkan.so.1");
  if (!library)
    return Status(StatusCode::kUnsupported, "there is no Vulkan: " + library.status().message());
  Api api;
  api.loader_ = *std::move(library);
  api.GetInstanceProcAddr =
      reinterpret_cast<decltype(api.GetInstanceProcAddr)>(api.loader_.symbol("vkGetInstanceProcAddr"));
  if (!api.GetInstanceProcAddr)
    return Status(StatusCode::kUnsupported, "libvulkan.so.1 lacks vkGetInstanceProcAddr");
  const Wanted wanted[] = {{"vkCreateInstance", &api.CreateInstance}};
  if (Status status = load_all(wanted, [&](const char *name) { return api.GetInstanceProcAddr(nullptr, name); });
      !status.ok())
    return status;
  return api;
}

Status Api::load_instance(Dispatchable instance) {
  const Wanted wanted[] = {
      {"vkDestroyInstance", &DestroyInstance},
      {"vkEnumeratePhysicalDevices", &EnumeratePhysicalDevices},
      {"vkGetPhysicalDeviceProperties", &GetPhysicalDeviceProperties},
      {"vkGetPhysicalDeviceProperties2", &GetPhysicalDeviceProperties2},
      {"vkGetPhysicalDeviceFeatures2", &GetPhysicalDeviceFeatures2},
      {"vkGetPhysicalDeviceQueueFamilyProperties", &GetPhysicalDeviceQueueFamilyProperties},
      {"vkGetPhysicalDeviceMemoryProperties", &GetPhysicalDeviceMemoryProperties},
      {"vkCreateDevice", &CreateDevice},
      {"vkGetDeviceProcAddr", &GetDeviceProcAddr},
      {"vkEnumerateDeviceExtensionProperties", &EnumerateDeviceExtensionProperties},
  };
  GetPhysicalDeviceCooperativeMatrixProperties = reinterpret_cast<decltype(GetPhysicalDeviceCooperativeMatrixProperties)>(
      GetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  return load_all(wanted, [&](const char *name) { return GetInstanceProcAddr(instance, name); });
}

Status Api::load_device(Dispatchable device, bool timeline_semaphores) {
  const Wanted wanted[] = {
      {"vkDestroyDevice", &DestroyDevice},
      {"vkGetDeviceQueue", &GetDeviceQueue},
      {"vkDeviceWaitIdle", &DeviceWaitIdle},
      {"vkCreateBuffer", &CreateBuffer},
      {"vkDestroyBuffer", &DestroyBuffer},
      {"vkGetBufferMemoryRequirements", &GetBufferMemoryRequirements},
      {"vkAllocateMemory", &AllocateMemory},
      {"vkFreeMemory", &FreeMemory},
      {"vkBindBufferMemory", &BindBufferMemory},
      {"vkMapMemory", &MapMemory},
      {"vkCreateShaderModule", &CreateShaderModule},
      {"vkDestroyShaderModule", &DestroyShaderModule},
      {"vkCreateDescriptorSetLayout", &CreateDescriptorSetLayout},
      {"vkDestroyDescriptorSetLayout", &DestroyDescriptorSetLayout},
      {"vkCreatePipelineLayout", &CreatePipelineLayout},
      {"vkDestroyPipelineLayout", &DestroyPipelineLayout},
      {"vkCreateComputePipelines", &CreateComputePipelines},
      {"vkDestroyPipeline", &DestroyPipeline},
      {"vkCreateDescriptorPool", &CreateDescriptorPool},
      {"vkDestroyDescriptorPool", &DestroyDescriptorPool},
      {"vkAllocateDescriptorSets", &AllocateDescriptorSets},
      {"vkUpdateDescriptorSets", &UpdateDescriptorSets},
      {"vkCreateCommandPool", &CreateCommandPool},
      {"vkDestroyCommandPool", &DestroyCommandPool},
      {"vkAllocateCommandBuffers", &AllocateCommandBuffers},
      {"vkCreateFence", &CreateFence},
      {"vkDestroyFence", &DestroyFence},
      {"vkResetFences", &ResetFences},
      {"vkWaitForFences", &WaitForFences},
      {"vkCreatePipelineCache", &CreatePipelineCache},
      {"vkDestroyPipelineCache", &DestroyPipelineCache},
      {"vkGetPipelineCacheData", &GetPipelineCacheData},
      {"vkQueueSubmit", &QueueSubmit},
      {"vkBeginCommandBuffer", &BeginCommandBuffer},
      {"vkEndCommandBuffer", &EndCommandBuffer},
      {"vkCmdBindPipeline", &CmdBindPipeline},
      {"vkCmdBindDescriptorSets", &CmdBindDescriptorSets},
      {"vkCmdDispatchIndirect", &CmdDispatchIndirect},
      {"vkCmdPipelineBarrier", &CmdPipelineBarrier},
      {"vkCmdCopyBuffer", &CmdCopyBuffer},
      {"vkCmdFillBuffer", &CmdFillBuffer},
  };
  auto lookup = [&](const char *name) { return GetDeviceProcAddr(device, name); };
  if (Status status = load_all(wanted, lookup); !status.ok() || !timeline_semaphores)
    return status;
  const Wanted timeline[] = {
      {"vkCreateSemaphore", &CreateSemaphore},
      {"vkDestroySemaphore", &DestroySemaphore},
      {"vkWaitSemaphoresKHR", &WaitSemaphores},
  };
  return load_all(timeline, lookup);
}

} // namespace llmrt::vk
