// Packs all weights of a model into one segment, on several threads, with bounded memory and hashes on the way.
#pragma once

#include "compiler/emit/WeightPlan.h"
#include "compiler/import/Checkpoint.h"
#include "runtime/base/sha256.h"

#include <functional>

namespace llmc {

struct SegmentHashes {
  llmrt::Sha256Digest whole{};
  std::vector<llmrt::Sha256Digest> chunks; // of each MiB, the last one shorter
};

struct WeightWriterOptions {
  int threads = 1;
  // Bytes that all threads' buffers may take together; fewer threads run where that is not enough.
  uint64_t memoryBudget = uint64_t(768) << 20;
  // Called now and then, by one thread at a time: the weight just packed, and bytes of the segment that are done.
  std::function<void(llvm::StringRef weight, uint64_t done)> progress;
};

// Where the segment's bytes go; called by several threads at once for ranges that do not overlap.
using SegmentSink = std::function<llvm::Error(uint64_t offset, llvm::ArrayRef<char> bytes)>;

// The bytes depend on plan and tensors alone, not on the number of threads.
llvm::Expected<SegmentHashes> writeWeights(const WeightPlan &plan, const TensorSource &tensors, const SegmentSink &sink,
                                           const WeightWriterOptions &options);

} // namespace llmc
