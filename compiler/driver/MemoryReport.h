// llmc compile --print-memory: what llmrt will need with the artifact's defaults on this machine. The parts and their
// figures are those of docs/memory.md; llmrt --print-memory gives the same for its own flags.
#pragma once

#include "runtime/artifact/artifact.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace llmc {

struct MemoryReport {
  std::string formula; // a sum of products in the names of `symbols`; its value is privateBytes
  std::vector<std::pair<std::string, int64_t>> symbols;
  int64_t mappedBytes = 0, privateBytes = 0, kvBytesPerPage = 0;
};

// `availableBytes` of memory decide the default size of the pools, `threads` run kernels.
llvm::Expected<MemoryReport> reportMemory(const llmrt::Artifact &artifact, int64_t availableBytes, int64_t threads);

std::string memoryText(const MemoryReport &report);
std::string memoryJson(const MemoryReport &report);

} // namespace llmc
