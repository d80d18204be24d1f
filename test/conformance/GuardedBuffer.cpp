#include "test/conformance/GuardedBuffer.h"

#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace llmc::conformance {

GuardedBuffer::GuardedBuffer(size_t bytes, Guard guard) : bytes_(bytes) {
  size_t page = size_t(sysconf(_SC_PAGESIZE));
  size_t inner = (bytes + page - 1) / page * page;
  mapped_ = inner + 2 * page;
  mapping_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) abort();
  char *base = static_cast<char *>(mapping_);
  mprotect(base, page, PROT_NONE);
  mprotect(base + page + inner, page, PROT_NONE);
  data_ = guard == Guard::Start ? base + page : base + page + inner - bytes;
}

GuardedBuffer::~GuardedBuffer() {
  if (mapping_) munmap(mapping_, mapped_);
}

GuardedBuffer::GuardedBuffer(GuardedBuffer &&other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)), data_(other.data_), mapped_(other.mapped_),
      bytes_(other.bytes_) {}

} // namespace llmc::conformance
