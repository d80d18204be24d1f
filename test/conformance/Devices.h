// What kernels are tried on: one row a device in Devices.cpp.
#pragma once

#include "codegen/Codegen.h"
#include "runtime/device/gpu/backend.h"

#include <functional>
#include <string>
#include <vector>

namespace llmc::conformance {

// Called with the module of a kernel (or of a variant of it) as it is emitted, before it is lowered.
using OnEmission = std::function<void(mlir::ModuleOp module)>;

struct TestDevice {
  std::string name;  // "x86-64-v4-vnni", "spirv1.3-storage16", "cuda"
  std::string order; // devices of one order give the same bits: "cpu", "vulkan", "cuda"
  // Why the device has no such kernel; empty if it has.
  std::function<std::string(exec::KernelOp)> refusal;
  std::function<llvm::Expected<codegen::CodeSegment>(llvm::ArrayRef<exec::KernelOp>)> build;
  // The same of one kernel, with something done to it before.
  std::function<llvm::Expected<codegen::CodeSegment>(exec::KernelOp, const OnEmission &)> buildChanged;
  // Opens a GPU at the first call, for as long as the process lives; null if this machine has none. Empty: the kernels
  // are functions of this process.
  std::function<llmrt::gpu::Backend *()> backend;
  std::function<bool()> runs; // on this machine
};

// All of them, for a program to change; those that this machine does not run can be built for.
std::vector<TestDevice> &allDevices();
const TestDevice &findDevice(const std::string &name); // aborts if there is none

// The names of those that this machine runs, all and the CPU's tiers alone; of those in the environment's LLMC_DEVICES,
// "spirv1.3,cuda", where that is set.
std::vector<std::string> devices();
std::vector<std::string> runnableTiers();

// Loads what kernels are built with for any of them.
void loadDialects(mlir::MLIRContext &context);

} // namespace llmc::conformance
