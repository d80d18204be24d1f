#include "tools/llmrt/npy.h"

#include <bit>

namespace llmrt::tool {

static_assert(std::endian::native == std::endian::little);

std::string npy_header(uint64_t rows, uint64_t columns) {
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                     std::to_string(columns) + "), }";
  static constexpr size_t kPreamble = 10, kAlignment = 64;
  while ((kPreamble + text.size() + 1) % kAlignment != 0)
    text += ' ';
  text += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(text.size() & 255);
  out += static_cast<char>(text.size() >> 8);
  return out + text;
}

Result<NpyWriter> NpyWriter::create(const std::string &path, uint64_t rows, uint64_t columns) {
  Result<os::AtomicFile> file = os::AtomicFile::create(path);
  if (!file.ok())
    return file.status();
  std::string header = npy_header(rows, columns);
  if (Status status = file->write(std::as_bytes(std::span(header))); !status.ok())
    return status;
  return NpyWriter(std::move(*file), header.size(), rows, columns);
}

Status NpyWriter::write_rows(uint64_t first_row, std::span<const float> values) {
  uint64_t rows = columns_ ? values.size() / columns_ : 0;
  if (rows * columns_ != values.size() || first_row > rows_ || rows > rows_ - first_row)
    return Status(StatusCode::kInternal, "rows outside the array were written");
  return file_.write_at(data_ + first_row * columns_ * sizeof(float), std::as_bytes(values));
}

} // namespace llmrt::tool
