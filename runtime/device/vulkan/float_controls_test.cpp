#include "runtime/device/vulkan/float_controls.h"

#include <cstring>
#include <gtest/gtest.h>

namespace llmrt::vk {
namespace {

using Words = std::vector<uint32_t>;

constexpr uint32_t op(uint32_t words, uint32_t opcode) { return words << 16 | opcode; }

const Words kHeader = {0x07230203, 0x00010300, 0, 20, 0};
const Words kCapability = {op(2, 17), 1}, kStorageClass = {op(2, 10), 0x41}; // Shader; an extension "A"
const Words kImport = {op(3, 11), 1, 0x42};                                  // "B"
const Words kMemory = {op(3, 14), 0, 1};
const Words kEntry = {op(5, 15), 5, 7, 0x6e69616d, 0}, kSize = {op(6, 16), 7, 17, 64, 1, 1}; // GLCompute 7 "main"
const Words kRest = {op(2, 19), 9, op(3, 22), 10, 32};

Words join(std::initializer_list<Words> parts) {
  Words all;
  for (const Words &part : parts)
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

Words extension() {
  Words words = {op(7, 10), 0, 0, 0, 0, 0, 0};
  std::memcpy(words.data() + 1, "SPV_KHR_float_controls", 22);
  return words;
}

TEST(FloatControls, AreDeclaredWhereTheyBelong) {
  Words module = join({kHeader, kCapability, kStorageClass, kImport, kMemory, kEntry, kSize, kRest});
  auto declared = declare_float_controls(module, {true, false, false});
  ASSERT_TRUE(declared) << declared.status().message();
  EXPECT_EQ(*declared, join({kHeader, kCapability, {op(2, 17), 4467}, kStorageClass, extension(), kImport, kMemory, kEntry,
                             kSize, {op(4, 16), 7, 4462, 32}, kRest}));
  // All of them, where there is no other extension.
  module = join({kHeader, kCapability, kMemory, kEntry, kSize, kRest});
  declared = declare_float_controls(module, {true, true, true});
  ASSERT_TRUE(declared) << declared.status().message();
  EXPECT_EQ(*declared, join({kHeader, kCapability, {op(2, 17), 4464, op(2, 17), 4466, op(2, 17), 4467}, extension(), kMemory,
                             kEntry, kSize, {op(4, 16), 7, 4459, 32, op(4, 16), 7, 4461, 32, op(4, 16), 7, 4462, 32},
                             kRest}));
}

TEST(FloatControls, NoneLeaveAModuleAsItIs) {
  Words module = join({kHeader, kCapability, kMemory, kEntry, kSize, kRest});
  auto declared = declare_float_controls(module, {});
  ASSERT_TRUE(declared) << declared.status().message();
  EXPECT_EQ(*declared, module);
}

TEST(FloatControls, WhatIsNotAModuleIsAnError) {
  Words module = join({kHeader, kCapability, kStorageClass, kImport, kMemory, kEntry, kSize, kRest});
  for (size_t size = 0; size < module.size(); ++size) { // cut anywhere: an error, or what is left is whole
    bool whole = declare_float_controls({module.data(), size}, {true, true, true}).ok();
    EXPECT_TRUE(!whole || size >= module.size() - kRest.size() - kSize.size()) << size;
  }
  const std::pair<const char *, Words> bad[] = {
      {"no magic", join({{1, 2, 3, 4, 5}, kCapability, kEntry})},
      {"no capability", join({kHeader, kMemory, kEntry})},
      {"no entry point", join({kHeader, kCapability, kMemory, kRest})},
      {"two entry points", join({kHeader, kCapability, kMemory, kEntry, kEntry})},
      {"capabilities after the entry point", join({kHeader, kEntry, kCapability})},
      {"an empty instruction", join({kHeader, {0}, kCapability, kEntry})},
      {"an instruction past the end", join({kHeader, kCapability, {op(9, 15), 5, 7}})},
      {"an entry point without an id", join({kHeader, kCapability, {op(2, 15), 5}})}};
  for (const auto &[what, words] : bad)
    EXPECT_EQ(declare_float_controls(words, {true, false, false}).status().code(), StatusCode::kCorrupt) << what;
}

} // namespace
} // namespace llmrt::vk
