// Builds a kernel from its exec.kernel text for a device, loads it and runs it on guarded operands, with every operand's
// size taken from the kernel's own table: what the verifier lets through is what the kernel may touch.
#pragma once

#include "codegen/Codegen.h"
#include "codegen/golden/Golden.h"
#include "codegen/golden/Operands.h"
#include "codegen/reference/Oracle.h"
#include "runtime/artifact/code_table.h"
#include "test/conformance/Devices.h"
#include "test/conformance/GuardedBuffer.h"

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace llmc::conformance {

// Calls `use` with the kernel that `text` is, in a context of its own, and gives back what that gives.
void useKernel(const std::string &text, llvm::function_ref<void(exec::KernelOp)> use);
template <typename Use> auto withKernel(const std::string &text, const Use &use) {
  std::optional<std::invoke_result_t<Use, exec::KernelOp>> result;
  useKernel(text, [&](exec::KernelOp kernel) { result.emplace(use(kernel)); });
  return std::move(*result);
}

// The kernel's id in hexadecimal: texts of one kernel need not be the same.
std::string keyOf(const std::string &text);

class Kernel {
public:
  // `text`: `exec.kernel @k "linear" {...} ...`, which the device does not refuse. Aborts with the diagnostics if it does
  // not build.
  Kernel(const std::string &text, const std::string &device);
  Kernel(const std::string &text, const std::string &device, const codegen::CodeSegment &code); // not in the tally
  ~Kernel();
  Kernel(const Kernel &) = delete;

  // Bytes the kernel may touch of operand `index`.
  int64_t extent(int index, const std::vector<int64_t> &scalars) const;
  // Runs all items. Each operand is copied into guarded memory of exactly its extent, and back. On a CPU `piece` items at
  // a time, between pages that cannot be accessed; on a GPU at once, between bytes that must not change.
  void run(std::vector<std::vector<char> *> operands, const std::vector<int64_t> &scalars, Guard guard = Guard::End,
           int64_t piece = INT64_MAX) const;

  int64_t items(const std::vector<int64_t> &scalars) const;
  // The code of each variant: on a GPU a module.
  std::vector<std::span<const std::byte>> modules() const;
  // Up to `most` rows: a row count of each variant.
  std::vector<int64_t> rowsOfVariants(int64_t most) const;
  // Row counts to try on a CPU, whose tiles have 16 rows: it has code of its own for most counts that whole runs of a tile
  // leave, so all that there can be in one tile, and in the one behind it. AMX takes tiles two by two, and then one.
  std::vector<int64_t> rowsOfTiles() const;
  static constexpr int64_t kMostTileRows = 53; // that may be among them

  // For measuring on a CPU, on the caller's own buffers: the variant for scalars[0] rows, a thread's scratch bytes.
  llmrt_kernel function(int64_t rows) const;
  int64_t scratchBytes(const std::vector<int64_t> &scalars) const;
  int64_t grain(int64_t rows) const { return variant(rows).grain; }

private:
  const llmrt_kernel_entry &variant(int64_t rows) const;
  int64_t evaluate(const llmrt_expression &expression, const std::vector<int64_t> &scalars) const;
  void runOnCpu(const std::vector<std::vector<char> *> &operands, const std::vector<int64_t> &scalars, Guard guard,
                int64_t piece) const;
  [[noreturn]] void fail(const std::string &what) const; // with the kernel and the device

  const TestDevice &device_;
  std::string text_;
  void *image_ = nullptr;
  size_t bytes_ = 0;
  llmrt::CodeTable table_;
  bool counts_ = false; // in the tally
};

// The same, built once a process for each kernel and device.
const Kernel &cachedKernel(const std::string &text, const std::string &device);
// From now on that gives `code`.
void setCachedKernel(const std::string &text, const std::string &device, const codegen::CodeSegment &code);

// The device has all of these kernels; those that it refuses are counted. For every case, with all the kernels that it
// compares, before it does anything.
bool takes(const std::string &device, std::initializer_list<std::string> texts);
// From now on takes() says no to cases none of whose kernels is wanted. The filter is asked about each of them, unless
// one is refused.
using KernelFilter = std::function<bool(const std::string &device, const std::string &text)>;
void setKernelFilter(KernelFilter wanted);
// The kernel, or null where takes() says no.
const Kernel *kernelIfTaken(const std::string &text, const std::string &device);

// The golden vectors that llmc makes of the kernel, and of more rows than an artifact has them. Made once a process.
const std::vector<golden::Golden> &goldensOf(const std::string &text);

using golden::bytesOf;
using golden::ceilDiv;
using golden::elementOf;
using golden::toDouble;
template <typename T> std::vector<T> valuesOf(const std::vector<char> &bytes) {
  const T *data = reinterpret_cast<const T *>(bytes.data());
  return std::vector<T>(data, data + bytes.size() / sizeof(T));
}

std::vector<float> randomFloats(size_t count, uint32_t seed, float scale = 1);

// A matrix [rows, columns] in the rows16 layout of docs/kernels.md; `element` counts where `scheme` is "none".
std::vector<char> packRows(const std::string &scheme, const std::string &element, const std::vector<float> &matrix,
                           int64_t rows, int64_t columns);

// The largest difference over the largest size of `expected`.
double relativeError(const std::vector<float> &actual, const std::vector<double> &expected);

} // namespace llmc::conformance
