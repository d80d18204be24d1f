#include "runtime/artifact/testing/mutate.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace llmrt::testing {

namespace {

void change_once(std::vector<std::byte> &file, size_t first, size_t last, Random &random) {
  constexpr std::array<uint64_t, 10> kEdges = {0,      1,          2,          0x7f,      0xff,
                                               0x8000, 0x7fffffff, 0x80000000, 1ull << 62, ~0ull};
  size_t size = last - first, at = first + random.below(size);
  switch (random.below(5)) {
  case 0: file[at] ^= std::byte(1u << random.below(8)); return;
  case 1: file[at] = std::byte(random.below(256)); return;
  case 2: {
    size_t width = size_t(1) << random.below(4);
    uint64_t value = kEdges[random.below(kEdges.size())];
    std::memcpy(&file[at], &value, std::min({width, last - at, sizeof value}));
    return;
  }
  case 3: {
    size_t length = std::min<size_t>(1 + random.below(16), last - at);
    size_t from = first + random.below(size - length + 1);
    std::memmove(&file[at], &file[from], length);
    return;
  }
  default: {
    size_t length = std::min<size_t>(1 + random.below(16), last - at);
    std::memset(&file[at], 0, length);
  }
  }
}

} // namespace

void mutate(std::vector<std::byte> &file, size_t first, size_t last, uint64_t seed) {
  if (first >= last || last > file.size())
    return;
  Random random(seed);
  for (uint64_t changes = 1 + random.below(4); changes > 0; --changes)
    change_once(file, first, last, random);
}

} // namespace llmrt::testing
