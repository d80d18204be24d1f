// Where keys and values lie: pages of 16 tokens, found through a sequence's page table.
#pragma once

#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

inline constexpr int64_t kPageTokens = 16;

// Bytes of a layer's part of the pool.
inline Expression poolBytes(exec::KernelOp kernel, Expression pages, Expression heads, Expression keyDim,
                            Expression valuePad) {
  int64_t bytes = KernelBuilder::elementBytes(configString(kernel, "element"));
  return Expression(kPageTokens * bytes) * pages * heads * keyDim +
         Expression(kPageTokens * bytes) * pages * heads * valuePad;
}

struct PagedCache {
  KernelBuilder &k;
  int64_t bytes; // of an element
  Value table, pool, blocks, valuePad;
  Value keyBytes, headBytes, pageBytes;

  PagedCache(KernelBuilder &k, llvm::StringRef element, Value table, Value pool, Value blocks, Value heads,
             Value keyDim, Value valuePad)
      : k(k), bytes(KernelBuilder::elementBytes(element)), table(table), pool(pool), blocks(blocks),
        valuePad(valuePad) {
    keyBytes = k.mul(keyDim, kPageTokens * bytes);
    headBytes = k.add(keyBytes, k.mul(valuePad, kPageTokens * bytes));
    pageBytes = k.mul(heads, headBytes);
  }

  // The page that holds block `block` of a sequence.
  Value page(Value sequence, Value block) {
    Value index = k.loadIndex(table, k.add(k.mul(sequence, blocks), block));
    return k.at(pool, k.mul(index, pageBytes));
  }
  Value keys(Value page, Value head) { return k.at(page, k.mul(head, headBytes)); }
  Value values(Value page, Value head) { return k.at(keys(page, head), keyBytes); }
};

} // namespace llmc::cpu
