// The largest of a row of logits.
#pragma once

#include <cstdint>
#include <span>

namespace llmrt {

// Its index, the lowest on a tie; -1 if one of the values is NaN or +infinity. Of 1 to 2^31 - 1 values.
int32_t argmax(std::span<const float> values);

} // namespace llmrt
