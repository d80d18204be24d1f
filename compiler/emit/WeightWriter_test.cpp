#include "compiler/emit/WeightWriter.h"

#include "compiler/emit/WeightPacker.h"
#include "mlir/Parser/Parser.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <mutex>

using namespace llmc;
using testing::HasSubstr;

namespace {

// Tensors whose value at [row, column] is a function of its place.
class FakeTensors final : public TensorSource {
public:
  void add(const std::string &name, std::vector<int64_t> shape) { tensors[name] = {name, ElementType::F32, shape}; }

  const TensorInfo *find(llvm::StringRef name) const override {
    auto found = tensors.find(name.str());
    return found == tensors.end() ? nullptr : &found->second;
  }
  std::vector<std::string> names() const override { return {}; }
  llvm::Error readRows(const TensorInfo &tensor, int64_t first, int64_t count, bool transpose,
                       llvm::MutableArrayRef<float> out) const override {
    if (tensor.name == broken) return llvm::createStringError("the disk is on fire");
    int64_t columns = tensor.shape.size() == 1 ? 1 : tensor.shape[transpose ? 0 : 1];
    EXPECT_EQ(int64_t(out.size()), count * columns);
    for (int64_t row = 0; row < count; ++row)
      for (int64_t column = 0; column < columns; ++column)
        out[row * columns + column] = value(tensor.name, transpose ? column : first + row, transpose ? first + row : column);
    return llvm::Error::success();
  }
  static float value(llvm::StringRef name, int64_t row, int64_t column) {
    if (name == "nan" && row == 3) return std::numeric_limits<float>::quiet_NaN();
    return float(name.size()) + float(row) * 0.25f - float(column % 97) * 0.5f;
  }

  std::map<std::string, TensorInfo> tensors;
  std::string broken;
};

struct Written {
  std::vector<char> bytes;
  SegmentHashes hashes;
};

class WeightWriter : public testing::Test {
protected:
  WeightWriter() { context.loadDialect<llm::LlmDialect>(); }

  void parse(const std::string &text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    auto planned = planWeights(*module);
    ASSERT_TRUE(bool(planned)) << llvm::toString(planned.takeError());
    plan = std::move(*planned);
  }

