// The program "step" as Vulkan runs it: pipelines, descriptor sets, and the table that a step changes. Commands are
// recorded once: a dispatch's scalars and its number of workgroups are read from the table on the device, and of a
// kernel's variants those that the step does not want get no workgroups.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/artifact/code_table.h"
#include "runtime/artifact/polynomial.h"
#include "runtime/device/device.h"
#include "runtime/device/vulkan/vulkan_memory.h"

#include <array>
#include <map>
#include <memory>
#include <vector>

namespace llmrt::vk {

// Bytes [offset, offset + bytes) of a buffer.
struct Region {
  Handle buffer = 0;
  int64_t offset = 0, bytes = 0;
};

// Where the memory of a step lies on the device.
struct DeviceMemory {
  Region arena, step_block;
  std::array<std::vector<Region>, kMaxCacheGroups> pools; // of each layer
  std::vector<Region> weights;
};

class Program {
public:
  // `artifact` and `table` must outlive it. kExhausted where the limits make an operand larger than the device can
  // bind, kUnsupported where the device is less able than a kernel needs.
  static llmrt::Result<std::unique_ptr<Program>> create(Context &context, const Artifact &artifact,
                                                        const CodeTable &table, const Limits &limits,
                                                        const DeviceMemory &memory);
  ~Program();
  Program(const Program &) = delete;

  // Appends the table's copy to the device and all dispatches.
  void record(Dispatchable commands) const;
  // Sets the table for a step. kExhausted if a figure of it does not fit.
  Status fill(const SymbolValues &values);

private:
  struct Scalar {
    int64_t value;
    schema::Symbol symbol;
  };
  struct Variant {
    const llmrt_kernel_entry *entry;
    Handle pipeline;
    int64_t counts; // byte in the table of its DispatchIndirectCommand
  };
  struct Dispatch {
    uint32_t first_variant = 0, variant_count = 0, first_scalar = 0, scalar_count = 0, operand_count = 0;
    int64_t row = 0; // byte in the table: scalars, starts, items
    Handle set = 0, layout = 0;
  };
  struct Layout {
    Handle set = 0, pipeline = 0;
  };

  Program(Context &context, const Artifact &artifact, const CodeTable &table, const Limits &limits,
          const DeviceMemory &memory);
  Status build();
  Status lay_out_table();
  Status make_sets();
  Status add(Dispatch &dispatch, const schema::KernelDispatch &source);
  Status add_variant(const llmrt_kernel_entry &entry, const Layout &layout);
  Status bind(Dispatch &dispatch, const schema::KernelDispatch &source);
  llmrt::Result<Region> region_of(const schema::Operand &operand) const;
  llmrt::Result<DescriptorBufferInfo> binding_of(const schema::KernelDispatch &source, const Dispatch &dispatch,
                                                 uint32_t operand, int32_t *start) const;
  llmrt::Result<Layout> layout_of(uint32_t operands);
  llmrt::Result<Handle> pipeline_of(const llmrt_kernel_entry &entry, Handle layout);
  Status fill_dispatch(const Dispatch &dispatch, const SymbolValues &values);
  Status set_counts(const Variant &variant, int64_t items);
  int32_t *words(int64_t byte) { return reinterpret_cast<int32_t *>(upload_.data() + byte); }

  Context &context_;
  const Artifact &artifact_;
  const CodeTable &table_;
  const DeviceMemory &memory_;
  SymbolValues largest_; // the symbols at the limits
  std::array<int64_t, 7> inputs_{}; // byte of each input's array in the step block; of page tables that of group 0
  std::array<int64_t, kMaxCacheGroups> page_tables_{};
  int64_t step_block_bytes_ = 0;

  std::vector<Dispatch> dispatches_;
  std::vector<Variant> variants_;
  std::vector<Scalar> scalars_;
  std::map<uint32_t, Layout> layouts_; // by number of operands
  std::map<const llmrt_kernel_entry *, Handle> pipelines_;
  Handle pool_ = 0;
  Buffer device_table_, upload_;
};

} // namespace llmrt::vk
