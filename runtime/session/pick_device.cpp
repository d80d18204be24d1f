#include "runtime/session/pick_device.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/device/vulkan/vulkan_device.h"

#include <algorithm>

namespace llmrt {

namespace {

constexpr std::string_view kVulkan = "vulkan";

bool has_cpu_code(const Artifact &artifact) {
  const auto &segments = *artifact.meta().segments();
  return std::any_of(segments.begin(), segments.end(), [](const schema::Segment *one) { return is_cpu_code(*one); });
}

// "the artifact has code for cpu, vulkan; this machine has cpu, vulkan:0 llvmpipe (software)"
std::string devices_text(const Artifact &artifact) {
  std::string text = "the artifact has code for";
  text += has_cpu_code(artifact) ? " cpu" : "";
  text += has_vulkan_code(artifact) ? (has_cpu_code(artifact) ? ", vulkan" : " vulkan") : "";
  text += "; this machine has cpu";
  std::vector<std::string> devices = vulkan_devices();
  for (size_t i = 0; i < devices.size(); ++i)
    text += ", vulkan:" + std::to_string(i) + " " + devices[i];
  return text;
}

Status choose_code(const ModelOptions &options, CpuDeviceOptions &device) {
  device.mode = options.load_mode;
  if (options.kernels && options.kernels->abi_version != LLMRT_ABI_VERSION)
    return Status(StatusCode::kUnsupported,
                  "the kernels linked into this program are of ABI version " +
                      std::to_string(options.kernels->abi_version) + ", this build runs version " +
                      std::to_string(LLMRT_ABI_VERSION) + "; make them again with llmc compile --emit-kernels");
  if (options.kernels)
    device.static_kernels = {options.kernels->kernels, options.kernels->count};
  if (options.kernels && device.mode == LoadMode::kAuto)
    device.mode = LoadMode::kStatic;
  return ok_status();
}

Result<OpenDevice> open_cpu(const ModelOptions &options, std::shared_ptr<const Artifact> artifact) {
  CpuDeviceOptions device_options;
  device_options.threads = options.threads > 0 ? options.threads : os::usable_cpus();
  device_options.tier = options.cpu_tier;
  device_options.profile = options.profile;
  if (Status status = choose_code(options, device_options); !status.ok())
    return status;
  Result<std::string> tier = cpu_tier(*artifact, options.cpu_tier);
  if (!tier.ok())
    return tier.status();
  Result<std::unique_ptr<Device>> device = make_cpu_device(std::move(artifact), device_options);
  if (!device.ok())
    return device.status();
  return OpenDevice{*std::move(device), "cpu", *tier, device_options.threads};
}

Result<OpenDevice> open_vulkan(std::string_view index, std::shared_ptr<const Artifact> artifact) {
  VulkanDeviceOptions device_options;
  if (!index.empty() && (!parse_integer(index, device_options.index) || device_options.index < 0))
    return Status(StatusCode::kInvalidArgument, "--device vulkan:N takes the number of a device, from 0 on");
  Result<std::unique_ptr<Device>> device = make_vulkan_device(artifact, device_options);
  if (!device.ok())
    return Status(device.status().code(), "--device vulkan: " + device.status().message() + "; " +
                                              devices_text(*artifact));
  std::string name = (*device)->description();
  return OpenDevice{*std::move(device), std::move(name), "", 1};
}

} // namespace

DevicePick pick_device(const Artifact &artifact) {
  if (!has_vulkan_code(artifact))
    return {"cpu", "the artifact has code for nothing else"};
  if (!has_cpu_code(artifact))
    return {"vulkan", "the artifact has code for nothing else"};
  if (has_vulkan_hardware())
    return {"vulkan", "this machine has hardware for it"};
  return {"cpu", vulkan_devices().empty() ? "this machine has no Vulkan device"
                                          : "this machine's only Vulkan devices are software"};
}

Result<OpenDevice> open_device(const ModelOptions &options, std::shared_ptr<const Artifact> artifact) {
  // What only the CPU has decides for it.
  bool cpu_wanted = !options.cpu_tier.empty() || options.profile || options.kernels;
  std::string wanted = options.device;
  if (wanted.empty() || wanted == "auto")
    wanted = cpu_wanted ? "cpu" : pick_device(*artifact).device;
  if (wanted == "cpu")
    return open_cpu(options, std::move(artifact));
  std::string_view rest = wanted;
  if (!rest.starts_with(kVulkan) || (rest.size() > kVulkan.size() && rest[kVulkan.size()] != ':'))
    return Status(StatusCode::kInvalidArgument,
                  "--device " + wanted + " is not there in this version; there are auto, cpu, vulkan, vulkan:N");
  if (cpu_wanted)
    return Status(StatusCode::kInvalidArgument, "--cpu-tier, profiles and linked kernels go with --device cpu");
  return open_vulkan(rest.substr(std::min(rest.size(), kVulkan.size() + 1)), std::move(artifact));
}

} // namespace llmrt
