// What kernels are tried on: one row a device in Devices.cpp.
#pragma once

#include "codegen/Codegen.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/device/gpu/backend.h"

#include <functional>
#include <string>
#include <vector>

namespace llmc::conformance {

// A kernel in the steps that its code is made in, variant by variant: for what changes one of them on the way.
struct Steps {
  std::function<size_t(exec::KernelOp)> variants; // how many
  std::function<mlir::OwningOpRef<mlir::ModuleOp>(exec::KernelOp, size_t variant)> emit;
  std::function<llvm::Expected<std::vector<char>>(mlir::ModuleOp)> lower; // what emit() gives: an object, PTX
  // Of the code of all variants, in their order.
  std::function<llvm::Expected<codegen::CodeSegment>(exec::KernelOp, const std::vector<std::vector<char>> &)> link;
};

struct TestDevice {
  std::string name;  // "x86-64-v4-vnni", "spirv1.3-storage16", "cuda"
  std::string order; // devices of one order give the same bits: "cpu", "vulkan", "cuda"
  // Why the device has no such kernel; empty if it has.
  std::function<std::string(exec::KernelOp)> refusal;
  std::function<llvm::Expected<codegen::CodeSegment>(llvm::ArrayRef<exec::KernelOp>)> build;
  Steps steps; // of build, for one kernel
  // Opens a GPU at the first call, for as long as the process lives; null if this machine has none. Empty: the kernels
  // are functions of this process.
  std::function<llmrt::gpu::Backend *()> backend;
  std::function<bool()> runs; // on this machine
};

// A kernel's segment with `change` applied to what is emitted of each variant, before it is lowered.
llvm::Expected<codegen::CodeSegment> buildChanged(exec::KernelOp kernel, const TestDevice &device,
                                                  llvm::function_ref<void(mlir::ModuleOp)> change);

// All of them, for a program to change; those that this machine does not run can be built for.
std::vector<TestDevice> &allDevices();
const TestDevice &findDevice(const std::string &name); // aborts if there is none

// CUDA is the interpreter of the tests from now on, whatever this machine has. Before anything asks for CUDA.
void interpretCuda();

// The names of those that this machine runs, all and the CPU's tiers alone; of those in the environment's LLMC_DEVICES,
// "spirv1.3,cuda", where that is set.
std::vector<std::string> devices();
std::vector<std::string> runnableTiers();

// Loads what kernels are built with for any of them.
void loadDialects(mlir::MLIRContext &context);

} // namespace llmc::conformance
