// Errors planted in one kernel on one device, and what the tests that use it say to each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llmc::conformance {

struct Subject {
  std::string device, text;
  std::vector<std::string> tests; // "RowKernels.NormsAgree"
};

enum class Fate : char {
  Wrong = 'w',     // killed: a test fails
  Faulty = 'f',    // killed: it reads or writes what it must not
  Endless = 'e',   // killed: it takes several times as long as the right kernel, and more
  Survived = 's',
  Same = '=',      // the code is that of the right kernel
  Stillborn = 'x', // it does not lower
};

// For a process of its own. Plants `count` errors, drawn by `seed`, one after the other, each in a process of its own, and
// writes a line of each to `out`: its fate, a space, and what it was. Aborts where the tests fail without an error.
void tryMutants(const Subject &subject, size_t count, uint32_t seed, int out);

} // namespace llmc::conformance
