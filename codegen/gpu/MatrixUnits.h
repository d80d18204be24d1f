// What chips have for matrix products.
#pragma once

namespace llmc::gpu {

enum class MatrixUnits {
  None,     // nothing: chip.mma is lowered plainly
  Warp,     // chip.mma, of a warp
  Warpgroup // chip.warpgroup_mma too
};

} // namespace llmc::gpu
