// What an artifact says of weights that are not in its file.
#pragma once

#include "runtime/packing/pack_weight.h"
#include "runtime/schema/artifact_generated.h"

namespace llmrt {

// How a weight of a RandomWeights segment is packed. The sources are left out: they are checked, and read, one by one.
packing::WeightForm weight_form(const schema::Weight &weight);

uint64_t random_weight_bytes(const schema::Artifact &meta); // of all such segments, once they are made

} // namespace llmrt
