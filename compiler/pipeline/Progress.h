// What a long compile tells about itself while it runs.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace llmc {

class Progress {
public:
  virtual ~Progress() = default;
  virtual void phase(llvm::StringRef name) = 0; // a phase begins
  // Inside a phase: what is at hand, and bytes (or things) done of how many. By one thread at a time.
  virtual void step(llvm::StringRef item, uint64_t done, uint64_t total) = 0;
  virtual void warn(llvm::StringRef message) = 0;
};

} // namespace llmc
