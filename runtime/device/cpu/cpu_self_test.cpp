// The CPU's part of the self-test: kernels are called as the device calls them, by one thread.
#include "runtime/artifact/verify.h"
#include "runtime/base/log.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/device/self_test.h"

#include <algorithm>

namespace llmrt {

namespace {

constexpr int64_t kMaxScratch = int64_t(64) << 20; // a golden vector is small: more has not come from llmc
constexpr size_t kScratchAlignment = 64;

Status run_alone(const LoneKernel &kernel, const LoadedCode &code) {
  if (Status status = check_lone_kernel(kernel); !status.ok())
    return status;
  Result<llmrt_kernel> function = code.function(*kernel.entry);
  if (!function)
    return function.status();
  int64_t items = *kernel.code->evaluate(kernel.entry->items, kernel.scalars);
  int64_t scratch = kernel.code->evaluate(kernel.entry->scratch, kernel.scalars).value_or(INT64_MAX);
  if (scratch > kMaxScratch)
    return Status(StatusCode::kCorrupt, "its golden vector is too large");
  if (items <= 0)
    return ok_status();
  GuardedOperands operands(kernel, 0, GuardedOperands::kGuard);
  std::vector<void *> pointers;
  for (const GuardedOperands::Slot &slot : operands.slots())
    pointers.push_back(operands.block().data() + slot.offset + slot.before);
  std::vector<std::byte> memory(size_t(std::max<int64_t>(scratch, 0)) + kScratchAlignment);
  uintptr_t address = reinterpret_cast<uintptr_t>(memory.data());
  std::byte *aligned = memory.data() + (kScratchAlignment - address % kScratchAlignment) % kScratchAlignment;
  llmrt_dispatch dispatch{pointers.data(), kernel.scalars.data(), 0, items, aligned};
  (*function)(&dispatch);
  return operands.take_back(kernel);
}

Status test_tier(const Artifact &artifact, uint32_t segment, const CpuDeviceOptions &options) {
  Result<CodeTable> table = CodeTable::parse(artifact.segment(segment));
  if (!table)
    return table.status();
  Result<LoadedCode> code = LoadedCode::load(artifact, segment, *table, options.mode, options.static_kernels);
  if (!code)
    return code.status();
  return self_test(artifact, *table, [&](const LoneKernel &kernel) { return run_alone(kernel, *code); });
}

} // namespace

Result<std::string> tested_cpu_tier(const Artifact &artifact, const CpuDeviceOptions &options) {
  const CpuInfo cpu = detect_cpu();
  const bool forced = !options.tier.empty() && options.tier != "native";
  std::vector<uint32_t> failed;
  Status last;
  while (true) {
    Result<uint32_t> segment = select_tier(artifact, cpu, options.tier, failed);
    if (!segment)
      return last.ok() ? segment.status() : last;
    if (!last.ok())
      log(LogLevel::kWarning, last.message() + "; trying the artifact's next tier");
    std::string tier(text_of(artifact.meta().segments()->Get(*segment)->layout()));
    Status status = test_tier(artifact, *segment, options);
    if (status.ok())
      return tier;
    if (status.code() != StatusCode::kInternal)
      return status;
    last = Status(status.code(), artifact.path() + ": tier " + tier + ": " + status.message() + " (--no-self-test runs it all the same)");
    if (forced)
      return last;
    failed.push_back(*segment);
  }
}

} // namespace llmrt
