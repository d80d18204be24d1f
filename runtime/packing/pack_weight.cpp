#include "runtime/packing/pack_weight.h"

#include <algorithm>

namespace llmrt::packing {

namespace {

// Rows [first, first + count) of one source, transformed as it says, over zeros.
Status read_source(const WeightForm &form, RowReader &reader, size_t index, int64_t first, int64_t count,
                   std::span<float> out) {
  const Source &source = form.sources[index];
  if (source.zeros)
    return ok_status(); // as `out` is already
  if (Status status = reader.read(index, first, count, out); !status.ok())
    return status;
  if (source.scale != 1)
    for (float &value : out)
      value *= source.scale;
  if (source.add != 0)
    for (float &value : out)
      value += source.add;
  return ok_status();
}

// Rows [first, first + count) of the weight before interleaving: its sources, one below the other.
Status read_rows(const WeightForm &form, RowReader &reader, int64_t first, int64_t count, std::span<float> out) {
  int64_t start = 0;
  for (size_t i = 0; i < form.sources.size(); ++i) {
    int64_t end = start + form.sources[i].count;
    int64_t from = std::max(first, start), to = std::min(first + count, end);
    if (from < to) {
      std::span<float> part = out.subspan(size_t((from - first) * form.columns), size_t((to - from) * form.columns));
      if (Status status = read_source(form, reader, i, from - start, to - from, part); !status.ok())
        return status;
    }
    start = end;
  }
  return ok_status();
}

// The rows of one block; those that do not exist are zero.
Status read_block(const WeightForm &form, RowReader &reader, int64_t block, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  int64_t rows = form.rows, begin = 0;
  if (form.interleaved) {
    rows /= 2;
    begin = block % 2 * rows;
    block /= 2;
  }
  int64_t first = block * kBlockRows, count = std::min(kBlockRows, rows - first);
  return read_rows(form, reader, begin + first, count, out.first(size_t(count * form.columns)));
}

PackStatus pack_vector(std::string_view element, std::span<float> values, std::span<char> out) {
  if (element != "f32") {
    char rounded[2 * kBlockRows];
    if (PackStatus status = pack_block_plain(element, values, 1, rounded); status != PackStatus::kOk)
      return status;
    unpack_block_plain(element, rounded, 1, values);
  }
  return pack_block_plain("f32", values, 1, out);
}

PackStatus pack_block_of(const WeightForm &form, std::span<float> rows, std::span<char> out) {
  if (form.is_vector)
    return pack_vector(form.element, rows, out);
  return form.scheme ? pack_block(*form.scheme, rows, form.columns, out)
                     : pack_block_plain(form.element, rows, form.columns, out);
}

} // namespace

Status pack_blocks(const WeightForm &form, RowReader &reader, int64_t first, int64_t count, std::vector<float> &rows,
                   std::span<char> out) {
  rows.resize(size_t(kBlockRows * form.columns));
  size_t bytes = size_t(form.block_bytes());
  for (int64_t i = 0; i < count; ++i) {
    if (Status status = read_block(form, reader, first + i, rows); !status.ok())
      return status;
    PackStatus packed = pack_block_of(form, rows, out.subspan(size_t(i) * bytes, bytes));
    if (packed != PackStatus::kOk)
      return Status(StatusCode::kCorrupt, pack_status_text(packed));
  }
  return ok_status();
}

} // namespace llmrt::packing
