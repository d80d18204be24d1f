// Arrays as numpy reads them (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, version 1.0):
// little-endian f32, C order, two dimensions.
#pragma once

#include "runtime/base/os.h"

#include <cstdint>
#include <span>
#include <string>

namespace llmrt::tool {

// The file appears under its name at commit(), whole.
class NpyWriter {
public:
  static Result<NpyWriter> create(const std::string &path, uint64_t rows, uint64_t columns);
  // `values` is a number of whole rows.
  Status write_rows(uint64_t first_row, std::span<const float> values);
  Status commit() { return file_.commit(); }

private:
  NpyWriter(os::AtomicFile file, uint64_t data, uint64_t rows, uint64_t columns)
      : file_(std::move(file)), data_(data), rows_(rows), columns_(columns) {}

  os::AtomicFile file_;
  uint64_t data_, rows_, columns_; // data_: offset of the first value
};

std::string npy_header(uint64_t rows, uint64_t columns);

} // namespace llmrt::tool
