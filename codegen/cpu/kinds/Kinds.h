// The emitters, one a kernel kind of docs/kernels.md.
#pragma once

#include "codegen/common/Epilogue.h"
#include "codegen/cpu/KernelBuilder.h"
#include "codegen/schemes/Scheme.h"

namespace llmc::cpu {

extern const KindEmitter kEmbed, kNorm, kLinear, kLinearHeads, kRopeTable, kRope, kCacheWrite, kAttention,
    kAttentionCombine, kMap, kTopK;

// ---- shared by several kinds ----

// Rows of the step in a tile of rounded inputs, which norms write and linears read.
inline constexpr int64_t kTileRows = 16;

// s(i): scalar i as an expression.
inline Expression s(int index) { return Expression::scalar(index); }

// The scheme in a kernel's config; null for "none".
const Scheme *configScheme(exec::KernelOp kernel);

// Bytes of a rows16 matrix of `blocks` row blocks; `columns` is its chunks, or its columns where nothing is quantized.
Expression matrixBytes(exec::KernelOp kernel, Expression blocks, Expression columns);

// `count` rounded down to whole vectors: a padding that is none, which the table cannot rule out, stays inside its bytes.
inline Value wholeVectors(KernelBuilder &k, Value count) { return k.mul(k.div(count, kLanes), kLanes); }

using codegen::EpilogueInputs; // 16 lanes each

} // namespace llmc::cpu
