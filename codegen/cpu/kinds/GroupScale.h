// The scale of a weight group, and of an affine scheme its offset: weight = scale x (w + offset).
#pragma once

#include "codegen/cpu/KernelBuilder.h"
#include "codegen/schemes/Scheme.h"

namespace llmc::cpu {

struct GroupScale {
  Value scale;  // f32; null where there is none
  Value offset; // f32; null unless the scheme is affine
};

// An offset as factor x offset + addend, which costs nothing: one fma makes it of the stored bits. Exact where both are
// powers of two.
struct OffsetForm {
  float factor = 1, addend = 0;
};

// Those of `lanes` rows, which lie at `pointer`, 16 bits each.
GroupScale loadGroupScales(KernelBuilder &k, const Scheme &scheme, Value pointer, int64_t lanes, OffsetForm form = {});
// That of one row.
GroupScale loadGroupScale(KernelBuilder &k, const Scheme &scheme, Value pointer);

// scale x (u - zero [+ offset]), the sum exact and the product rounded once; `u` is i32, a vector or one value.
Value dequantize(KernelBuilder &k, const Scheme &scheme, Value u, const GroupScale &scale);

} // namespace llmc::cpu
