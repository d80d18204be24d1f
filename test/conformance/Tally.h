// What the suite has run so far: variants of kernels by device.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace llmc::conformance {

class Tally {
public:
  static Tally &ofProcess();

  // A variant is a kernel's text and the first of its rows.
  using Variant = std::pair<std::string, int64_t>;
  struct OfDevice {
    std::set<Variant> built, run;
    std::set<std::string> refused; // kernels
  };
  std::map<std::string, OfDevice> devices;

  // "vulkan: ran 51 of 51 variants; it refuses 60 kernels", a line for each device that was asked for anything.
  std::string text() const;
};

} // namespace llmc::conformance
