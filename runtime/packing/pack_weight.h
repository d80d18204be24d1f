// A weight's packed bytes out of the rows of tensors, a few row blocks at a time.
#pragma once

#include "runtime/base/status.h"
#include "runtime/packing/scheme.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace llmrt::packing {

inline constexpr int64_t kBlockRows = 16;
// A block is packed in memory, as float32; no model comes near this length.
inline constexpr int64_t kMaxColumns = int64_t(1) << 22;

// `count` rows of a weight: those of a tensor times `scale`, plus `add`; or zeros.
struct Source {
  int64_t count = 0;
  float scale = 1, add = 0;
  bool zeros = false;
};

// A weight in one of the layouts of docs/kernels.md: blocks of 16 rows one behind the other ("rows16"), or "vector".
struct WeightForm {
  bool is_vector = false;
  int64_t rows = 0;               // of all sources, one below the other; of a vector its values
  int64_t columns = 1;            // 1 of a vector
  bool interleaved = false;       // block 2i is of the first half of the rows, 2i + 1 of the second
  const Scheme *scheme = nullptr; // null: none
  std::string_view element;       // without a scheme "f32", "bf16", "f16"; a vector is rounded to it and stored as f32
  std::vector<Source> sources;

  // Here, so that who checks sizes does not need what packs.
  int64_t blocks() const {
    int64_t parts = interleaved ? 2 : 1;
    return parts * ((rows / parts + kBlockRows - 1) / kBlockRows);
  }
  int64_t block_bytes() const {
    return is_vector ? kBlockRows * 4 : packing::block_bytes(scheme, element, columns);
  }
};

// Where rows come from. Called by one thread.
class RowReader {
public:
  virtual ~RowReader() = default;
  // Rows [first, first + count) of source `source`, row-major, `columns` values each.
  virtual Status read(size_t source, int64_t first, int64_t count, std::span<float> out) = 0;
};

// Packs blocks [first, first + count) into `out` (count * block_bytes() bytes). `rows` is scratch. kCorrupt where a
// value cannot be expressed: the message follows the weight's name.
Status pack_blocks(const WeightForm &form, RowReader &reader, int64_t first, int64_t count, std::vector<float> &rows,
                   std::span<char> out);

} // namespace llmrt::packing
