// The GPU emitters, one a kernel kind of docs/kernels.md.
#pragma once

#include "codegen/common/Epilogue.h"
#include "codegen/common/Math.h"
#include "codegen/gpu/GpuKernel.h"
#include "codegen/schemes/Scheme.h"

namespace llmc::gpu {

extern const KindEmitter kEmbed, kNorm, kLinear, kRopeTable, kRope, kCacheWrite, kAttention, kAttentionCombine, kMap,
    kTopK;

inline constexpr int64_t kPageTokens = 16;

inline cpu::Expression s(int index) { return cpu::Expression::scalar(index); }

// The scheme in a kernel's config; null for "none".
inline const Scheme *configScheme(exec::KernelOp kernel) {
  return findScheme(cpu::configString(kernel, "scheme"));
}
inline int64_t elementBytes(llvm::StringRef element) { return element == "f32" ? 4 : 2; }

// One value of a packed matrix (docs/kernels.md, rows16): row `lane` of the block that begins at word `block` of the
// operand, column `column`. `scheme` is null for an unquantized matrix of `element`.
Value loadMatrix(GpuBuilder &k, int operand, const Scheme *scheme, llvm::StringRef element, Value block, Value lane,
                 Value column);
// Words of a row block; `chunks` is its columns where nothing is quantized.
Value blockWords(GpuBuilder &k, const Scheme *scheme, llvm::StringRef element, Value chunks);
// The scale of row `lane` for columns from `within` on of the chunk at word `chunk`, and (u - zero [+ offset]) x scale.
struct GroupScale {
  Value scale, offset; // f32; offset: null unless the scheme is affine
};
GroupScale decodeScale(GpuBuilder &k, const Scheme &scheme, Value bits); // the low 16 bits of a word
GroupScale loadScale(GpuBuilder &k, int operand, const Scheme &scheme, Value chunk, Value within, Value lane);
Value dequantize(GpuBuilder &k, const Scheme &scheme, Value word, Value shift, const GroupScale &scale);

// Where keys and values lie: pages of 16 tokens, found through a sequence's page table. Places are in elements. In bf16
// pairs of a key's values, and of a value's tokens, lie side by side.
struct PagedCache {
  GpuBuilder &k;
  int table; // operand
  Value blocks, keyDim, valuePad;
  bool pairs;
  Value headElements, pageElements;

  PagedCache(GpuBuilder &k, llvm::StringRef element, int table, Value blocks, Value heads, Value keyDim,
             Value valuePad);
  Value page(Value sequence, Value block); // where the page of block `block` of a sequence begins
  // Value i of the key of a page's token `slot`, and column i of its value.
  Value key(Value page, Value head, Value slot, Value i);
  Value value(Value page, Value head, Value slot, Value i);

private:
  // Row `row` of a matrix of `columns` columns that begins at `start`, column `column`.
  Value place(Value start, Value row, Value columns, Value column);
};

} // namespace llmc::gpu
