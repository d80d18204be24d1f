// bench_limits THREADS [FILE]: what this machine can do now, as one JSON object: reads from memory in huge pages and from
// FILE as it is mapped, the better of the two as read_gbps, and the best int8 dot product. About half a second. A file under
// 256 MiB is not read, since caches would answer: file_gbps is 0.
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/device/cpu/cpu_features.h"
#include "runtime/device/cpu/limits.h"

#include <algorithm>
#include <cstdio>

using namespace llmrt;

static int fail(const Status &status, int code) {
  std::fprintf(stderr, "bench_limits: %s\n", std::string(status.message()).c_str());
  return code;
}

// Of at most a GB, which is beyond every cache and read in an instant.
static Result<double> read_file_gbps(int threads, const char *path) {
  constexpr uint64_t least = uint64_t(256) << 20, most = uint64_t(1) << 30;
  Result<os::File> file = os::open_read(path);
  if (!file)
    return file.status();
  Result<uint64_t> bytes = os::file_bytes(*file);
  if (!bytes)
    return bytes.status();
  if (*bytes < least)
    return 0.0;
  Result<os::Mapping> mapping = os::map_file(*file, 0, size_t(std::min(*bytes, most)), os::FileAccess::kRead);
  return mapping ? measure_read_gbps(threads, mapping->view()) : Result<double>(mapping.status());
}

int main(int count, char **words) {
  int32_t threads = 0;
  if (count < 2 || count > 3 || !parse_integer(words[1], threads) || threads < 1 || threads > 1024)
    return fail(Status(StatusCode::kInvalidArgument, "usage: bench_limits THREADS [FILE]"), 2);
  Result<double> memory = measure_read_gbps(threads);
  Result<double> file = count == 3 ? read_file_gbps(threads, words[2]) : Result<double>(0.0);
  Result<double> dot = measure_dot_gops(threads, detect_cpu().features);
  for (const Result<double> *result : {&memory, &file, &dot})
    if (!*result)
      return fail(result->status(), 1);
  std::printf("{\"threads\":%d,\"memory_gbps\":%.2f,\"file_gbps\":%.2f,\"read_gbps\":%.2f,\"dot_gops\":%.1f}\n", threads,
              *memory, *file, std::max(*memory, *file), *dot);
  return std::fflush(stdout) ? 1 : 0;
}
