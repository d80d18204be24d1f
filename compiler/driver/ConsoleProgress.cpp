#include "compiler/driver/ConsoleProgress.h"

#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

namespace llmc {

namespace os = llmrt::os;

static constexpr uint64_t kMillisecond = 1'000'000;

ConsoleProgress::ConsoleProgress(Verbosity verbosity)
    : verbosity(verbosity), terminal(os::is_terminal(2)), started(os::monotonic_ns()) {}

ConsoleProgress::~ConsoleProgress() { clearLine(); }

double ConsoleProgress::seconds() const { return double(os::monotonic_ns() - started) * 1e-9; }

uint64_t ConsoleProgress::peakDataBytes() {
  peakData = std::max(peakData, os::data_bytes());
  return peakData;
}

void ConsoleProgress::sample() {
  uint64_t now = os::monotonic_ns();
  if (now - lastSample < 20 * kMillisecond) return;
  lastSample = now;
  peakDataBytes();
}

void ConsoleProgress::clearLine() {
  if (lineOpen) llvm::errs() << "\r\x1b[K";
  lineOpen = false;
}

void ConsoleProgress::phase(llvm::StringRef name) {
  peakDataBytes();
  current = name.str();
  lastShown = 0;
  if (verbosity == Verbosity::Quiet) return;
  clearLine();
  llvm::errs() << llvm::format("%7.2f s  ", seconds()) << current;
  if (terminal) lineOpen = true;
  else llvm::errs() << "\n";
}

void ConsoleProgress::step(llvm::StringRef item, uint64_t done, uint64_t total) {
  sample();
  if (verbosity == Verbosity::Quiet) return;
  // A terminal is told ten times a second, a log every five seconds; -v tells everything.
  uint64_t now = os::monotonic_ns(), pause = (terminal ? 100 : 5000) * kMillisecond;
  if (lastShown == 0 && !terminal) lastShown = now;
  if (verbosity != Verbosity::Verbose && now - lastShown < pause && done < total) return;
  lastShown = now;
  clearLine();
  llvm::errs() << llvm::format("%7.2f s  ", seconds()) << current << "  " << item << "  ";
  if (total >= 4096) llvm::errs() << llmrt::format_bytes(done) << " of " << llmrt::format_bytes(total);
  else llvm::errs() << done << " of " << total;
  if (terminal && verbosity != Verbosity::Verbose) lineOpen = true;
  else llvm::errs() << "\n";
}

void ConsoleProgress::warn(llvm::StringRef message) {
  if (verbosity == Verbosity::Quiet) return;
  clearLine();
  llvm::errs() << "llmc: warning: " << message << "\n";
}

} // namespace llmc
