// A GPU's program "step" as it runs: a launch for each variant of each dispatch, and the table of int32 words that the
// kernels read their dispatch from (binding 0 of runtime/abi/kernel.h). Launches are recorded once; a step changes the
// table alone. Of a kernel's variants those that a step does not want have no work items in it.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/artifact/code_table.h"
#include "runtime/artifact/polynomial.h"
#include "runtime/device/device.h"
#include "runtime/device/gpu/backend.h"

#include <array>
#include <memory>
#include <vector>

namespace llmrt::gpu {

struct Launch {
  const llmrt_kernel_entry *entry = nullptr;
  const schema::KernelDispatch *source = nullptr;
  uint32_t first_scalar = 0, scalar_count = 0, operand_count = 0;
  bool candidates = false; // of a step that wants candidates alone
  int64_t row = 0; // byte in the table
  // Words of the row, in this order: the scalars, where each operand begins, the work items, the workgroups in three
  // dimensions. Kernels read all but the last three.
  int64_t starts() const { return row + 4 * int64_t(scalar_count); }
  int64_t items() const { return starts() + 4 * int64_t(operand_count); }
  int64_t groups() const { return items() + 4; }
  int64_t end() const { return groups() + 12; }
};

// Where the memory of a step lies on the device.
struct OperandMemory {
  Region arena, step_block;
  std::array<std::vector<Region>, kMaxCacheGroups> pools; // of each layer
  std::vector<Region> weights;
};

class StepTable {
public:
  // `program`: of the artifact. That and the code must outlive it. kUnsupported if the program does what GPUs do not do
  // yet.
  static Result<std::unique_ptr<StepTable>> create(const Artifact &artifact, const schema::Program &program,
                                                   const CodeTable &code, const Limits &limits,
                                                   int64_t row_alignment);
  StepTable(const StepTable &) = delete;

  std::span<const Launch> launches() const { return launches_; }
  const CodeTable &code() const { return code_; }
  int64_t max_tokens() const { return limits_.tokens; }
  int64_t bytes() const { return bytes_; } // a multiple of 4096
  std::byte *words = nullptr;              // the table in memory of the host
  OperandMemory memory;

  // All bytes that the operand may reach in any step; whole words, at most `most` bytes.
  Result<Region> operand(const Launch &launch, uint32_t index, int64_t most) const;
  // Sets the row of every launch for a step. `candidates`: it wants them. kExhausted if a figure of it does not fit.
  Status fill(const StepShape &shape, bool candidates) const;
  // The most workgroups of a launch in steps of [first, last] tokens; 0 if none of them wants this variant.
  Result<int64_t> most_groups(const Launch &launch, int64_t first_tokens, int64_t last_tokens) const;
  // The status with the kernel's name in front.
  Status blame(const Launch &launch, const Status &status) const;

private:
  struct Scalar {
    int64_t value;
    schema::Symbol symbol;
  };
  StepTable(const Artifact &artifact, const CodeTable &code, const Limits &limits);
  Status add(const flatbuffers::Vector<flatbuffers::Offset<schema::DispatchEntry>> *dispatches, bool candidates);
  void add(const schema::KernelDispatch &source, bool candidates);
  Status fill_launch(const Launch &launch, const SymbolValues &values, bool wanted) const;
  Result<Region> region_of(const schema::Operand &operand) const;
  std::optional<int64_t> largest(llmrt_expression expression, const Launch &launch, const SymbolValues &values) const;
  SymbolValues values_of(const StepShape &shape) const;
  int32_t *word(int64_t byte) const { return reinterpret_cast<int32_t *>(words + byte); }

  const Artifact &artifact_;
  const CodeTable &code_;
  Limits limits_;
  SymbolValues largest_; // the symbols at the limits
  std::array<int64_t, 7> inputs_{}; // byte of each input's array in the step block; of page tables that of group 0
  std::array<int64_t, kMaxCacheGroups> page_tables_{};
  std::vector<Launch> launches_;
  std::vector<Scalar> scalars_;
  int64_t bytes_ = 0;
};

} // namespace llmrt::gpu
