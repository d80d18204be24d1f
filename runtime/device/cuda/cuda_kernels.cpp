#include "runtime/device/cuda/cuda_kernels.h"

#include "runtime/artifact/verify.h"

#include <algorithm>

namespace llmrt::cuda {

namespace {

constexpr int64_t kMaxThreads = 1024;   // of a workgroup, on every chip
constexpr size_t kLogBytes = 1024;      // of what the driver's compiler says

} // namespace

Kernels::~Kernels() {
  if (modules_.empty() || !device_->enter().ok())
    return;
  for (Module module : modules_)
    device_->api().ModuleUnload(module);
}

Status Kernels::load(const CodeTable &table, const llmrt_kernel_entry &entry) {
  const Api &api = device_->api();
  std::optional<int64_t> threads = table.evaluate(entry.scratch, {});
  if (!threads || *threads < 1 || *threads > kMaxThreads)
    return Status(StatusCode::kCorrupt, "a kernel for CUDA has a workgroup of no size that there is");
  char log[kLogBytes] = "";
  const int32_t names[] = {kJitErrorLog, kJitErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(kLogBytes)};
  Module module = nullptr;
  Code code = api.ModuleLoadDataEx(&module, table.segment().data() + entry.entry, 2, names, values);
  if (Status status = api.check(code, "loading a kernel"); !status.ok())
    return log[0] ? Status(status.code(), status.message() + ": " + log) : status;
  modules_.push_back(module);
  cuda::Function function = nullptr;
  if (Status status = api.check(api.ModuleGetFunction(&function, module, "main"), "finding a kernel in its module");
      !status.ok())
    return status;
  functions_[&entry] = {function, uint32_t(*threads)};
  return ok_status();
}

Status Kernels::load(const CodeTable &table) {
  if (Status status = device_->enter(); !status.ok())
    return status;
  for (const llmrt_kernel_entry &entry : table.entries())
    if (Status status = load(table, entry); !status.ok())
      return status;
  return ok_status();
}

llmrt::Result<Kernels::Function> Kernels::of(const CodeTable &table, const llmrt_kernel_entry &entry) {
  if (auto found = functions_.find(&entry); found != functions_.end())
    return found->second;
  if (Status status = load(table, entry); !status.ok())
    return status;
  return functions_.at(&entry);
}

std::vector<uint32_t> segments_for(const Artifact &artifact, Chip chip) {
  std::vector<std::pair<int, uint32_t>> found;
  for (uint32_t i = 0; i < count_of(artifact.meta().segments()); ++i) {
    const schema::Segment &segment = *artifact.meta().segments()->Get(i);
    int fit = is_code_of(segment, kCudaTarget) ? fitness(text_of(segment.layout()), chip) : 0;
    if (fit > 0)
      found.push_back({-fit, i});
  }
  std::sort(found.begin(), found.end());
  std::vector<uint32_t> segments;
  for (auto [fit, segment] : found)
    segments.push_back(segment);
  return segments;
}

} // namespace llmrt::cuda
