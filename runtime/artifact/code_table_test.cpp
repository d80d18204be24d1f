#include "runtime/artifact/code_table.h"

#include "runtime/artifact/testing/fake_model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

namespace llmrt {
namespace {

using namespace testing;

// The table must be 8-byte aligned, as it is in a mapped file.
struct AlignedCode {
  explicit AlignedCode(const CodeSpec &spec) : words(build_code(spec).size() / 8 + 1) {
    std::vector<std::byte> code = build_code(spec);
    size = code.size();
    std::memcpy(words.data(), code.data(), size);
  }
  std::span<std::byte> bytes() { return {reinterpret_cast<std::byte *>(words.data()), size}; }
  llmrt_code_header &header() { return *reinterpret_cast<llmrt_code_header *>(words.data()); }
  llmrt_kernel_entry &entry(size_t i) {
    return reinterpret_cast<llmrt_kernel_entry *>(bytes().data() + sizeof(llmrt_code_header))[i];
  }
  llmrt_operand &operand(size_t i) { return reinterpret_cast<llmrt_operand *>(&entry(header().kernel_count))[i]; }
  llmrt_constraint &constraint(size_t i) {
    return reinterpret_cast<llmrt_constraint *>(&operand(header().operand_count))[i];
  }
  llmrt_term &term(size_t i) { return reinterpret_cast<llmrt_term *>(&constraint(header().constraint_count))[i]; }
  std::vector<uint64_t> words;
  size_t size;
};

TEST(CodeTable, FindsVariantsAndEvaluates) {
  AlignedCode code(fake_code(LLMRT_ARCH_X86_64));
  auto table = CodeTable::parse(code.bytes());
  ASSERT_TRUE(table) << table.status().message();
  EXPECT_EQ(table->entries().size(), 3u);
  EXPECT_EQ(table->find(kStoreId).size(), 1u);
  auto score = table->find(kScoreId);
  ASSERT_EQ(score.size(), 2u);
  EXPECT_EQ(score[1].first_rows, 2);
  std::array<uint8_t, 16> unknown{9};
  EXPECT_TRUE(table->find(unknown).empty());
  EXPECT_TRUE(table->find(std::span(kStoreId).first(8)).empty());
  const std::array<int64_t, 6> scalars = {5, 8, 3, 4, 7, 9};
  EXPECT_EQ(table->evaluate(score[0].items, scalars), 5);
  EXPECT_EQ(table->evaluate(table->operands(score[0])[6].extent, scalars), 4 * 5 * 8);
  const std::array<int64_t, 6> large = {INT64_MAX, 8, 3, 4, 7, 9};
  EXPECT_EQ(table->evaluate(table->operands(score[0])[6].extent, large), std::nullopt);
}

struct Broken {
  const char *name;
  std::function<void(AlignedCode &)> damage;
  const char *message;
};

TEST(CodeTable, RefusesWhatIsWrong) {
  const Broken cases[] = {
      {"magic", [](auto &c) { c.header().magic[0] = 'X'; }, "first bytes"},
      {"abi", [](auto &c) { c.header().abi_version = 99; }, "ABI version 99"},
      {"architecture", [](auto &c) { c.header().architecture = 7; }, "architecture"},
      {"too many kernels", [](auto &c) { c.header().kernel_count = 1u << 31; }, "too many rows"},
      {"too many operands", [](auto &c) { c.header().operand_count = UINT32_MAX; }, "too many rows"},
      {"tables past the code", [](auto &c) { c.header().term_count += 1000; }, "do not lie"},
      {"code past the segment", [](auto &c) { c.header().code_bytes += 1; }, "do not lie"},
      {"code offset wraps", [](auto &c) { c.header().code_offset = UINT32_MAX; }, "do not lie"},
      {"entry before the code", [](auto &c) { c.entry(0).entry = 8; }, "its code does not lie"},
      {"entry past the code", [](auto &c) { c.entry(2).entry = c.header().code_offset + c.header().code_bytes; },
       "its code does not lie"},
      {"code bytes wrap", [](auto &c) { c.entry(1).code_bytes = UINT32_MAX; }, "its code does not lie"},
      {"no code", [](auto &c) { c.entry(1).code_bytes = 0; }, "its code does not lie"},
      {"no PTX", [](auto &c) { c.header().architecture = LLMRT_ARCH_PTX; }, "zero byte"},
      {"no cubin", [](auto &c) { c.header().architecture = LLMRT_ARCH_CUBIN; }, "not a cubin"},
      {"no scalars", [](auto &c) { c.entry(0).scalar_count = 0; }, "0 scalars"},
      {"many scalars", [](auto &c) { c.entry(0).scalar_count = 65; }, "65 scalars"},
      {"grain", [](auto &c) { c.entry(0).grain = 0; }, "grain"},
      {"operands", [](auto &c) { c.entry(2).first_operand = UINT32_MAX; }, "operands do not lie"},
      {"operand count", [](auto &c) { c.entry(2).operand_count = 64; }, "operands do not lie"},
      {"constraints", [](auto &c) { c.entry(2).first_constraint = 3; }, "constraints do not lie"},
      {"constraint count", [](auto &c) { c.entry(2).constraint_count = 1000; }, "constraints do not lie"},
      {"items", [](auto &c) { c.entry(0).items.first_term = UINT32_MAX; }, "terms do not lie"},
      {"scratch", [](auto &c) { c.entry(0).scratch.term_count = 65; }, "terms do not lie"},
      {"extent", [](auto &c) { c.operand(0).extent.term_count = 1000; }, "terms do not lie"},
      {"maximum", [](auto &c) { c.operand(0).maximum = {c.header().term_count, 1}; }, "terms do not lie"},
      {"constraint's terms", [](auto &c) { c.constraint(0).value.first_term = 10000; }, "terms do not lie"},
      {"no access", [](auto &c) { c.operand(0).access = 0; }, "access is 0"},
      {"unknown access", [](auto &c) { c.operand(0).access = 5; }, "access is 5"},
      {"alignment", [](auto &c) { c.operand(0).alignment = 3; }, "alignment is 3"},
      {"no alignment", [](auto &c) { c.operand(0).alignment = 0; }, "alignment is 0"},
      {"large alignment", [](auto &c) { c.operand(0).alignment = 8192; }, "alignment is 8192"},
      {"scalar of a term", [](auto &c) { c.term(0).scalars[0] = 4; }, "names scalar 4 of 4"},
      {"negative scalar of a term", [](auto &c) { c.term(0).scalars[2] = -2; }, "names scalar -2"},
      {"reserved", [](auto &c) { c.term(0).reserved = 1; }, "reserved"},
      {"first variant", [](auto &c) { c.entry(1).first_rows = 1; }, "does not begin at 0"},
      {"empty range", [](auto &c) { c.entry(1).last_rows = -1; }, "range of rows is empty"},
      {"gap", [](auto &c) { c.entry(2).first_rows = 3; }, "gap or overlaps"},
      {"overlap", [](auto &c) { c.entry(2).first_rows = 1; }, "gap or overlaps"},
      {"not covered", [](auto &c) { c.entry(2).last_rows = 100; }, "do not cover"},
      {"not covered before another", [](auto &c) { c.entry(0).last_rows = 100; }, "do not cover"},
      {"variants differ", [](auto &c) { c.entry(2).operand_count = 6; }, "not as many"},
      {"twice",
       [](auto &c) {
         std::memcpy(c.entry(0).id, c.entry(1).id, 16);
         c.entry(1).last_rows = INT64_MAX;
         c.entry(2).first_rows = 0;
       },
       "there twice"},
  };
  for (const Broken &broken : cases) {
    AlignedCode code(fake_code(LLMRT_ARCH_X86_64));
    broken.damage(code);
    auto table = CodeTable::parse(code.bytes());
    ASSERT_FALSE(table) << broken.name;
    EXPECT_NE(table.status().message().find(broken.message), std::string::npos)
        << broken.name << ": " << table.status().message();
  }
}

TEST(CodeTable, ArmEntriesAreAligned) {
  AlignedCode code(fake_code(LLMRT_ARCH_ARM64));
  ASSERT_TRUE(CodeTable::parse(code.bytes()));
  code.entry(0).entry += 2;
  code.entry(0).code_bytes -= 2;
  EXPECT_FALSE(CodeTable::parse(code.bytes()));
}

TEST(CodeTable, CutOffAnywhere) {
  AlignedCode code(fake_code(LLMRT_ARCH_X86_64));
  for (size_t bytes = 0; bytes < code.size; ++bytes)
    EXPECT_FALSE(CodeTable::parse(code.bytes().first(bytes))) << bytes;
}

} // namespace
} // namespace llmrt
