#include "test/conformance/Tally.h"

namespace llmc::conformance {

Tally &Tally::ofProcess() {
  static Tally tally;
  return tally;
}

std::string Tally::text() const {
  std::string text;
  for (const auto &[name, device] : devices) {
    text += name + ": ran " + std::to_string(device.run.size()) + " of " + std::to_string(device.built.size()) + " variants";
    if (!device.refused.empty()) text += "; it refuses " + std::to_string(device.refused.size()) + " kernels";
    text += "\n";
  }
  return text;
}

} // namespace llmc::conformance
