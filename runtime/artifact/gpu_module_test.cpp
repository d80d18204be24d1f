#include "runtime/artifact/gpu_module.h"

#include "runtime/artifact/testing/fake_model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

namespace llmrt {
namespace {

using namespace testing;

std::span<const std::byte> bytes_of(const std::vector<uint8_t> &bytes) { return std::as_bytes(std::span(bytes)); }

TEST(GpuModule, PtxEndsInItsOnlyZero) {
  std::vector<uint8_t> text = fake_ptx("store");
  EXPECT_TRUE(check_module(LLMRT_ARCH_PTX, bytes_of(text)).ok());
  text.back() = ' ';
  EXPECT_FALSE(check_module(LLMRT_ARCH_PTX, bytes_of(text)).ok());
  text.back() = 0;
  text[2] = 0;
  EXPECT_FALSE(check_module(LLMRT_ARCH_PTX, bytes_of(text)).ok());
  EXPECT_FALSE(check_module(LLMRT_ARCH_PTX, {}).ok());
}

TEST(GpuModule, SpirvIsWholeWords) {
  std::vector<uint8_t> words(8);
  EXPECT_TRUE(check_module(LLMRT_ARCH_SPIRV, bytes_of(words)).ok());
  words.pop_back();
  EXPECT_FALSE(check_module(LLMRT_ARCH_SPIRV, bytes_of(words)).ok());
}

// 64 bytes of header, one program header, two sections, 16 bytes of content.
struct Cubin {
  Cubin() : bytes(64 + 56 + 2 * 64 + 16) {
    std::vector<uint8_t> header = fake_cubin("");
    std::copy(header.begin(), header.begin() + 64, bytes.begin());
    put<uint64_t>(32, 64);
    put<uint64_t>(40, 120);
    put<uint16_t>(54, 56);
    put<uint16_t>(56, 1);
    put<uint16_t>(58, 64);
    put<uint16_t>(60, 2);
    put<uint64_t>(64 + 8, 248); // the part: where and how much
    put<uint64_t>(64 + 32, 16);
    put<uint32_t>(184 + 4, 1); // the second section likewise
    put<uint64_t>(184 + 24, 248);
    put<uint64_t>(184 + 32, 16);
  }
  template <typename T> void put(size_t at, T value) { std::memcpy(bytes.data() + at, &value, sizeof value); }
  std::vector<uint8_t> bytes;
};

TEST(GpuModule, WhatACubinNamesLiesInside) {
  Cubin good;
  EXPECT_TRUE(check_module(LLMRT_ARCH_CUBIN, bytes_of(good.bytes)).ok());
  const std::function<void(Cubin &)> damages[] = {
      [](Cubin &c) { c.put<uint8_t>(0, 0); },                    // not ELF
      [](Cubin &c) { c.put<uint8_t>(4, 1); },                    // 32 bits
      [](Cubin &c) { c.put<uint16_t>(18, 62); },                 // x86-64
      [](Cubin &c) { c.put<uint64_t>(32, UINT64_MAX - 8); },     // program headers
      [](Cubin &c) { c.put<uint64_t>(40, 121); },                // sections
      [](Cubin &c) { c.put<uint16_t>(54, 32); },                 // the sizes of their rows
      [](Cubin &c) { c.put<uint16_t>(58, 40); },
      [](Cubin &c) { c.put<uint16_t>(56, UINT16_MAX); },         // how many
      [](Cubin &c) { c.put<uint16_t>(60, 5); },
      [](Cubin &c) { c.put<uint64_t>(64 + 32, 17); },            // the part's end
      [](Cubin &c) { c.put<uint64_t>(184 + 24, UINT64_MAX - 4); }, // the section's begin
      [](Cubin &c) { c.put<uint64_t>(184 + 32, UINT64_MAX); },
      [](Cubin &c) { c.bytes.resize(40); },
  };
  for (size_t i = 0; i < std::size(damages); ++i) {
    Cubin bad;
    damages[i](bad);
    EXPECT_FALSE(check_module(LLMRT_ARCH_CUBIN, bytes_of(bad.bytes)).ok()) << i;
  }
  Cubin empty; // a section without bytes in the file may say what it likes
  empty.put<uint32_t>(184 + 4, 8);
  empty.put<uint64_t>(184 + 32, 1 << 20);
  EXPECT_TRUE(check_module(LLMRT_ARCH_CUBIN, bytes_of(empty.bytes)).ok());
}

} // namespace
} // namespace llmrt
