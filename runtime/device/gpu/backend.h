// What GPU devices differ in: memory, modules, and how a step is submitted. Everything else is GpuDevice's.
#pragma once

#include "runtime/artifact/code_table.h"
#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace llmrt::gpu {

class StepTable;

enum class Place {
  kDevice,   // the device's own
  kUpload,   // the host's, written by it and read by copies
  kDownload, // the host's, written by copies and read by it
};

inline constexpr int64_t kMaxGroupDimension = 65535; // of workgroups: every device takes that many

// Memory that a backend has taken; it gives it back when it is destroyed.
struct Memory {
  uint64_t handle = 0; // a VkBuffer, or an address of CUDA
  int64_t bytes = 0;
  std::byte *data = nullptr; // null for the device's own
};

// Bytes [offset, offset + bytes) of a Memory.
struct Region {
  uint64_t handle = 0;
  int64_t offset = 0, bytes = 0;
};

// What a step moves and computes in. The step block lies behind the table in `upload` and in `block`.
struct StepMemory {
  Memory upload, block; // copied whole, from the first to the second, at the start of a step
  Memory arena;
};

// Copied from the arena to memory of the host at the end of a step.
struct Output {
  Memory to;
  int64_t at = 0;   // byte of that
  int64_t from = 0; // byte in the arena
  int64_t bytes = 0;
};

// A kernel by itself (gpu/lone_run.h) in one block of memory: binding 0, which is the dispatch's row with the workgroups
// behind, and the bindings of its operands.
struct BoundKernel {
  const CodeTable *code = nullptr;           // lives as long as the backend
  const llmrt_kernel_entry *entry = nullptr; // of `code`
  std::span<std::byte> block;                // in memory of the host
  std::span<const Region> bindings;          // of the block, by offset; each begins at a multiple of row_alignment()
  int64_t groups_at = 0;                     // byte of the block: how many workgroups in x, y and z, int32
  int64_t groups = 0;                        // all of them
};

class Backend {
public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;               // "vulkan NVIDIA H200"
  virtual std::string_view target() const = 0;        // of the code that it runs: "vulkan"
  virtual int64_t memory_bytes() const = 0;           // for weights and pages
  virtual int64_t max_operand_bytes() const = 0;      // that a kernel can reach
  virtual int64_t row_alignment() const = 0;          // of a launch's row in the table
  // kExhausted with `what` where the memory is not there. The host's is zero at first.
  virtual Result<Memory> take(int64_t bytes, Place place, const char *what) = 0;
  virtual Status upload(std::span<const std::byte> source, const Memory &target) = 0;
  virtual Status clear(const Memory &memory) = 0;
  // Copies [from, from + bytes) of each to [to, to + bytes) of the same.
  virtual Status copy(std::span<const Memory> memories, int64_t from, int64_t to, int64_t bytes) = 0;

  // Makes ready whatever runs the table's launches; both arguments outlive the backend's last run.
  virtual Status record(StepTable &table, const StepMemory &memory) = 0;
  // A step of `tokens` tokens, whose upload is filled. Waits until it is done.
  virtual Status run(int64_t tokens, std::span<const Output> outputs) = 0;
  // More of the last step. Waits likewise.
  virtual Status fetch(std::span<const Output> outputs) = 0;

  // Copies the block to the device, runs the kernel and copies the block back. Between steps only.
  virtual Status run_alone(const BoundKernel &kernel) = 0;
};

} // namespace llmrt::gpu
