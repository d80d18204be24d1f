// The launches of a step as Vulkan runs them: their pipelines with descriptor sets. Commands are recorded once: a launch's row
// and its number of workgroups are read from the table on the device.
#pragma once

#include "runtime/device/gpu/step_table.h"
#include "runtime/device/vulkan/vulkan_pipelines.h"

#include <memory>
#include <vector>

namespace llmrt::vk {

class Program {
public:
  // All arguments must outlive it. kExhausted where the limits make an operand larger than the device can bind,
  // kUnsupported where the device is less able than a kernel needs. Writes where the operands begin into the table.
  static llmrt::Result<std::unique_ptr<Program>> create(Context &context, Pipelines &pipelines, gpu::StepTable &table,
                                                        const gpu::StepMemory &memory);
  ~Program();
  Program(const Program &) = delete;

  // Appends the copy of the step block to the device and all launches.
  void record(Dispatchable commands) const;

private:
  struct Bound {
    Pipeline pipeline;
    Handle set = 0;
  };

  Program(Context &context, gpu::StepTable &table, const gpu::StepMemory &memory)
      : context_(context), table_(table), memory_(memory) {}
  Status build(Pipelines &pipelines);
  Status make_sets();
  Status bind(const gpu::Launch &launch, Handle set);
  llmrt::Result<DescriptorBufferInfo> binding_of(const gpu::Launch &launch, uint32_t operand, int32_t *start) const;

  Context &context_;
  gpu::StepTable &table_;
  const gpu::StepMemory &memory_;
  std::vector<Bound> bound_; // one a launch
  Handle pool_ = 0;
};

} // namespace llmrt::vk
