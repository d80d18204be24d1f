// Fused forms against the plain operations they stand for, and what the interpreter refuses.
#include "codegen/reference/Interpreter.h"
#include "dialects/llm/Llm.h"

#include "mlir/Parser/Parser.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using namespace llmc;
using reference::Values;
using testing::HasSubstr;

// Values by tensor name and place: any numbers that differ.
llvm::Error readRows(llvm::StringRef name, int64_t first, int64_t count, bool transpose,
                     llvm::MutableArrayRef<float> out) {
  if (name == "missing")
    return llvm::createStringError("no tensor missing");
  int64_t columns = int64_t(out.size()) / count;
  for (int64_t row = 0; row < count; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      double place = double(transpose ? column * 1000 + first + row : (first + row) * 1000 + column);
      out[row * columns + column] = float(std::sin(place * 0.7 + double(name.size()) + name.front()));
    }
  return llvm::Error::success();
}

struct Result {
  Values logits;
  std::string error;
};

const std::vector<std::vector<int32_t>> kSequences = {{3, 1, 4, 1, 5}, {2, 0}};

// `weights` at module level, `body` with %b and ending in a return.
Result run(const std::string &weights, const std::string &body, int64_t columns,
           llvm::ArrayRef<std::vector<int32_t>> sequences = kSequences) {
  mlir::DialectRegistry registry;
  llm::registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  std::string text = R"(
    llm.weight @e : tensor<7x32xf32> {sources = [#llm.source<tensor = "e", first = 0, count = 7>]}
    llm.weight @n : tensor<32xf32> {sources = [#llm.source<tensor = "n", first = 0, count = 32>]}
    llm.weight @nb : tensor<32xf32> {sources = [#llm.source<tensor = "nb", first = 0, count = 32>]}
    llm.weight @g : tensor<20x32xf32> {sources = [#llm.source<tensor = "g", first = 0, count = 20>]}
    llm.weight @u : tensor<20x32xf32> {sources = [#llm.source<tensor = "u", first = 0, count = 20>]}
    llm.weight @gb : tensor<20xf32> {sources = [#llm.source<tensor = "gb", first = 0, count = 20>]}
    llm.weight @ub : tensor<20xf32> {sources = [#llm.source<tensor = "ub", first = 0, count = 20>]}
    llm.weight @d : tensor<32x20xf32> {sources = [#llm.source<tensor = "d", first = 0, count = 32, transpose = true>]}
  )" + weights + "func.func @step(%b: !llm.batch) -> tensor<?x" + std::to_string(columns) + "xf32> {\n" +
                     "%x = llm.embed %b, @e : tensor<?x32xf32>\n" + body + "\n}";
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return {{}, "does not parse"};
  llvm::Expected<reference::Matrix> logits = reference::evaluate(*module, readRows, sequences);
  if (!logits)
    return {{}, llvm::toString(logits.takeError())};
  EXPECT_EQ(logits->columns, columns);
  return {logits->values, ""};
}

void expectSame(const Result &left, const Result &right, double tolerance = 1e-12) {
  EXPECT_EQ(left.error, "");
  EXPECT_EQ(right.error, "");
  ASSERT_EQ(left.logits.size(), right.logits.size());
  ASSERT_FALSE(left.logits.empty());
  EXPECT_THAT(left.logits, testing::Pointwise(testing::DoubleNear(tolerance), right.logits));
}

TEST(Interpreter, GatedLinearWithPrologueIsTheWholeMlp) {
  Result plain = run("", R"(
    %h = llm.norm layer %x, @n bias @nb {epsilon = 1.0e-5 : f64} : tensor<?x32xf32>
    %g = llm.linear %h, @g vectors [@gb] epilogue (%a: f32, %v: f32) {
      %s = arith.addf %a, %v : f32
      llm.yield %s
    } : tensor<?x32xf32> -> tensor<?x20xf32>
    %u = llm.linear %h, @u vectors [@ub] epilogue (%a: f32, %v: f32) {
      %s = arith.addf %a, %v : f32
      llm.yield %s
    } : tensor<?x32xf32> -> tensor<?x20xf32>
    %ga = llm.activation silu %g : tensor<?x20xf32>
    %m = llm.mul %ga, %u : tensor<?x20xf32>
    %d = llm.linear %m, @d : tensor<?x20xf32> -> tensor<?x32xf32>
    %s = llm.scale %d {factor = 0.5 : f64} : tensor<?x32xf32>
    %y = llm.add %x, %s : tensor<?x32xf32>
    return %y : tensor<?x32xf32>)", 32);
  Result fused = run(R"(
    llm.weight @gu : tensor<40x32xf32> {interleave = 16 : i64, sources = [
      #llm.source<tensor = "g", first = 0, count = 20>, #llm.source<tensor = "u", first = 0, count = 20>]}
    llm.weight @gub : tensor<40xf32> {interleave = 16 : i64, sources = [
      #llm.source<tensor = "gb", first = 0, count = 20>, #llm.source<tensor = "ub", first = 0, count = 20>]}
  )", R"(
    %m = llm.linear %x, @gu vectors [@gub] gated norm layer @n bias @nb eps 1.0e-5
      epilogue (%g: f32, %u: f32, %gv: f32, %uv: f32) {
        %a = arith.addf %g, %gv : f32
        %c = arith.addf %u, %uv : f32
        %s = llm.scalar_activation silu %a
        %p = arith.mulf %s, %c : f32
        llm.yield %p
      } : tensor<?x32xf32> -> tensor<?x20xf32>
    %y = llm.linear %m, @d rows(%x) epilogue (%a: f32, %r: f32) {
      %half = arith.constant 0.5 : f32
      %s = math.fma %a, %half, %r : f32
      llm.yield %s
    } : tensor<?x20xf32> -> tensor<?x32xf32>
    return %y : tensor<?x32xf32>)", 32);
  expectSame(fused, plain);
}

TEST(Interpreter, MergedLinearsAndSlicesAreTheParts) {
  Result plain = run("", R"(
    %g = llm.linear %x, @g : tensor<?x32xf32> -> tensor<?x20xf32>
    %u = llm.linear %x, @u : tensor<?x32xf32> -> tensor<?x20xf32>
    %y = llm.mul %g, %u : tensor<?x20xf32>
    return %y : tensor<?x20xf32>)", 20);
  Result merged = run(R"(
    llm.weight @all : tensor<40x32xf32> {sources = [
      #llm.source<tensor = "g", first = 0, count = 20>, #llm.source<tensor = "u", first = 0, count = 3>,
      #llm.source<tensor = "u", first = 3, count = 17>]}
  )", R"(
    %all = llm.linear %x, @all : tensor<?x32xf32> -> tensor<?x40xf32>
    %g = llm.slice %all {offset = 0 : i64} : tensor<?x40xf32> -> tensor<?x20xf32>
    %u = llm.slice %all {offset = 20 : i64} : tensor<?x40xf32> -> tensor<?x20xf32>
    %y = llm.mul %g, %u : tensor<?x20xf32>
    return %y : tensor<?x20xf32>)", 20);
  expectSame(merged, plain);
}

const char *kAttention = "layer = 0 : i64, heads = 4 : i64, kv_heads = 4 : i64, key_dim = 8 : i64, value_dim = 8 : i64, "
                         "scale = 0.5 : f64, window = 3 : i64";

Result attention(const char *element) {
  std::string types = ": tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>";
  if (!element)
    return run("", "%y = llm.attention %b, %x, %x, %x {" + std::string(kAttention) + "} " + types +
                       "\n return %y : tensor<?x32xf32>", 32);
  std::string place = ", group = 1 : i64, slot = 2 : i64, element = " + std::string(element);
  return run("", "llm.cache_write %b, %x, %x {kv_heads = 4 : i64, key_dim = 8 : i64, value_dim = 8 : i64" + place +
                     "} : tensor<?x32xf32>, tensor<?x32xf32>\n%y = llm.paged_attention %b, %x {" +
                     std::string(kAttention) + place + "} : tensor<?x32xf32> -> tensor<?x32xf32>\n" +
                     "return %y : tensor<?x32xf32>", 32);
}

TEST(Interpreter, PagedAttentionRoundsToTheCacheElement) {
  Result plain = attention(nullptr);
  expectSame(attention("f32"), plain, 1e-6);
  expectSame(attention("f16"), plain, 2e-3);
  expectSame(attention("bf16"), plain, 2e-2);
  EXPECT_NE(attention("bf16").logits, plain.logits);
}

TEST(Interpreter, SequencesDoNotSeeEachOther) {
  Result both = attention(nullptr);
  auto alone = [&](const std::vector<int32_t> &sequence) {
    return run("", "%y = llm.attention %b, %x, %x, %x {" + std::string(kAttention) +
                       "} : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>\n" +
                       "return %y : tensor<?x32xf32>", 32, {sequence}).logits;
  };
  Values joined = alone(kSequences[0]), second = alone(kSequences[1]);
  joined.insert(joined.end(), second.begin(), second.end());
  EXPECT_EQ(both.logits, joined);
}

TEST(Interpreter, QuantizedLinearMultipliesWhatItsKernelsDo) {
  Result result = run(R"(llm.weight @q : tensor<20x32xf32> {scheme = "q8_g32", sources = [
      #llm.source<tensor = "g", first = 0, count = 20>]})", R"(
    %y = llm.linear %x, @q activations "int8" : tensor<?x32xf32> -> tensor<?x20xf32>
    return %y : tensor<?x20xf32>)", 20);
  ASSERT_EQ(result.error, "");
  std::vector<float> weight(20 * 32), table(7 * 32);
  llvm::cantFail(readRows("g", 0, 20, false, weight));
  llvm::cantFail(readRows("e", 0, 7, false, table));
  Values x;
  for (const auto &sequence : kSequences)
    for (int32_t id : sequence)
      x.insert(x.end(), table.begin() + id * 32, table.begin() + (id + 1) * 32);
  Values rounded = reference::roundWeight("q8_g32", reference::Element::F32, weight, 20, 32);
  EXPECT_EQ(result.logits, reference::linear(reference::roundInt8(x, 7, 32), 7, 32, rounded, 20));
}

TEST(Interpreter, ErrorsSayWhatIsWrong) {
  const std::string same = "return %x : tensor<?x32xf32>";
  EXPECT_THAT(run("", same, 32, {{3, 7}}).error, HasSubstr("token 7 is not one of 7"));
  EXPECT_THAT(run("", same, 32, {{-1}}).error, HasSubstr("token -1"));
  EXPECT_THAT(run(R"(llm.weight @m : tensor<32xf32> {sources = [#llm.source<tensor = "missing", count = 32>]})", R"(
    %y = llm.norm rms %x, @m {epsilon = 1.0e-5 : f64} : tensor<?x32xf32>
    return %y : tensor<?x32xf32>)", 32).error, HasSubstr("no tensor missing"));
  EXPECT_THAT(run("", R"(
    %y = llm.linear %x, @g epilogue (%a: f32) {
      %s = math.cbrt %a : f32
      llm.yield %s
    } : tensor<?x32xf32> -> tensor<?x20xf32>
    return %y : tensor<?x20xf32>)", 20).error, HasSubstr("math.cbrt"));
  EXPECT_THAT(run("", "%y = llm.paged_attention %b, %x {" + std::string(kAttention) +
                          ", group = 0 : i64, slot = 0 : i64, element = f32} : tensor<?x32xf32> -> tensor<?x32xf32>\n" +
                          "return %y : tensor<?x32xf32>", 32).error, HasSubstr("nothing was written"));
}

TEST(Interpreter, NoSequencesGiveNoLogits) {
  Result result = run("", "return %x : tensor<?x32xf32>", 32, {});
  EXPECT_EQ(result.error, "");
  EXPECT_TRUE(result.logits.empty());
}

} // namespace
