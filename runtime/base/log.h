// Messages for people, on stderr.
#pragma once

#include <string_view>

namespace llmrt {

enum class LogLevel { kQuiet = 0, kError, kWarning, kInfo, kVerbose };

// The level is the process's: what is above it is dropped. kInfo at start.
void set_log_level(LogLevel level);
LogLevel log_level();

// One line, written at once so that threads' lines do not mix; kError and kWarning are marked as such.
void log(LogLevel level, std::string_view message);

} // namespace llmrt
