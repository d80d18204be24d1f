// What the ways of computing a linear on int8 inputs share.
#pragma once

#include "codegen/cpu/kinds/GroupScale.h"

namespace llmc::cpu {

inline constexpr int64_t kScaleColumns = 128; // that share an activation scale
inline constexpr int64_t kPrefetchAhead = 8 << 10; // bytes of weights

// An offset as it is added to a dot of stored weights (u = w + zero), as a share of the inputs' correction -zero x sum:
// offset x sum - zero x sum = (1 - offset / zero) x correction.
inline OffsetForm int8Offset(const Scheme &scheme) { return {-1.0f / float(scheme.zero), 1}; }

} // namespace llmc::cpu
