#include "runtime/device/cuda/cuda_api.h"

#include <cstring>

namespace llmrt::cuda {

namespace {

constexpr int32_t kOldestDriver = 11040; // CUDA 11.4, of 2021: the first with all functions that we use

// What to do about an error, where more can be said than its name.
const char *advice(Code code) {
  switch (code) {
  case kOutOfMemory:
    return "lower --kv-cache-memory-bytes, --max-num-batched-tokens or --max-num-seqs, or free the GPU of other "
           "programs";
  case 46: // DEVICE_UNAVAILABLE
    return "another program holds the device alone; stop it, or choose another with --device cuda:N";
  case kNoDevice: return "the driver finds no GPU; CUDA_VISIBLE_DEVICES may hide it";
  case kNoBinary: return "compile again with --gpu-arch for this chip";
  case kInvalidImage:
  case kUnsupportedPtx: return "the driver is older than the code: install a newer one";
  case 700: // ILLEGAL_ADDRESS
  case 716: // MISALIGNED_ADDRESS
  case 719: // LAUNCH_FAILED
    return "a kernel has failed and the device is lost for this process: start it again; compute-sanitizer says which";
  case 802: return "the system's fabric manager is not ready; wait, or ask who runs the machine"; // SYSTEM_NOT_READY
  case 803: return "libcuda and the kernel's driver are of different versions: restart the machine";
  default: return nullptr;
  }
}

} // namespace

Status Api::check(Code code, const char *what) const {
  if (code == kSuccess)
    return ok_status();
  const char *name = nullptr, *words = nullptr;
  GetErrorName(code, &name);
  GetErrorString(code, &words);
  std::string message = std::string("CUDA, ") + what + ": " + (name ? name : "error " + std::to_string(code));
  if (words)
    message += std::string(": ") + words;
  if (const char *help = advice(code))
    message += std::string("; ") + help;
  return Status(code == kOutOfMemory ? StatusCode::kExhausted : StatusCode::kUnsupported, std::move(message));
}

llmrt::Result<Api> Api::open() {
  llmrt::Result<os::SharedLibrary> library = os::SharedLibrary::open("libcuda.so.1");
  if (!library)
    return Status(StatusCode::kUnsupported, "there is no CUDA: " + library.status().message());
  Api api;
  api.driver_ = *std::move(library);
  const struct {
    const char *name;
    void *slot; // of a function pointer
  } wanted[] = {
      {"cuDriverGetVersion", &api.DriverGetVersion},
      {"cuInit", &api.Init},
      {"cuGetErrorName", &api.GetErrorName},
      {"cuGetErrorString", &api.GetErrorString},
      {"cuDeviceGetCount", &api.DeviceGetCount},
      {"cuDeviceGet", &api.DeviceGet},
      {"cuDeviceGetName", &api.DeviceGetName},
      {"cuDeviceGetAttribute", &api.DeviceGetAttribute},
      {"cuDevicePrimaryCtxRetain", &api.DevicePrimaryCtxRetain},
      {"cuDevicePrimaryCtxRelease_v2", &api.DevicePrimaryCtxRelease},
      {"cuCtxSetCurrent", &api.CtxSetCurrent},
      {"cuMemGetInfo_v2", &api.MemGetInfo},
      {"cuMemAlloc_v2", &api.MemAlloc},
      {"cuMemFree_v2", &api.MemFree},
      {"cuMemHostAlloc", &api.MemHostAlloc},
      {"cuMemFreeHost", &api.MemFreeHost},
      {"cuMemcpyHtoDAsync_v2", &api.MemcpyHtoDAsync},
      {"cuMemcpyDtoHAsync_v2", &api.MemcpyDtoHAsync},
      {"cuMemcpyDtoDAsync_v2", &api.MemcpyDtoDAsync},
      {"cuMemsetD8Async", &api.MemsetD8Async},
      {"cuStreamCreate", &api.StreamCreate},
      {"cuStreamDestroy_v2", &api.StreamDestroy},
      {"cuStreamSynchronize", &api.StreamSynchronize},
      {"cuStreamBeginCapture_v2", &api.StreamBeginCapture},
      {"cuStreamEndCapture", &api.StreamEndCapture},
      {"cuGraphInstantiateWithFlags", &api.GraphInstantiate},
      {"cuGraphLaunch", &api.GraphLaunch},
      {"cuGraphExecDestroy", &api.GraphExecDestroy},
      {"cuGraphDestroy", &api.GraphDestroy},
      {"cuModuleLoadDataEx", &api.ModuleLoadDataEx},
      {"cuModuleUnload", &api.ModuleUnload},
      {"cuModuleGetFunction", &api.ModuleGetFunction},
      {"cuLaunchKernel", &api.LaunchKernel},
  };
  const char *missing = nullptr;
  for (const auto &one : wanted) {
    void *function = api.driver_.symbol(one.name);
    if (!function && !missing)
      missing = one.name;
    std::memcpy(one.slot, &function, sizeof function);
  }
  int32_t version = 0;
  if (api.DriverGetVersion && api.DriverGetVersion(&version) == kSuccess && version < kOldestDriver)
    return Status(StatusCode::kUnsupported, "the NVIDIA driver is of CUDA " + std::to_string(version / 1000) + "." +
                                                std::to_string(version % 1000 / 10) +
                                                "; llmrt needs one of CUDA 11.4 or newer");
  if (missing)
    return Status(StatusCode::kUnsupported, std::string("libcuda.so.1 lacks ") + missing +
                                                "; install NVIDIA's driver of CUDA 11.4 or newer");
  if (Status status = api.check(api.Init(0), "starting"); !status.ok())
    return status;
  return api;
}

} // namespace llmrt::cuda