  llvm::Expected<Written> write(int threads) {
    Written written;
    written.bytes.resize(plan.bytes);
    SegmentSink sink = [&](uint64_t offset, llvm::ArrayRef<char> bytes) -> llvm::Error {
      if (offset + bytes.size() > failAt) return llvm::createStringError("no space left");
      std::memcpy(written.bytes.data() + offset, bytes.data(), bytes.size());
      return llvm::Error::success();
    };
    WeightWriterOptions options;
    options.threads = threads;
    auto hashes = writeWeights(plan, tensors, sink, options);
    if (!hashes) return hashes.takeError();
    written.hashes = std::move(*hashes);
    return written;
  }
  float at(const Written &written, uint64_t index) {
    float value;
    std::memcpy(&value, written.bytes.data() + index * 4, 4);
    return value;
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  WeightPlan plan;
  FakeTensors tensors;
  uint64_t failAt = ~uint64_t(0);
};

TEST_F(WeightWriter, Rows16PutsSixteenRowsSideBySide) {
  tensors.add("a", {20, 5});
  parse("llm.weight @a : tensor<20x5xf32> {sources = [#llm.source<tensor = \"a\", count = 20>]}");
  EXPECT_EQ(plan.weights[0].bytes, 2 * 5 * 16 * 4u);
  auto written = write(1);
  ASSERT_TRUE(bool(written));
  for (int64_t row = 0; row < 32; ++row)
    for (int64_t column = 0; column < 5; ++column) {
      float expected = row < 20 ? FakeTensors::value("a", row, column) : 0;
      EXPECT_EQ(at(*written, uint64_t(row / 16 * 5 + column) * 16 + uint64_t(row % 16)), expected);
    }
}

TEST_F(WeightWriter, SourcesAreTransformedAndStacked) {
  tensors.add("a", {8, 3});
  tensors.add("bb", {3, 40}); // stored [columns, rows]
  parse("llm.weight @w : tensor<16x3xf32> {sources = [#llm.source<tensor = \"a\", first = 2, count = 4, scale = 2.0, add "
        "= 1.0>, #llm.source<count = 3, zeros = true>, #llm.source<tensor = \"bb\", first = 20, count = 9, transpose = true>]}");
  auto written = write(1);
  ASSERT_TRUE(bool(written)) << llvm::toString(written.takeError());
  for (uint64_t column = 0; column < 3; ++column) {
    for (uint64_t row = 0; row < 4; ++row)
      EXPECT_EQ(at(*written, column * 16 + row), FakeTensors::value("a", int64_t(row) + 2, int64_t(column)) * 2 + 1);
    for (uint64_t row = 4; row < 7; ++row) EXPECT_EQ(at(*written, column * 16 + row), 0);
    for (uint64_t row = 7; row < 16; ++row)
      EXPECT_EQ(at(*written, column * 16 + row), FakeTensors::value("bb", int64_t(column), int64_t(row) - 7 + 20));
  }
}

TEST_F(WeightWriter, InterleavedHalvesAreDealtOutInBlocks) {
  tensors.add("a", {20, 2});
  tensors.add("bb", {20, 2});
  parse("llm.weight @w : tensor<40x2xf32> {interleave = 16 : i64, sources = [#llm.source<tensor = \"a\", count = 20>, "
        "#llm.source<tensor = \"bb\", count = 20>]}\n"
        "llm.weight @v : tensor<40xf32> {interleave = 16 : i64, sources = [#llm.source<tensor = \"c\", count = 40>]}");
  tensors.add("c", {40});
  EXPECT_EQ(plan.weights[0].blocks, 4);
  EXPECT_EQ(plan.weights[1].offset, 4 * 2 * 16 * 4u);
  auto written = write(2);
  ASSERT_TRUE(bool(written));
  for (uint64_t block = 0; block < 4; ++block)
    for (uint64_t lane = 0; lane < 16; ++lane) {
      int64_t row = int64_t(block / 2 * 16 + lane);
      llvm::StringRef half = block % 2 ? "bb" : "a";
      EXPECT_EQ(at(*written, block * 32 + 16 + lane), row < 20 ? FakeTensors::value(half, row, 1) : 0);
      EXPECT_EQ(at(*written, 128 + block * 16 + lane),
                row < 20 ? FakeTensors::value("c", row + int64_t(block % 2) * 20, 0) : 0);
    }
}

TEST_F(WeightWriter, VectorsAreFloat32RoundedToTheirType) {
  tensors.add("n", {17});
  parse("llm.weight @n : tensor<17xbf16> {sources = [#llm.source<tensor = \"n\", count = 17, add = 0.001>]}");
  EXPECT_EQ(plan.weights[0].bytes, 32 * 4u);
  auto written = write(1);
  ASSERT_TRUE(bool(written));
  uint32_t bits;
  for (uint64_t i = 0; i < 17; ++i) {
    std::memcpy(&bits, written->bytes.data() + 4 * i, 4);
    EXPECT_EQ(bits & 0xFFFF, 0u);
    EXPECT_NEAR(at(*written, i), FakeTensors::value("n", int64_t(i), 0) + 0.001f, 0.03f);
  }
  EXPECT_EQ(at(*written, 31), 0);
}

TEST_F(WeightWriter, QuantizedBlocksAreThoseOfTheScheme) {
  tensors.add("a", {48, 172});
  parse("llm.weight @a : tensor<48x172xf32> {scheme = \"q4_g32\", sources = [#llm.source<tensor = \"a\", count = 48>]}");
  auto written = write(2);
  ASSERT_TRUE(bool(written));
  const Scheme &scheme = *findScheme("q4_g32");
  std::vector<float> rows(16 * 172);
  std::vector<char> block(size_t(scheme.chunks(172) * scheme.chunk_bytes()));
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t i = 0; i < 16 * 172; ++i) rows[size_t(i)] = FakeTensors::value("a", 16 * b + i / 172, i % 172);
    ASSERT_EQ(packing::pack_block(scheme, rows, 172, block), PackStatus::kOk);
    EXPECT_EQ(std::memcmp(block.data(), written->bytes.data() + b * int64_t(block.size()), block.size()), 0);
  }
}

