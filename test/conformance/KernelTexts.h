// Kernels to try: their exec.kernel texts.
#pragma once

#include <string>
#include <vector>

namespace llmc::conformance {

// Every kind, in every configuration that its code depends on.
std::vector<std::string> textsOfEveryKind();

} // namespace llmc::conformance
