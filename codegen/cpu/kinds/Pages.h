// Where keys and values lie: pages of 16 tokens, found through a sequence's page table. docs/kernels.md has the layout.
#pragma once

#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

inline constexpr int64_t kPageTokens = 16;

// How a KV head's part of a page is laid out. A line is 16 lanes (tokens of K, columns of V) by `step` values (of the
// head of K, tokens of V) that lie side by side.
struct PageLayout {
  llvm::StringRef element;
  int64_t bytes; // of a value
  int64_t step;
  int64_t scaleBytes; // before the values: f32 of the 16 tokens' K, then of their V
  int64_t lineBytes() const { return kLanes * step * bytes; }
  bool hasScales() const { return scaleBytes != 0; }

  explicit PageLayout(llvm::StringRef element)
      : element(element), bytes(element == "int8" ? 1 : KernelBuilder::elementBytes(element)),
        step(element == "bf16" ? 2 : 1), scaleBytes(element == "int8" ? 2 * 4 * kPageTokens : 0) {}
};

// Bytes of a layer's part of the pool.
inline Expression poolBytes(llvm::StringRef element, Expression pages, Expression heads, Expression keyDim,
                            Expression valuePad) {
  PageLayout layout(element);
  Expression perValue(kPageTokens * layout.bytes), places = pages * heads;
  return Expression(layout.scaleBytes) * places + perValue * places * keyDim + perValue * places * valuePad;
}

struct PagedCache {
  KernelBuilder &k;
  PageLayout layout;
  Value table, pool, blocks, valuePad;
  Value keyBytes, headBytes, pageBytes;

  PagedCache(KernelBuilder &k, llvm::StringRef element, Value table, Value pool, Value blocks, Value heads,
             Value keyDim, Value valuePad)
      : k(k), layout(element), table(table), pool(pool), blocks(blocks), valuePad(valuePad) {
    keyBytes = k.mul(keyDim, kPageTokens * layout.bytes);
    headBytes = k.add(k.add(keyBytes, k.mul(valuePad, kPageTokens * layout.bytes)), layout.scaleBytes);
    pageBytes = k.mul(heads, headBytes);
  }

  // The page that holds block `block` of a sequence.
  Value page(Value sequence, Value block) {
    Value index = k.loadIndex(table, k.add(k.mul(sequence, blocks), block));
    return k.at(pool, k.mul(index, pageBytes));
  }
  Value keys(Value page, Value head) { return k.at(page, k.add(k.mul(head, headBytes), layout.scaleBytes)); }
  // Where there are scales: f32 [16].
  Value keyScales(Value page, Value head) { return k.at(page, k.mul(head, headBytes)); }
  Value valueScales(Value page, Value head) { return k.at(keyScales(page, head), 4 * kPageTokens); }
  Value values(Value page, Value head) { return k.at(keys(page, head), keyBytes); }

  // Value `i` of the key in slot `slot`, and column `i` of its value.
  Value keyAt(Value keys, Value i, Value slot) { return element(keys, i, slot, kLanes); }
  Value valueAt(Value values, Value slot, Value i) { return element(values, slot, i, valuePad); }

private:
  // Of an array [deep / step][lanes][step].
  template <typename Lanes> Value element(Value base, Value deep, Value lane, Lanes lanes) {
    Value line = k.add(k.mul(k.div(deep, layout.step), lanes), lane);
    return k.at(base, k.mul(k.add(k.mul(line, layout.step), k.rem(deep, layout.step)), layout.bytes));
  }
};

} // namespace llmc::cpu
