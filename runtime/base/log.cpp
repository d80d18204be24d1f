#include "runtime/base/log.h"

#include <atomic>
#include <cstdio>
#include <string>

namespace llmrt {

namespace {
// The one piece of process-wide state of the base library: how much the user wants to read.
std::atomic<LogLevel> &current_level() {
  static std::atomic<LogLevel> level{LogLevel::kInfo};
  return level;
}
} // namespace

void set_log_level(LogLevel level) { current_level().store(level, std::memory_order_relaxed); }
LogLevel log_level() { return current_level().load(std::memory_order_relaxed); }

void log(LogLevel level, std::string_view message) {
  if (level > log_level() || level == LogLevel::kQuiet)
    return;
  std::string line = level == LogLevel::kError ? "error: " : level == LogLevel::kWarning ? "warning: " : "";
  line.append(message);
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

} // namespace llmrt
