#include "runtime/device/cpu/code_loader.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/text.h"

#include <cstring>

namespace llmrt {

namespace {

Result<os::Mapping> map_segment(const Artifact &artifact, uint32_t segment) {
  if (artifact.file_descriptor() < 0)
    return Status(StatusCode::kUnsupported, "the artifact is not in a file");
  uint64_t offset = artifact.segment_offset(segment);
  if (offset % os::page_size() != 0)
    return Status(StatusCode::kUnsupported, "this system's pages are larger than the alignment of code");
  return os::map_file(artifact.file_descriptor(), offset, artifact.segment(segment).size(),
                      os::FileAccess::kReadExecute);
}

} // namespace

Result<LoadedCode> LoadedCode::load(const Artifact &artifact, uint32_t segment, const CodeTable &table, LoadMode mode,
                                    std::span<const llmrt_static_kernel> statics) {
  LoadedCode code;
  code.tier_ = std::string(text_of(artifact.meta().segments()->Get(segment)->layout()));
  if (mode == LoadMode::kStatic) {
    code.statics_ = statics;
    return code;
  }
  Result<os::Mapping> mapping = mode == LoadMode::kCopy ? os::map_code(table.segment()) : map_segment(artifact, segment);
  if (!mapping && mode == LoadMode::kAuto)
    mapping = os::map_code(table.segment());
  if (!mapping)
    return Status(mapping.status().code(), artifact.path() + ": cannot load the kernels of tier " + code.tier_ + ": " +
                                               mapping.status().message());
  code.mapping_ = *std::move(mapping);
  return code;
}

Result<llmrt_kernel> LoadedCode::function(const llmrt_kernel_entry &entry) const {
  if (mapping_.data())
    return reinterpret_cast<llmrt_kernel>(mapping_.data() + entry.entry);
  for (const llmrt_static_kernel &kernel : statics_)
    if (std::memcmp(kernel.id, entry.id, sizeof entry.id) == 0 && kernel.first_rows == entry.first_rows &&
        tier_ == kernel.tier)
      return kernel.function;
  return Status(StatusCode::kNotFound, "kernel " + to_hex({entry.id, sizeof entry.id}) + " of tier " + tier_ +
                                           " is not linked into this program; build it with the archive that llmc "
                                           "compile --emit-kernels writes");
}

} // namespace llmrt
