// Three ways to get at a tier's kernels.
#pragma once

#include "runtime/abi/kernel.h"
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/code_table.h"
#include "runtime/base/os.h"
#include "runtime/base/status.h"

#include <span>
#include <string>

namespace llmrt {

enum class LoadMode {
  kAuto,    // kMapFile; where that is forbidden (a noexec mount, an artifact in memory), kCopy
  kMapFile, // read and execute straight from the file
  kCopy,    // anonymous memory, written and then made executable
  kStatic,  // kernels linked into the program
};

class LoadedCode {
public:
  // `table` is the segment's; `statics` is what kStatic looks in, and must outlive the result.
  static Result<LoadedCode> load(const Artifact &artifact, uint32_t segment, const CodeTable &table, LoadMode mode,
                                 std::span<const llmrt_static_kernel> statics);
  // The function of a variant; kNotFound only with kStatic.
  Result<llmrt_kernel> function(const llmrt_kernel_entry &entry) const;

private:
  os::Mapping mapping_; // of the whole segment; empty with kStatic
  std::span<const llmrt_static_kernel> statics_;
  std::string tier_;
};

} // namespace llmrt
