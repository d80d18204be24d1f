// Progress on stderr: one line that is overwritten on a terminal, plain lines elsewhere.
#pragma once

#include "compiler/pipeline/Progress.h"

#include <string>

namespace llmc {

enum class Verbosity { Quiet, Normal, Verbose };

class ConsoleProgress final : public Progress {
public:
  explicit ConsoleProgress(Verbosity verbosity);
  ~ConsoleProgress() override;

  void phase(llvm::StringRef name) override;
  void step(llvm::StringRef item, uint64_t done, uint64_t total) override;
  void warn(llvm::StringRef message) override;

  double seconds() const; // since the start
  // The most private writable memory that was seen, looked at now and then.
  uint64_t peakDataBytes();

private:
  void sample();
  void clearLine();

  Verbosity verbosity;
  bool terminal;
  bool lineOpen = false;
  std::string current;  // the phase
  uint64_t started, lastShown = 0, lastSample = 0, peakData = 0;
};

} // namespace llmc
