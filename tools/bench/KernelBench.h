// Shared by the benchmarks of single kernels.
#pragma once

#include "test/conformance/KernelHarness.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace llmc::bench {

// More than any cache holds: what few rows read comes from memory, as in a whole model.
inline constexpr int64_t kBeyondCaches = 320 << 20;

// Memory in huge pages where the system gives them, filled with one byte.
struct Buffer {
  explicit Buffer(int64_t size, int byte = 0) : bytes(conformance::ceilDiv(size, 2 << 20) * (2 << 20)) {
    data = static_cast<char *>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (data == MAP_FAILED) abort();
    madvise(data, bytes, MADV_HUGEPAGE);
    std::memset(data, byte, bytes);
  }
  ~Buffer() { munmap(data, bytes); }
  Buffer(const Buffer &) = delete;
  template <typename T> T *as() { return reinterpret_cast<T *>(data); }
  size_t bytes;
  char *data;
};

// The tier that BENCH_TIER names, or this machine's best.
inline std::string tier() {
  const char *forced = getenv("BENCH_TIER");
  return forced ? forced : conformance::runnableTiers().back();
}

} // namespace llmc::bench
