// What is in an artifact, for people and for scripts.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/status.h"

#include <string>

namespace llmrt {

// One JSON object: root_hash, targets, tiers, quantization, programs (names), segments [{name, offset, bytes, sha256,
// layout, kind, target}], kernels [{name, target, features, tier, id, first_rows, last_rows, bytes}], program_details
// [{name, targets, activations, dispatches, kernels, candidates}] and the model's figures. `features` lists what the
// kernel needs, the tier's included; last_rows is null where there is no bound; a program without targets is for all.
std::string inspect_json(const Artifact &artifact);

// The same for people: sizes by part.
std::string inspect_text(const Artifact &artifact);

// Writes every variant of every kernel of the CPU's tiers as a relocatable ELF object into `folder` (made if it is not
// there), named cpu.<tier>.<kernel>.r<first_rows>.<id>.o. The text section is the tier's whole code, so that
// constants are where the code expects them; the symbol is the variant. Those of Vulkan are SPIR-V modules, named
// vulkan.<tier>.<kernel>.r<first_rows>.<id>.spv; those of CUDA are cuda.<tier>.<kernel>.r<first_rows>.<id>.ptx or .cubin.
// Returns the number of files.
Result<int> dump_kernels(const Artifact &artifact, const std::string &folder);

} // namespace llmrt
