// Builds a kernel from its exec.kernel text for a tier, loads it and runs it on guarded buffers, with every operand's
// size taken from the kernel's own table: what the verifier lets through is what the kernel may touch.
#pragma once

#include "codegen/Codegen.h"
#include "codegen/reference/Oracle.h"
#include "runtime/abi/kernel.h"
#include "test/conformance/GuardedBuffer.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace llmc::conformance {

// The tiers this machine can run.
std::vector<std::string> runnableTiers();

class Kernel {
public:
  // `text`: `exec.kernel @k "linear" {...} ...`. Aborts with the diagnostics if it does not build.
  Kernel(const std::string &text, const std::string &tier);
  ~Kernel();
  Kernel(const Kernel &) = delete;

  // Bytes the kernel may touch of operand `index`.
  int64_t extent(int index, const std::vector<int64_t> &scalars) const;
  // Runs all items, `piece` at a time. Each operand is copied into a guarded buffer of exactly its extent, and back.
  void run(std::vector<std::vector<char> *> operands, const std::vector<int64_t> &scalars, Guard guard = Guard::End,
           int64_t piece = INT64_MAX) const;

  // For measuring, on the caller's own buffers: the variant for scalars[0] rows, its items, a thread's scratch bytes.
  llmrt_kernel function(int64_t rows) const;
  int64_t items(const std::vector<int64_t> &scalars) const;
  int64_t scratchBytes(const std::vector<int64_t> &scalars) const;
  int64_t grain(int64_t rows) const { return variant(rows).grain; }

private:
  const llmrt_code_header &header() const { return *static_cast<const llmrt_code_header *>(image_); }
  const llmrt_kernel_entry &variant(int64_t rows) const;
  int64_t evaluate(const llmrt_expression &expression, const std::vector<int64_t> &scalars) const;
  template <typename T> const T *table(size_t offset) const {
    return reinterpret_cast<const T *>(static_cast<const char *>(image_) + offset);
  }

  void *image_ = nullptr;
  size_t bytes_ = 0;
  const llmrt_kernel_entry *entries_;
  const llmrt_operand *operands_;
  const llmrt_constraint *constraints_;
  const llmrt_term *terms_;
};

// The same, built once a process for each text and tier.
const Kernel &cachedKernel(const std::string &text, const std::string &tier);

// Bytes of a vector of numbers, and back.
template <typename T> std::vector<char> bytesOf(const std::vector<T> &values) {
  const char *data = reinterpret_cast<const char *>(values.data());
  return std::vector<char>(data, data + values.size() * sizeof(T));
}
template <typename T> std::vector<T> valuesOf(const std::vector<char> &bytes) {
  const T *data = reinterpret_cast<const T *>(bytes.data());
  return std::vector<T>(data, data + bytes.size() / sizeof(T));
}

std::vector<float> randomFloats(size_t count, uint32_t seed, float scale = 1);
std::vector<double> toDouble(const std::vector<float> &values);
inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A matrix [rows, columns] in the rows16 layout of docs/kernels.md; `element` counts where `scheme` is "none".
std::vector<char> packRows(const std::string &scheme, const std::string &element, const std::vector<float> &matrix,
                           int64_t rows, int64_t columns);
reference::Element elementOf(const std::string &name); // "f32", "bf16", "f16"

// The largest difference over the largest size of `expected`.
double relativeError(const std::vector<float> &actual, const std::vector<double> &expected);

} // namespace llmc::conformance
