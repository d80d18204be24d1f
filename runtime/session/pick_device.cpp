#include "runtime/session/pick_device.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/log.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/device/cuda/cuda_device.h"
#include "runtime/device/vulkan/vulkan_device.h"

#include <algorithm>

namespace llmrt {

namespace {

constexpr std::string_view kCuda = "cuda", kVulkan = "vulkan";

bool has_cpu_code(const Artifact &artifact) {
  const auto &segments = *artifact.meta().segments();
  return std::any_of(segments.begin(), segments.end(), [](const schema::Segment *one) { return is_cpu_code(*one); });
}

bool has_cuda_code(const Artifact &artifact) {
  const auto &segments = *artifact.meta().segments();
  return std::any_of(segments.begin(), segments.end(),
                     [](const schema::Segment *one) { return is_code_of(*one, kCudaTarget); });
}

std::vector<std::string> cuda_devices() { return &llmrt_cuda ? llmrt_cuda.devices() : std::vector<std::string>(); }

Result<std::unique_ptr<Device>> make_cuda_device(std::shared_ptr<const Artifact> artifact, const GpuOptions &options) {
  if (!&llmrt_cuda)
    return Status(StatusCode::kUnsupported, "this program was linked without CUDA: link it with -Wl,-u,llmrt_cuda");
  if (!has_cuda_code(*artifact))
    return Status(StatusCode::kUnsupported,
                  artifact->path() + " has no code for CUDA; compile it with `llmc compile --target cuda`");
  return llmrt_cuda.make(std::move(artifact), options);
}

// "the artifact has code for cpu, vulkan; this machine has cpu, vulkan:0 llvmpipe (software)"
std::string devices_text(const Artifact &artifact) {
  std::string text = "the artifact has code for";
  const char *comma = " ";
  auto add_code = [&](bool has, const char *name) {
    if (has)
      text.append(comma).append(name);
    comma = has ? ", " : comma;
  };
  add_code(has_cpu_code(artifact), "cpu");
  add_code(has_cuda_code(artifact), "cuda");
  add_code(has_vulkan_code(artifact), "vulkan");
  text += "; this machine has cpu";
  auto add_devices = [&](const char *kind, const std::vector<std::string> &devices) {
    for (size_t i = 0; i < devices.size(); ++i)
      text.append(kind).append(std::to_string(i)).append(" ").append(devices[i]);
  };
  add_devices(", cuda:", cuda_devices());
  add_devices(", vulkan:", vulkan_devices());
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
  Result<std::string> tier =
      options.self_test ? tested_cpu_tier(*artifact, device_options) : cpu_tier(*artifact, options.cpu_tier);
  if (!tier.ok())
    return tier.status();
  device_options.tier = *tier;
  Result<std::unique_ptr<Device>> device = make_cpu_device(std::move(artifact), device_options);
  if (!device.ok())
    return device.status();
  return OpenDevice{*std::move(device), "cpu", *tier, device_options.threads};
}

// `kind`: kCuda or kVulkan; `index`: which of several, or empty. A GPU whose kernels fail their self-test gives way to
// the CPU.
Result<OpenDevice> open_gpu(const ModelOptions &options, std::string_view kind, std::string_view index,
                            std::shared_ptr<const Artifact> artifact) {
  std::string flag = "--device " + std::string(kind);
  GpuOptions device_options;
  device_options.self_test = options.self_test;
  device_options.tier = options.gpu_tier;
  if (!index.empty() && (!parse_integer(index, device_options.index) || device_options.index < 0))
    return Status(StatusCode::kInvalidArgument, flag + ":N takes the number of a device, from 0 on");
  Result<std::unique_ptr<Device>> device =
      kind == kCuda ? make_cuda_device(artifact, device_options) : make_vulkan_device(artifact, device_options);
  if (device.status().code() == StatusCode::kInternal && has_cpu_code(*artifact)) {
    // An error though it goes on: whoever asked for a GPU is told even where little is to be said.
    const std::string why = flag + ": " + device.status().message();
    log(LogLevel::kError, why + "; using the CPU instead (--no-self-test uses the GPU all the same)");
    Result<OpenDevice> cpu = open_cpu(options, std::move(artifact));
    return cpu.ok() ? std::move(cpu) : Status(cpu.status().code(), why + "; and on the CPU: " + cpu.status().message());
  }
  if (!device.ok())
    return Status(device.status().code(), flag + ": " + device.status().message() + "; " + devices_text(*artifact));
  std::string name = (*device)->description();
  return OpenDevice{*std::move(device), std::move(name), "", 1};
}

} // namespace

DevicePick pick_device(const Artifact &artifact) {
  constexpr const char *kNothingElse = "the artifact has code for nothing else";
  bool cpu = has_cpu_code(artifact), vulkan = has_vulkan_code(artifact);
  if (has_cuda_code(artifact)) {
    std::string tier = &llmrt_cuda ? llmrt_cuda.tier(artifact) : "";
    if (!tier.empty())
      return {"cuda", "this machine has " + cuda_devices().front() + ", which runs the code for " + tier};
    if (!cpu && !vulkan)
      return {"cuda", kNothingElse};
  }
  if (!vulkan)
    return {"cpu", has_cuda_code(artifact) ? "this machine has no CUDA device for its code" : kNothingElse};
  if (!cpu && !has_cuda_code(artifact))
    return {"vulkan", kNothingElse};
  if (has_vulkan_hardware())
    return {"vulkan", "this machine has hardware for it"};
  if (!cpu)
    return {"vulkan", "this machine has no CUDA device for its code"};
  return {"cpu", vulkan_devices().empty() ? "this machine has no Vulkan device"
                                          : "this machine's only Vulkan devices are software"};
}

std::vector<std::string> tier_picks(const Artifact &artifact) {
  std::vector<std::string> lines = has_vulkan_code(artifact) ? vulkan_picks(artifact) : std::vector<std::string>();
  for (size_t i = 0; i < lines.size(); ++i)
    lines[i] = "vulkan:" + std::to_string(i) + " " + lines[i];
  return lines;
}

Result<OpenDevice> open_device(const ModelOptions &options, std::shared_ptr<const Artifact> artifact) {
  // What only the CPU has decides for it.
  bool cpu_wanted = !options.cpu_tier.empty() || options.profile || options.kernels;
  std::string wanted = options.device;
  if (wanted.empty() || wanted == "auto")
    wanted = cpu_wanted ? "cpu" : pick_device(*artifact).device;
  if (wanted == "cpu" && !options.gpu_tier.empty())
    return Status(StatusCode::kInvalidArgument, "--gpu-tier goes with --device cuda or vulkan");
  if (wanted == "cpu")
    return open_cpu(options, std::move(artifact));
  std::string_view rest = wanted, kind = rest.substr(0, rest.find(':'));
  if (kind != kCuda && kind != kVulkan)
    return Status(StatusCode::kInvalidArgument, "--device " + wanted +
                                                    " is not there in this version; there are auto, cpu, cuda, "
                                                    "cuda:N, vulkan, vulkan:N");
  if (cpu_wanted)
    return Status(StatusCode::kInvalidArgument, "--cpu-tier, profiles and linked kernels go with --device cpu");
  return open_gpu(options, kind, rest.substr(std::min(rest.size(), kind.size() + 1)), std::move(artifact));
}

} // namespace llmrt
