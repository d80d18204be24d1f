// What we use of CUDA's driver API, declared by ourselves after its binary interface (that of CUDA 11.4 and later), so
// that neither building nor running needs the toolkit: libcuda is opened at run time. Names are the driver's without
// "cu" and the suffix of their version.
#pragma once

#include "runtime/base/os.h"
#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace llmrt::cuda {

using Code = int32_t; // CUresult
using Device = int32_t;
using Address = uint64_t; // of the device
using Context = struct OpaqueContext *;
using Module = struct OpaqueModule *;
using Function = struct OpaqueFunction *;
using Stream = struct OpaqueStream *;
using Graph = struct OpaqueGraph *;
using GraphExec = struct OpaqueGraphExec *;

inline constexpr Code kSuccess = 0, kOutOfMemory = 2, kNoDevice = 100, kInvalidImage = 200, kNoBinary = 209,
                      kUnsupportedPtx = 222;
inline constexpr int32_t kAttributeMajor = 75, kAttributeMinor = 76;
inline constexpr int32_t kJitErrorLog = 5, kJitErrorLogBytes = 6; // CUjit_option
inline constexpr uint32_t kStreamNonBlocking = 1;
inline constexpr int32_t kCaptureRelaxed = 2;

struct Api {
  Code (*Init)(uint32_t flags) = nullptr;
  Code (*DriverGetVersion)(int32_t *) = nullptr; // 1000 x major + 10 x minor of the newest CUDA it knows
  Code (*GetErrorName)(Code, const char **) = nullptr;
  Code (*GetErrorString)(Code, const char **) = nullptr;
  Code (*DeviceGetCount)(int32_t *) = nullptr;
  Code (*DeviceGet)(Device *, int32_t index) = nullptr;
  Code (*DeviceGetName)(char *, int32_t bytes, Device) = nullptr;
  Code (*DeviceGetAttribute)(int32_t *, int32_t attribute, Device) = nullptr;
  Code (*DevicePrimaryCtxRetain)(Context *, Device) = nullptr;
  Code (*DevicePrimaryCtxRelease)(Device) = nullptr;
  Code (*CtxSetCurrent)(Context) = nullptr; // of the calling thread
  Code (*MemGetInfo)(size_t *free, size_t *total) = nullptr;
  Code (*MemAlloc)(Address *, size_t) = nullptr;
  Code (*MemFree)(Address) = nullptr;
  Code (*MemHostAlloc)(void **, size_t, uint32_t flags) = nullptr;
  Code (*MemFreeHost)(void *) = nullptr;
  Code (*MemcpyHtoDAsync)(Address, const void *, size_t, Stream) = nullptr;
  Code (*MemcpyDtoHAsync)(void *, Address, size_t, Stream) = nullptr;
  Code (*MemcpyDtoDAsync)(Address to, Address from, size_t, Stream) = nullptr;
  Code (*MemsetD8Async)(Address, uint8_t, size_t, Stream) = nullptr;
  Code (*StreamCreate)(Stream *, uint32_t flags) = nullptr;
  Code (*StreamDestroy)(Stream) = nullptr;
  Code (*StreamSynchronize)(Stream) = nullptr;
  Code (*StreamBeginCapture)(Stream, int32_t mode) = nullptr;
  Code (*StreamEndCapture)(Stream, Graph *) = nullptr;
  Code (*GraphInstantiate)(GraphExec *, Graph, uint64_t flags) = nullptr;
  Code (*GraphLaunch)(GraphExec, Stream) = nullptr;
  Code (*GraphExecDestroy)(GraphExec) = nullptr;
  Code (*GraphDestroy)(Graph) = nullptr;
  Code (*ModuleLoadDataEx)(Module *, const void *, uint32_t options, const int32_t *names, void **values) = nullptr;
  Code (*ModuleUnload)(Module) = nullptr;
  Code (*ModuleGetFunction)(Function *, Module, const char *name) = nullptr;
  Code (*LaunchKernel)(Function, uint32_t groups_x, uint32_t groups_y, uint32_t groups_z, uint32_t threads_x,
                       uint32_t threads_y, uint32_t threads_z, uint32_t shared_bytes, Stream, void **arguments,
                       void **extra) = nullptr;

  // Opens libcuda and starts it. kUnsupported where there is none, where it is too old, or where it finds no device.
  static llmrt::Result<Api> open();
  // `code` as a Status: "CUDA, WHAT: CUDA_ERROR_...: the driver's words; what to do"; kExhausted where it is about
  // memory.
  Status check(Code code, const char *what) const;

private:
  os::SharedLibrary driver_;
};

} // namespace llmrt::cuda
