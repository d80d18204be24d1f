// How a row's key and value of a head come into their page. docs/kernels.md has the layout.
#pragma once

#include "codegen/cpu/kinds/Pages.h"

namespace llmc::cpu {

class CacheWriter {
public:
  CacheWriter(KernelBuilder &k, PagedCache &cache, Value positions, Value sequences)
      : k(k), cache(cache), positions(positions), sequences(sequences) {}

  // Where a row of the step belongs.
  struct Place {
    Value page, slot;
  };
  Place placeOf(Value row);
  // `dim` f32 at `from`, of KV head `head`.
  void key(const Place &place, Value head, Value from, Value dim);
  void value(const Place &place, Value head, Value from, Value dim);

private:
  using Address = std::function<Value(Value index)>;
  void plain(Value from, Value count, int64_t together, const Address &address);
  void rounded(Value from, Value count, int64_t together, Value scale, const Address &address);
  Value largest(Value from, Value count);

  KernelBuilder &k;
  PagedCache &cache;
  Value positions, sequences;
};

} // namespace llmc::cpu
