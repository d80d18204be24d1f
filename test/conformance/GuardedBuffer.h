// Memory whose end, or whose start, touches a page that cannot be accessed: a kernel that reads or writes one byte too
// far faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmc::conformance {

enum class Guard { End, Start };

class GuardedBuffer {
public:
  GuardedBuffer(size_t bytes, Guard guard);
  ~GuardedBuffer();
  GuardedBuffer(GuardedBuffer &&other) noexcept;
  GuardedBuffer(const GuardedBuffer &) = delete;

  void *data() const { return data_; }
  size_t size() const { return bytes_; }
  template <typename T> T *as() const { return reinterpret_cast<T *>(data_); }
  template <typename T> void fill(const std::vector<T> &values);

private:
  void *mapping_ = nullptr, *data_ = nullptr;
  size_t mapped_ = 0, bytes_ = 0;
};

template <typename T> void GuardedBuffer::fill(const std::vector<T> &values) {
  const char *from = reinterpret_cast<const char *>(values.data());
  for (size_t i = 0; i < values.size() * sizeof(T) && i < bytes_; ++i) as<char>()[i] = from[i];
}

} // namespace llmc::conformance
