#include "runtime/device/gpu/lone_run.h"

#include "runtime/artifact/testing/artifact_builder.h"

#include <cstring>
#include <functional>
#include <gtest/gtest.h>

namespace llmrt {
namespace {

using namespace testing;

// A kernel for 1 to 4 rows: n indices below scalar 1, then n f32 of its result.
struct Code {
  explicit Code(uint32_t alignment = 4) {
    VariantSpec variant;
    variant.id = {7};
    variant.code = {1, 2, 3, 4};
    variant.scalar_count = 2;
    variant.grain = 2;
    variant.items = {{1, {0, -1, -1}}};
    ExpressionSpec bytes{{4, {0, -1, -1}}};
    variant.operands = {{LLMRT_ACCESS_READ, 4, bytes, {{1, {1, -1, -1}}}}, {LLMRT_ACCESS_WRITE, alignment, bytes, {}}};
    variant.constraints = {{{1, {1, -1, -1}}, {-1, {-1, -1, -1}}}}; // scalar 1 is at least 1
    CodeSpec spec;
    spec.architecture = LLMRT_ARCH_X86_64;
    variant.last_rows = 4;
    spec.variants.push_back(variant);
    variant.first_rows = 5;
    variant.last_rows = INT64_MAX;
    spec.variants.push_back(variant);
    std::vector<std::byte> bytes_of_it = build_code(spec);
    words.resize(bytes_of_it.size() / 8 + 1);
    std::memcpy(words.data(), bytes_of_it.data(), bytes_of_it.size());
    auto parsed = CodeTable::parse({reinterpret_cast<const std::byte *>(words.data()), bytes_of_it.size()});
    EXPECT_TRUE(parsed) << parsed.status().message();
    table = *std::move(parsed);
  }
  std::vector<uint64_t> words;
  CodeTable table;
};

struct Call {
  std::vector<int64_t> scalars{3, 10};
  std::vector<int32_t> indices{0, 9, 5};
  std::vector<float> result{0, 0, 0};
  size_t variant = 0;