// Large enough for several tasks and chunks that end inside weights.
std::string manyWeights(FakeTensors &tensors) {
  std::string text;
  for (int i = 0; i < 6; ++i) {
    std::string name = "w" + std::to_string(i), rows = std::to_string(300 + 50 * i);
    tensors.add(name, {300 + 50 * i, 1111});
    text += "llm.weight @" + name + " : tensor<" + rows + "x1111x" + (i % 2 ? "f32" : "bf16") +
            "> {sources = [#llm.source<tensor = \"" + name + "\", count = " + rows + ">]" +
            (i % 3 == 0 ? ", scheme = \"q8_g32\"}\n" : "}\n");
  }
  return text;
}

TEST_F(WeightWriter, ThreadsDoNotChangeTheBytes) {
  parse(manyWeights(tensors));
  auto one = write(1), three = write(3);
  ASSERT_TRUE(one && three);
  EXPECT_EQ(one->bytes, three->bytes);
  EXPECT_EQ(one->hashes.whole, three->hashes.whole);
  EXPECT_EQ(one->hashes.chunks, three->hashes.chunks);
  auto bytes = std::as_bytes(std::span(one->bytes));
  EXPECT_EQ(one->hashes.whole, llmrt::sha256(bytes));
  ASSERT_EQ(one->hashes.chunks.size(), (bytes.size() + (1 << 20) - 1) >> 20);
  ASSERT_GT(one->hashes.chunks.size(), 4u);
  for (size_t i = 0; i < one->hashes.chunks.size(); ++i)
    EXPECT_EQ(one->hashes.chunks[i],
              llmrt::sha256(bytes.subspan(i << 20, std::min<size_t>(1 << 20, bytes.size() - (i << 20)))));
}

TEST_F(WeightWriter, FailuresEndAllThreads) {
  parse(manyWeights(tensors));
  for (int threads : {1, 4}) {
    failAt = 3 << 20;
    auto full = write(threads);
    ASSERT_FALSE(bool(full));
    EXPECT_EQ(llvm::toString(full.takeError()), "no space left");
    failAt = ~uint64_t(0);
    tensors.broken = "w3";
    auto broken = write(threads);
    ASSERT_FALSE(bool(broken));
    EXPECT_THAT(llvm::toString(broken.takeError()), HasSubstr("weight w3: the disk is on fire"));
    tensors.broken.clear();
  }
}

TEST_F(WeightWriter, NumbersThatAreNoneAreNamed) {
  tensors.add("nan", {16, 4});
  parse("llm.weight @bad : tensor<16x4xf32> {sources = [#llm.source<tensor = \"nan\", count = 16>]}");
  auto written = write(1);
  ASSERT_FALSE(bool(written));
  EXPECT_THAT(llvm::toString(written.takeError()), HasSubstr("weight bad holds a NaN or an infinity"));
}

TEST_F(WeightWriter, WhatNoKernelReadsIsRefused) {
  module = mlir::parseSourceString<mlir::ModuleOp>(
      "llm.weight @w : tensor<40x2xf32> {interleave = 8 : i64, sources = [#llm.source<tensor = \"a\", count = 40>]}", &context);
  ASSERT_TRUE(module);
  auto planned = planWeights(*module);
  ASSERT_FALSE(bool(planned));
  EXPECT_THAT(llvm::toString(planned.takeError()), HasSubstr("interleaved in blocks of 8"));
}

} // namespace
