// The self-test at load: every variant of a code segment is tried once on one of the artifact's golden vectors, where it
// has one. What llmc made them of is the oracle in double precision.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/device/lone_kernel.h"

#include <functional>

namespace llmrt {

// Runs a kernel by itself on the device at hand.
using RunAlone = std::function<Status(const LoneKernel &kernel)>;

// kInternal, with the kernel's name and what differed, for the first variant of `code` that does not make what it should.
// Other codes: of `run`, where a kernel could not be run at all.
Status self_test(const Artifact &artifact, const CodeTable &code, const RunAlone &run);

} // namespace llmrt
