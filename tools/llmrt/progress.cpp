#include "tools/llmrt/progress.h"

#include "runtime/base/os.h"

#include <cstdio>

namespace llmrt::tool {

static constexpr uint64_t kSecond = 1'000'000'000;

Progress::Progress(std::string what, double total, bool quiet)
    : what_(std::move(what)), total_(total), quiet_(quiet), terminal_(os::is_terminal(2)),
      next_(os::monotonic_ns() + (terminal_ ? kSecond / 2 : 5 * kSecond)) {}

void Progress::show(double done, const std::string &note) {
  uint64_t now = os::monotonic_ns();
  if (quiet_ || now < next_)
    return;
  next_ = now + (terminal_ ? kSecond / 5 : 5 * kSecond);
  double percent = total_ > 0 ? 100 * done / total_ : 0;
  const char *between = note.empty() ? "" : ", ";
  if (terminal_)
    fprintf(stderr, "\r\033[K%s: %.0f%%%s%s", what_.c_str(), percent, between, note.c_str());
  else
    fprintf(stderr, "%s: %.0f%%%s%s\n", what_.c_str(), percent, between, note.c_str());
  shown_ = true;
}

Progress::~Progress() {
  if (shown_ && terminal_)
    fprintf(stderr, "\r\033[K");
}

} // namespace llmrt::tool