  LoneKernel on(const Code &code) {
    operands = {std::as_writable_bytes(std::span(indices)), std::as_writable_bytes(std::span(result))};
    return {&code.table, &code.table.entries()[variant], scalars, operands};
  }
  std::vector<std::span<std::byte>> operands;
};

TEST(LoneKernel, ChecksWhatItIsCalledWith) {
  Code code;
  EXPECT_TRUE(check_lone_kernel(Call().on(code)).ok());
  const std::pair<std::function<void(Call &)>, const char *> wrong[] = {
      {[](Call &c) { c.scalars.push_back(1); }, "takes 2 scalars and 2 operands"},
      {[](Call &c) { c.scalars[0] = 5; }, "not for that many rows"},
      {[](Call &c) { c.variant = 1; }, "not for that many rows"},
      {[](Call &c) { c.scalars[1] = 0; }, "constraint"},
      {[](Call &c) { c.result.pop_back(); }, "operand 1 has 8 bytes"},
      {[](Call &c) { c.indices[1] = 10; }, "operand 0 has an index"},
      {[](Call &c) { c.indices[2] = -1; }, "operand 0 has an index"},
      {[](Call &c) { c.scalars[0] = INT64_MIN; }, "not for that many rows"},
  };
  for (const auto &[change, message] : wrong) {
    Call call;
    change(call);
    Status status = check_lone_kernel(call.on(code));
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(message), std::string::npos) << status.message();
  }
  EXPECT_NE(check_lone_kernel(Call().on(Code(512))).message().find("alignment"), std::string::npos);
}

TEST(LoneKernel, OperandsLieBetweenGuardBytes) {
  Code code;
  for (int64_t alignment : {64, 256}) {
    Call call;
    LoneKernel kernel = call.on(code);
    GuardedOperands operands(kernel, 40, alignment);
    EXPECT_EQ(uintptr_t(operands.block().data()) % size_t(alignment), 0u);
    ASSERT_EQ(operands.slots().size(), 2u);
    for (const GuardedOperands::Slot &slot : operands.slots()) {
      EXPECT_EQ(slot.offset % alignment, 0);
      EXPECT_GE(slot.offset, 40);
      EXPECT_EQ(slot.extent, 12);
    }
    EXPECT_EQ(operands.slots()[0].before, 256);
    EXPECT_EQ(operands.slots()[1].before, 512);
    float *result = reinterpret_cast<float *>(operands.block().data() + operands.slots()[1].offset + 512);
    EXPECT_EQ(result[1], 0);
    result[1] = 4.5f;
    EXPECT_TRUE(operands.take_back(kernel).ok());
    EXPECT_EQ(call.result, (std::vector<float>{0, 4.5f, 0}));
    for (int outside : {-1, 3}) {
      GuardedOperands damaged(kernel, 0, alignment);
      reinterpret_cast<float *>(damaged.block().data() + damaged.slots()[1].offset + 512)[outside] = 1;
      Status status = damaged.take_back(kernel);
      EXPECT_EQ(status.code(), StatusCode::kInternal);
      EXPECT_NE(status.message().find("outside of operand 1"), std::string::npos);
    }
  }
}

// Plays a GPU: result[i] = 2 x indices[i], by the words of the row alone.
class Backend final : public gpu::Backend {
public:
  std::string name() const override { return "played"; }
  std::string_view target() const override { return "vulkan"; }
  int64_t memory_bytes() const override { return 0; }
  int64_t max_operand_bytes() const override { return 0; }
  int64_t row_alignment() const override { return 32; }
  Result<gpu::Memory> take(int64_t, gpu::Place, const char *) override { return unused(); }
  Status upload(std::span<const std::byte>, const gpu::Memory &) override { return unused(); }
  Status clear(const gpu::Memory &) override { return unused(); }
  Status copy(std::span<const gpu::Memory>, int64_t, int64_t, int64_t) override { return unused(); }
  Status record(gpu::StepTable &, const gpu::StepMemory &) override { return unused(); }
  Status run(int64_t, std::span<const gpu::Output>) override { return unused(); }
  Status fetch(std::span<const gpu::Output>) override { return unused(); }
  Status run_alone(const gpu::BoundKernel &kernel) override {
    auto words = [&](size_t binding) {
      return reinterpret_cast<int32_t *>(kernel.block.data() + kernel.bindings[binding].offset);
    };
    row.assign(words(0), words(0) + kernel.bindings[0].bytes / 4);
    groups = kernel.groups;
    EXPECT_EQ(kernel.groups_at, kernel.bindings[0].bytes - 12);
    for (int32_t i = 0; i < row[4] + excess; ++i)
      reinterpret_cast<float *>(words(2))[row[3] + i] = 2 * float(words(1)[row[2] + i]);
    return ok_status();
  }
  static Status unused() { return Status(StatusCode::kInternal, "not used here"); }

  std::vector<int32_t> row;
  int64_t groups = 0;
  int32_t excess = 0;
};

TEST(LoneKernel, RunsOnAGpu) {
  Code code;
  Backend backend;
  Call call;
  ASSERT_TRUE(gpu::run_alone(backend, call.on(code)).ok());
  EXPECT_EQ(call.result, (std::vector<float>{0, 18, 10}));
  EXPECT_EQ(backend.row, (std::vector<int32_t>{3, 10, 64, 128, 3, 2, 1, 1})); // 2 workgroups of 2 items
  EXPECT_EQ(backend.groups, 2);
  backend.excess = 1;
  Status status = gpu::run_alone(backend, call.on(code));
  EXPECT_NE(status.message().find("outside of operand 1"), std::string::npos) << status.message();
  call.scalars[1] = int64_t(1) << 31;
  EXPECT_NE(gpu::run_alone(backend, call.on(code)).message().find("31 bits"), std::string::npos);
}

TEST(LoneKernel, NothingToDoIsNotRun) {
  Code code;
  Backend backend;
  Call call;
  call.scalars[0] = 0;
  EXPECT_TRUE(gpu::run_alone(backend, call.on(code)).ok());
  EXPECT_TRUE(backend.row.empty());
}

} // namespace
} // namespace llmrt
