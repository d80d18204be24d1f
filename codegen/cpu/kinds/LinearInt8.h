// What the ways of computing a linear on int8 inputs share.
#pragma once

#include "codegen/cpu/kinds/GroupScale.h"
#include "codegen/cpu/kinds/TileProducts.h"

namespace llmc::cpu {

inline constexpr int64_t kScaleColumns = 128; // that share an activation scale

// Weights are prefetched to L2, this many bytes ahead. Where there is AMX, for one and two rows too: of the 1B shape one
// stream made 22 tokens a second on a Xeon without and makes 37 with it. Zen 4 loses up to 35% by it.
inline int64_t prefetchAhead(const codegen::CpuTier &tier) { return TileProducts::areThere(tier) ? 20 << 10 : 8 << 10; }
inline bool prefetches(const codegen::CpuTier &tier, int64_t rows) { return rows > 2 || TileProducts::areThere(tier); }

// An offset as it is added to a dot of stored weights (u = w + zero), as a share of the inputs' correction -zero x sum:
// offset x sum - zero x sum = (1 - offset / zero) x correction.
inline OffsetForm int8Offset(const Scheme &scheme) { return {-1.0f / float(scheme.zero), 1}; }

} // namespace llmc::cpu
