// Many streaming requests to a server at given times, on one thread.
#pragma once

#include "runtime/base/status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmrt::tool {

struct LoadTarget {
  std::string host = "127.0.0.1"; // an address, or localhost
  int port = 8000;
  std::string path = "/v1/completions", api_key;
};

struct LoadRequest {
  double at_seconds = 0; // after the start
  std::string body;      // JSON, with "stream": true and usage wanted
};

// Times are seconds after the start.
struct LoadResult {
  bool ok = false;
  std::string error; // where not ok
  double sent = 0, ended = 0;
  std::vector<double> chunks; // when each event with text or a finish reason came
  int64_t prompt_tokens = 0, completion_tokens = 0; // by the server's count
};

// Sends each request at its time, or later where `max_concurrency` (0: no limit) are on their way. Waits for all.
// kInvalidArgument: no server answers at the address.
Result<std::vector<LoadResult>> run_load(const LoadTarget &target, const std::vector<LoadRequest> &requests,
                                         int64_t max_concurrency);
// One plain request; the body of a 200. kNotFound: no server answers there; kUnsupported: another status, with its error.
Result<std::string> fetch(const LoadTarget &target, const std::string &path);

} // namespace llmrt::tool
