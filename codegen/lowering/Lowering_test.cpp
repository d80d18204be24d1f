#include "codegen/lowering/Lowering.h"

#include "dialects/exec/Exec.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

using namespace llmc;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

constexpr const char *kCacheGroup =
    "llm.cache_group @full {element = f32, index = 0 : i64, key_dim = 8 : i64, kv_heads = 4 : i64, layers = 2 : i64, "
    "page_tokens = 16 : i64, value_dim = 8 : i64, window = 0 : i64}\n";

std::string matrix(const std::string &name, int64_t rows, int64_t columns, const std::string &more = "") {
  return "llm.weight @" + name + " : tensor<" + std::to_string(rows) + "x" + std::to_string(columns) +
         "xf32> {sources = [#llm.source<tensor = \"" + name + "\", count = " + std::to_string(rows) + ">]" + more + "}\n";
}
std::string vector(const std::string &name, int64_t size) {
  return "llm.weight @" + name + " : tensor<" + std::to_string(size) + "xf32> {sources = [#llm.source<tensor = \"" +
         name + "\", count = " + std::to_string(size) + ">]}\n";
}

// A layer of a small Llama as the paging pass leaves it; reads %x<layer>, makes %x<layer + 1>.
std::string layer(int index, const std::string &activations) {
  std::string l = "l" + std::to_string(index), x = "%x" + std::to_string(index), y = "%x" + std::to_string(index + 1);
  std::string act = activations == "float" ? "" : " activations \"" + activations + "\"";
  std::string rope = ", rope = #llm.rope<dim = 8, base = 1.0e+04, kind = half, scaling = \"default\">}";
  std::string p = "%" + l;
  return p + "qkv = llm.linear " + x + ", @" + l + ".qkv norm rms @" + l + ".n1 eps 1.0e-05" + act +
         " : tensor<?x64xf32> -> tensor<?x128xf32>\n" +
         p + "q = llm.slice " + p + "qkv {offset = 0 : i64} : tensor<?x128xf32> -> tensor<?x64xf32>\n" +
         p + "k = llm.slice " + p + "qkv {offset = 64 : i64} : tensor<?x128xf32> -> tensor<?x32xf32>\n" +
         p + "v = llm.slice " + p + "qkv {offset = 96 : i64} : tensor<?x128xf32> -> tensor<?x32xf32>\n" +
         p + "rq = llm.rope %b, " + p + "q {heads = 8 : i64" + rope + " : tensor<?x64xf32>\n" +
         p + "rk = llm.rope %b, " + p + "k {heads = 4 : i64" + rope + " : tensor<?x32xf32>\n" +
         "llm.cache_write %b, " + p + "rk, " + p + "v {element = f32, group = 0 : i64, key_dim = 8 : i64, kv_heads = 4 : "
         "i64, slot = " + std::to_string(index) + " : i64, value_dim = 8 : i64} : tensor<?x32xf32>, tensor<?x32xf32>\n" +
         p + "a = llm.paged_attention %b, " + p + "rq {element = f32, group = 0 : i64, heads = 8 : i64, key_dim = 8 : "
         "i64, kv_heads = 4 : i64, layer = " + std::to_string(index) + " : i64, scale = 0.35 : f64, slot = " +
         std::to_string(index) + " : i64, value_dim = 8 : i64} : tensor<?x64xf32> -> tensor<?x64xf32>\n" +
         p + "o = llm.linear " + p + "a, @" + l + ".o rows(" + x + ")" + act + " epilogue (%s: f32, %r: f32) {\n" +
         "  %t = arith.addf %r, %s : f32\n  llm.yield %t\n} : tensor<?x64xf32> -> tensor<?x64xf32>\n" +
         p + "g = llm.linear " + p + "o, @" + l + ".gu gated norm rms @" + l + ".n2 eps 1.0e-05" + act +
         " epilogue (%s: f32, %u: f32) {\n  %t = llm.scalar_activation silu %s\n  %m = arith.mulf %t, %u : f32\n"
         "  llm.yield %m\n} : tensor<?x64xf32> -> tensor<?x172xf32>\n" +
         y + " = llm.linear " + p + "g, @" + l + ".down rows(" + p + "o)" + act + " epilogue (%s: f32, %r: f32) {\n" +
         "  %t = arith.addf %r, %s : f32\n  llm.yield %t\n} : tensor<?x172xf32> -> tensor<?x64xf32>\n";
}

std::string llama(int layers, const std::string &scheme = "none", const std::string &activations = "float") {
  std::string quantized = scheme == "none" ? "" : ", scheme = \"" + scheme + "\"";
  std::string text = matrix("embed", 105, 64, quantized) + vector("final", 64) + kCacheGroup, body;
  for (int i = 0; i < layers; ++i) {
    std::string l = "l" + std::to_string(i);
    text += vector(l + ".n1", 64) + vector(l + ".n2", 64) + matrix(l + ".qkv", 128, 64, quantized) +
            matrix(l + ".o", 64, 64, quantized) + matrix(l + ".gu", 344, 64, ", interleave = 16 : i64" + quantized) +
            matrix(l + ".down", 64, 172, quantized);
    body += layer(i, activations);
  }
  std::string act = activations == "float" ? "" : " activations \"" + activations + "\"";
  return text + "func.func @step(%b: !llm.batch) -> tensor<?x105xf32> {\n%x0 = llm.embed %b, @embed : tensor<?x64xf32>\n" +
         body + "%sel = llm.select_rows %b, %x" + std::to_string(layers) + " : tensor<?x64xf32>\n" +
         "%y = llm.linear %sel, @embed norm rms @final eps 1.0e-05" + act +
         " : tensor<?x64xf32> -> tensor<?x105xf32>\nreturn %y : tensor<?x105xf32>\n}\n";
}

std::string replaced(std::string text, const std::string &what, const std::string &with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
  return text;
}

// The same with heads of 16, which are whole row blocks of the weight.
std::string wideHeads(std::string text) {
  return replaced(replaced(replaced(text, "heads = 4", "heads = 2"), "heads = 8", "heads = 4"), "dim = 8", "dim = 16");
}

class Lowering : public testing::Test {
protected:
  Lowering() {
    mlir::DialectRegistry registry;
    exec::registerDialects(registry);
    context.appendDialectRegistry(registry);
    context.getDiagEngine().registerHandler([&](mlir::Diagnostic &d) { errors += d.str() + "\n"; });
  }

  // Lowered and planned; null on a diagnostic, which is in `errors`.
  mlir::ModuleOp lower(const std::string &text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module || mlir::failed(lowerToExec(*module, options)) || mlir::failed(planMemory(*module)) ||
        mlir::failed(mlir::verify(*module)))
      return {};
    return *module;
  }

  std::vector<exec::DispatchOp> dispatches() {
    auto program = module->lookupSymbol<exec::ProgramOp>("step");
    auto ops = program.getBody().getOps<exec::DispatchOp>();
    return {ops.begin(), ops.end()};
  }
  exec::KernelOp kernelOf(exec::DispatchOp dispatch) {
    return module->lookupSymbol<exec::KernelOp>(dispatch.getKernel());
  }
  std::vector<std::string> kinds() {
    std::vector<std::string> kinds;
    for (auto dispatch : dispatches()) kinds.push_back(kernelOf(dispatch).getKind().str());
    return kinds;
  }
  // The operand as it is printed: "buffer q.3 + 256".
  std::string operand(exec::DispatchOp dispatch, size_t index) {
    auto attribute = llvm::cast<exec::OperandAttr>(dispatch.getOperands()[index]);
    std::string text = (attribute.getKind() + " " + attribute.getName()).str();
    exec::Size offset = exec::Size::fromAttr(attribute.getOffset());
    return offset.isZero() ? text : text + " + " + offset.toString();
  }
  std::string lastOperand(exec::DispatchOp dispatch) { return operand(dispatch, dispatch.getOperands().size() - 1); }
  int64_t scalar(exec::DispatchOp dispatch, size_t index) {
    return llvm::cast<exec::ScalarAttr>(dispatch.getScalars()[index]).getValue();
  }
  size_t kernelCount() {
    auto kernels = module->getOps<exec::KernelOp>();
    return size_t(std::distance(kernels.begin(), kernels.end()));
  }

  mlir::MLIRContext context;
  LoweringOptions options{.splitAttention = false};
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string errors;
};

TEST_F(Lowering, LayerOfLlama) {
  ASSERT_TRUE(lower(llama(1))) << errors;
  EXPECT_THAT(kinds(), ElementsAre("rope_table", "embed", "norm", "linear", "rope", "rope", "cache_write", "attention",
                                   "linear", "norm", "linear", "linear", "norm", "linear"));
  auto d = dispatches();
  std::string hidden = lastOperand(d[1]), qkv = lastOperand(d[3]);
  // Slices are offsets; ropes turn in place.
  EXPECT_EQ(operand(d[4], 0), qkv);
  EXPECT_EQ(lastOperand(d[4]), qkv);
  EXPECT_EQ(operand(d[5], 0), qkv + " + 256");
  EXPECT_EQ(lastOperand(d[5]), qkv + " + 256");
  EXPECT_EQ(operand(d[6], 1), qkv + " + 384");
  // The residual is updated in place by both linears that add to it.
  EXPECT_EQ(operand(d[8], 2), hidden);
  EXPECT_EQ(lastOperand(d[8]), hidden);
  EXPECT_EQ(lastOperand(d[11]), hidden);
  // Rows of 172 columns are 176 apart; logits have no gaps.
  EXPECT_EQ(scalar(d[10], 6), 176);
  EXPECT_EQ(scalar(d[13], 6), 105);
  EXPECT_EQ(module->lookupSymbol<exec::ProgramOp>("step").getLogits(), operand(d[13], 2).substr(7));
}

TEST_F(Lowering, TheFinalNormGathers) {
  ASSERT_TRUE(lower(llama(1))) << errors;
  auto d = dispatches();
  exec::DispatchOp norm = d[d.size() - 2];
  EXPECT_TRUE(kernelOf(norm).getFlag("gather"));
  EXPECT_EQ(operand(norm, 1), "input OutputRows");
  auto n = llvm::cast<exec::ScalarAttr>(norm.getScalars()[0]), bound = llvm::cast<exec::ScalarAttr>(norm.getScalars()[5]);
  EXPECT_EQ(exec::Symbol(n.getSymbol()), exec::Symbol::Rows);
  EXPECT_EQ(exec::Symbol(bound.getSymbol()), exec::Symbol::Tokens);
}

TEST_F(Lowering, EqualKernelsExistOnce) {
  ASSERT_TRUE(lower(llama(1))) << errors;
  size_t one = kernelCount();
  ASSERT_TRUE(lower(llama(3))) << errors;
  EXPECT_EQ(kernelCount(), one);
  EXPECT_EQ(dispatches().size(), 4 + 3 * 10u);
  // Pools are [layers][pages]: layer 1 starts a layer's pages on.
  EXPECT_EQ(operand(dispatches()[16], 5), "cache full + 6144 P0");
}

TEST_F(Lowering, HeadsGoFromTheirLinearToAttention) {
  ASSERT_TRUE(lower(wideHeads(llama(2)))) << errors;
  EXPECT_THAT(kinds(), ElementsAre("rope_table", "embed", "norm", "linear", "rope", "rope", "cache_write", "attention",
                                   "linear", "norm", "linear", "linear", "norm", "linear", "rope", "rope", "cache_write",
                                   "attention", "linear", "norm", "linear", "linear", "norm", "linear"));
  options.headsInLinear = true;
  ASSERT_TRUE(lower(wideHeads(llama(2)))) << errors;
  EXPECT_THAT(kinds(), ElementsAre("rope_table", "embed", "norm", "linear_heads", "attention", "linear", "norm", "linear",
                                   "linear", "norm", "linear_heads", "attention", "linear", "norm", "linear", "linear",
                                   "norm", "linear"));
  auto d = dispatches();
  EXPECT_EQ(kernelOf(d[3]), kernelOf(d[10]));
  EXPECT_EQ(kernelOf(d[3]).getSymName(), "linear_heads_f32_f32");
  EXPECT_EQ(operand(d[3], 2), lastOperand(d[0]));
  EXPECT_EQ(operand(d[3], 6), "cache full");
  EXPECT_EQ(operand(d[10], 6), "cache full + 4096 P0");
  // Queries are rows; keys and values are not.
  EXPECT_EQ(lastOperand(d[3]), operand(d[4], 0));
  auto queries = module->lookupSymbol<exec::BufferOp>(lastOperand(d[3]).substr(7));
  EXPECT_EQ(exec::Size::fromAttr(queries.getBytes()).toString(), "256 T");
  EXPECT_EQ(scalar(d[3], 6), 64);
  std::vector<int64_t> heads;
  for (size_t i = 7; i < 13; ++i) heads.push_back(scalar(d[3], i));
  EXPECT_THAT(heads, ElementsAre(4, 2, 1, 1, 8, 16));
}

TEST_F(Lowering, HeadNormsGoWithTheHeads) {
  options.headsInLinear = true;
  std::string norms = vector("qn", 16) + vector("kn", 16) + wideHeads(llama(1, "q4_g32", "int8")), epsilon = "1.0e-06";
  for (auto [name, type] : {std::pair{"q", "64"}, {"k", "32"}}) {
    std::string normed = std::string("%n") + name, rope = std::string("%l0r") + name + " = llm.rope %b, ";
    norms = replaced(norms, rope + "%l0" + name + " ",
                     normed + " = llm.norm rms %l0" + name + ", @" + name + "n {epsilon = " + epsilon +
                         " : f64, group = 16 : i64} : tensor<?x" + type + "xf32>\n" + rope + normed + " ");
  }
  ASSERT_TRUE(lower(norms)) << errors;
  EXPECT_THAT(kinds(), ElementsAre("rope_table", "embed", "norm", "linear_heads", "attention", "norm", "linear", "norm",
                                   "linear", "norm", "linear", "norm", "linear"));
  auto d = dispatches();
  EXPECT_EQ(kernelOf(d[3]).getString("norm"), "rms");
  EXPECT_EQ(operand(d[3], 5), "weight qn");
  EXPECT_EQ(operand(d[3], 6), "weight kn");
  EXPECT_EQ(scalar(d[3], 8), 4); // after the scales of int8 rows
  // One kernel has one epsilon.
  size_t second = norms.find("epsilon = 1.0e-06", norms.find("%nk = "));
  ASSERT_TRUE(lower(norms.replace(second, 17, "epsilon = 1.0e-05"))) << errors;
  EXPECT_EQ(kinds()[3], "linear");
}

TEST_F(Lowering, HeadsThatAreNotWholeOrThatOthersReadAreRows) {
  options.headsInLinear = true;
  ASSERT_TRUE(lower(llama(1))) << errors; // half a row block each
  EXPECT_EQ(kinds()[3], "linear");
  std::string read = "%l0z = llm.activation silu %l0v : tensor<?x32xf32>\n%l0rq = ";
  ASSERT_TRUE(lower(replaced(wideHeads(llama(1)), "%l0rq = ", read))) << errors;
  EXPECT_EQ(kinds()[3], "linear");
  std::string other = ", rope = #llm.rope<dim = 16, base = 2.0e+04,";
  std::string twoRopes = wideHeads(llama(1));
  size_t first = twoRopes.find(", rope = #llm.rope<dim = 16, base = 1.0e+04,");
  ASSERT_TRUE(lower(twoRopes.replace(first, other.size(), other))) << errors;
  EXPECT_EQ(kinds()[4], "linear"); // after two tables
}

TEST_F(Lowering, AttentionOfFewHeadsIsSplit) {
  options.splitAttention = true;
  ASSERT_TRUE(lower(llama(2))) << errors;
  auto d = dispatches();
  ASSERT_EQ(d.size(), 4 + 2 * 11u);
  EXPECT_EQ(kernelOf(d[7]).getKind(), "attention");
  EXPECT_EQ(kernelOf(d[7]).getInteger("parts"), 8); // 32 work items of a row with 4 KV heads
  EXPECT_EQ(kernelOf(d[7]).getInteger("group"), 2);
  EXPECT_EQ(kernelOf(d[8]).getKind(), "attention_combine");
  EXPECT_EQ(operand(d[8], 1), operand(d[7], 6));
  EXPECT_EQ(operand(d[8], 2), lastOperand(d[7]));
  EXPECT_EQ(lastOperand(d[8]), operand(d[7], 5));
  // A record of 16 heads and 16 columns is 1152 bytes; four rows', for every 16 blocks and for the last segment. Both
  // layers' lie in one place.
  auto segments = [&](exec::DispatchOp dispatch, int index) {
    auto name = llvm::cast<exec::OperandAttr>(dispatch.getOperands()[index]).getName();
    return module->lookupSymbol<exec::BufferOp>(name);
  };
  EXPECT_EQ(exec::Size::fromAttr(segments(d[7], 6).getBytes()).toString(), "320 B");
  EXPECT_EQ(exec::Size::fromAttr(segments(d[7], 7).getBytes()).toString(), "4608");
  EXPECT_EQ(segments(d[7], 6).getOffset(), segments(d[18], 6).getOffset());
  EXPECT_EQ(segments(d[7], 7).getOffset(), segments(d[18], 7).getOffset());
}

TEST_F(Lowering, Int8RowsComeFromNormKernels) {
  ASSERT_TRUE(lower(llama(1, "q4_g32", "int8"))) << errors;
  EXPECT_THAT(kinds(), ElementsAre("rope_table", "embed", "norm", "linear", "rope", "rope", "cache_write", "attention",
                                   "norm", "linear", "norm", "linear", "norm", "linear", "norm", "linear"));
  auto d = dispatches();
  EXPECT_EQ(kernelOf(d[8]).getString("kind"), "none");
  EXPECT_EQ(kernelOf(d[8]).getString("out"), "int8");
  EXPECT_EQ(kernelOf(d[12]).getString("scheme"), "q4_g32");
  // down reads 172 columns: three chunks of 64, two scales of 128; 12 = the row's ld is not the kernel's business.
  EXPECT_EQ(scalar(d[12], 1), 172);
  EXPECT_EQ(scalar(d[12], 4), 3);
  EXPECT_EQ(scalar(d[12], 6), 2);
  EXPECT_EQ(scalar(d[13], 5), 0);
  EXPECT_EQ(scalar(d[13], 8), 2);
  EXPECT_EQ(operand(d[13], 0), operand(d[12], 1));
}

TEST_F(Lowering, LinearsShareQuantizedRows) {
  std::string text = vector("n", 64) + matrix("w", 32, 64, ", scheme = \"q8_g32\"") +
                     matrix("v", 32, 64, ", scheme = \"q8_g32\"") + matrix("u", 32, 64, ", scheme = \"q4_g32\"") +
                     matrix("e", 16, 64) +
                     "func.func @step(%b: !llm.batch) -> tensor<?x32xf32> {\n"
                     "%e = llm.embed %b, @e : tensor<?x64xf32>\n"
                     "%x = llm.select_rows %b, %e : tensor<?x64xf32>\n"
                     "%0 = llm.linear %x, @w norm rms @n eps 1.0e-05 activations \"int8\" : tensor<?x64xf32> -> tensor<?x32xf32>\n"
                     "%1 = llm.linear %x, @v norm rms @n eps 1.0e-05 activations \"int8\" : tensor<?x64xf32> -> tensor<?x32xf32>\n"
                     "%2 = llm.linear %x, @u norm rms @n eps 1.0e-05 activations \"int8\" : tensor<?x64xf32> -> tensor<?x32xf32>\n"
                     "%3 = llm.add %0, %1 : tensor<?x32xf32>\n"
                     "%4 = llm.add %3, %2 : tensor<?x32xf32>\n"
                     "return %4 : tensor<?x32xf32>\n}\n";
  ASSERT_TRUE(lower(text)) << errors;
  // One copy for the two of one scheme, another for the third.
  EXPECT_THAT(kinds(), ElementsAre("embed", "norm", "linear", "linear", "norm", "linear", "map", "map"));
}

// bf16 rows depend on how many columns they are padded to, not on the scheme.
TEST_F(Lowering, LinearsShareRowsRoundedToBf16) {
  std::string text = vector("n", 64) + matrix("w", 32, 64, ", scheme = \"q8_g32\"") +
                     matrix("u", 32, 64, ", scheme = \"q4_g32\"") + matrix("v", 32, 64, ", scheme = \"q4_g128\"") +
                     matrix("e", 16, 64) +
                     "func.func @step(%b: !llm.batch) -> tensor<?x32xf32> {\n"
                     "%e = llm.embed %b, @e : tensor<?x64xf32>\n"
                     "%x = llm.select_rows %b, %e : tensor<?x64xf32>\n"
                     "%0 = llm.linear %x, @w norm rms @n eps 1.0e-05 activations \"bf16\" : tensor<?x64xf32> -> tensor<?x32xf32>\n"
                     "%1 = llm.linear %x, @u norm rms @n eps 1.0e-05 activations \"bf16\" : tensor<?x64xf32> -> tensor<?x32xf32>\n"
                     "%2 = llm.linear %x, @v norm rms @n eps 1.0e-05 activations \"bf16\" : tensor<?x64xf32> -> tensor<?x32xf32>\n"
                     "%3 = llm.add %0, %1 : tensor<?x32xf32>\n"
                     "%4 = llm.add %3, %2 : tensor<?x32xf32>\n"
                     "return %4 : tensor<?x32xf32>\n}\n";
  ASSERT_TRUE(lower(text)) << errors;
  EXPECT_THAT(kinds(), ElementsAre("embed", "norm", "linear", "linear", "norm", "linear", "map", "map"));
  auto d = dispatches();
  EXPECT_EQ(scalar(d[1], 4), 2); // chunks of 32 columns
  EXPECT_EQ(scalar(d[2], 4), 1); // of 64
  EXPECT_EQ(scalar(d[4], 4), 8);
  EXPECT_EQ(scalar(d[5], 4), 1); // of 256
  EXPECT_EQ(scalar(d[5], 5), 0);
  EXPECT_EQ(operand(d[2], 0), operand(d[1], 3));
}

TEST_F(Lowering, SelectedRowsThatNoNormReadsAreGathered) {
  std::string text = matrix("e", 48, 64) + matrix("w", 48, 64) +
                     "func.func @step(%b: !llm.batch) -> tensor<?x48xf32> {\n"
                     "%e = llm.embed %b, @e : tensor<?x64xf32>\n"
                     "%x = llm.select_rows %b, %e : tensor<?x64xf32>\n"
                     "%y = llm.linear %x, @w : tensor<?x64xf32> -> tensor<?x48xf32>\n"
                     "return %y : tensor<?x48xf32>\n}\n";
  ASSERT_TRUE(lower(text)) << errors;
  EXPECT_THAT(kinds(), ElementsAre("embed", "norm", "linear"));
  EXPECT_EQ(kernelOf(dispatches()[1]).getString("kind"), "none");
  EXPECT_TRUE(kernelOf(dispatches()[1]).getFlag("gather"));
}

TEST_F(Lowering, AValueThatIsReadLaterIsNotOverwritten) {
  std::string text = matrix("e", 48, 64) + matrix("w", 64, 64) +
                     "func.func @step(%b: !llm.batch) -> tensor<?x64xf32> {\n"
                     "%e = llm.embed %b, @e : tensor<?x64xf32>\n"
                     "%1 = llm.activation silu %e : tensor<?x64xf32>\n"
                     "%2 = llm.add %1, %e : tensor<?x64xf32>\n"
                     "%3 = llm.scale %2 {factor = 0.5 : f64} : tensor<?x64xf32>\n"
                     "%4 = llm.select_rows %b, %3 : tensor<?x64xf32>\n"
                     "return %4 : tensor<?x64xf32>\n}\n";
  ASSERT_TRUE(lower(text)) << errors;
  auto d = dispatches();
  EXPECT_THAT(kinds(), ElementsAre("embed", "map", "map", "map", "norm"));
  EXPECT_NE(lastOperand(d[1]), operand(d[1], 0)); // %e is read by the sum
  EXPECT_EQ(lastOperand(d[2]), operand(d[2], 0)); // both are dead: over the first
  EXPECT_EQ(lastOperand(d[3]), operand(d[3], 0));
}

TEST_F(Lowering, ALinearDoesNotWriteOverItsInput) {
  std::string text = matrix("e", 48, 64) + matrix("w", 64, 64) +
                     "func.func @step(%b: !llm.batch) -> tensor<?x64xf32> {\n"
                     "%e = llm.embed %b, @e : tensor<?x64xf32>\n"
                     "%1 = llm.linear %e, @w rows(%e) epilogue (%a: f32, %r: f32) {\n"
                     "  %t = arith.addf %r, %a : f32\n  llm.yield %t\n} : tensor<?x64xf32> -> tensor<?x64xf32>\n"
                     "%4 = llm.select_rows %b, %1 : tensor<?x64xf32>\n"
                     "return %4 : tensor<?x64xf32>\n}\n";
  ASSERT_TRUE(lower(text)) << errors;
  auto d = dispatches();
  EXPECT_NE(lastOperand(d[1]), operand(d[1], 0));
}

TEST_F(Lowering, HeadNormsJoinTheRope) {
  std::string text = matrix("e", 48, 64) + vector("n", 8) +
                     "func.func @step(%b: !llm.batch) -> tensor<?x64xf32> {\n"
                     "%e = llm.embed %b, @e : tensor<?x64xf32>\n"
                     "%1 = llm.norm rms %e, @n {epsilon = 1.0e-06 : f64, group = 8 : i64} : tensor<?x64xf32>\n"
                     "%2 = llm.rope %b, %1 {heads = 8 : i64, rope = #llm.rope<dim = 8, base = 1.0e+04, kind = half, scaling = "
                     "\"dynamic\", factor = 2.0, original = 64>} : tensor<?x64xf32>\n"
                     "%4 = llm.select_rows %b, %2 : tensor<?x64xf32>\n"
                     "return %4 : tensor<?x64xf32>\n}\n";
  ASSERT_TRUE(lower(text)) << errors;
  EXPECT_THAT(kinds(), ElementsAre("rope_table", "embed", "rope", "norm"));
  auto d = dispatches();
  EXPECT_EQ(operand(d[0], 2), "input RopeLength");
  EXPECT_EQ(kernelOf(d[2]).getString("norm"), "rms");
  EXPECT_EQ(operand(d[2], 2), "weight n");
  EXPECT_EQ(lastOperand(d[2]), operand(d[2], 0));
}

// 105 rows are 7 blocks of 16 x 64 f32, 4 KiB each; the gated weight's 344 rows are 11 pairs of blocks.
TEST_F(Lowering, WeightsThatNoKernelCanReachAreTakenInRuns) {
  options.maxOperandBytes = 5 * 4096;
  ASSERT_TRUE(lower(llama(1))) << errors;
  EXPECT_THAT(kinds(), ElementsAre("rope_table", "embed", "embed", "norm", "linear", "linear", "rope", "rope",
                                   "cache_write", "attention", "linear", "norm", "linear", "linear", "linear", "linear",
                                   "linear", "linear", "linear", "linear", "linear", "linear", "norm", "linear",
                                   "linear"));
  auto d = dispatches();
  for (int part : {0, 1}) {
    EXPECT_EQ(kernelOf(d[1 + part]).getSymName(), "embed_f32_part");
    EXPECT_EQ(operand(d[1 + part], 1), part ? "weight embed + 16384" : "weight embed");
    EXPECT_EQ(lastOperand(d[1 + part]), lastOperand(d[1]));
    EXPECT_EQ(scalar(d[1 + part], 2), 105);             // ids are below it
    EXPECT_EQ(scalar(d[1 + part], 3), part ? 3 : 4);    // blocks
    EXPECT_EQ(scalar(d[1 + part], 6), part ? 64 : 0);   // first row
    EXPECT_EQ(scalar(d[1 + part], 7), part ? 41 : 64);  // rows
  }
  // Two pairs of blocks are 4 blocks: runs of 32 outputs, the last of 12.
  std::string out = lastOperand(d[12]);
  for (int run = 0; run < 6; ++run) {
    exec::DispatchOp dispatch = d[12 + run];
    EXPECT_EQ(kernelOf(dispatch), kernelOf(d[12]));
    EXPECT_EQ(operand(dispatch, 1), "weight l0.gu" + (run ? " + " + std::to_string(run * 16384) : ""));
    EXPECT_EQ(lastOperand(dispatch), run ? out + " + " + std::to_string(run * 128) : out);
    EXPECT_EQ(scalar(dispatch, 2), run < 5 ? 32 : 12);
    EXPECT_EQ(scalar(dispatch, 3), run < 5 ? 2 : 1);
    EXPECT_EQ(scalar(dispatch, 6), 176); // rows lie where they did
  }
  // A block of down, of 172 columns, fits once; rows that are added move too.
  EXPECT_EQ(operand(d[19], 1), "weight l0.down + 11008");
  EXPECT_EQ(operand(d[19], 2), operand(d[18], 2) + " + 64");
  EXPECT_EQ(operand(d[24], 1), "weight embed + 16384");
  EXPECT_EQ(scalar(d[24], 2), 41);
}

TEST_F(Lowering, EqualWeightsBecomeOne) {
  std::string same = "llm.weight @copy : tensor<48x64xf32> {sources = [#llm.source<tensor = \"e\", count = 48>]}\n";
  std::string text = matrix("e", 48, 64) + same + matrix("unused", 16, 16) + vector("n", 64) +
                     "func.func @step(%b: !llm.batch) -> tensor<?x48xf32> {\n"
                     "%e = llm.embed %b, @e : tensor<?x64xf32>\n"
                     "%x = llm.select_rows %b, %e : tensor<?x64xf32>\n"
                     "%y = llm.linear %x, @copy norm rms @n eps 1.0e-05 : tensor<?x64xf32> -> tensor<?x48xf32>\n"
                     "return %y : tensor<?x48xf32>\n}\n";
  ASSERT_TRUE(lower(text)) << errors;
  EXPECT_FALSE(module->lookupSymbol("copy"));
  EXPECT_FALSE(module->lookupSymbol("unused"));
  EXPECT_EQ(operand(dispatches()[2], 1), "weight e");
}

// ---- the programs of two targets ---------------------------------------------------------------------------------------

class MergedPrograms : public Lowering {
protected:
  // The CPU's program with int8 activations, the GPUs' from `gpuText`; `module` is both.
  bool merge(const std::string &gpuText) {
    options.headsInLinear = false;
    EXPECT_TRUE(lower(gpuText)) << errors;
    auto gpu = std::move(module);
    gpuCounts = {count<exec::BufferOp>(*gpu), count<llm::WeightOp>(*gpu)};
    options.headsInLinear = true;
    EXPECT_TRUE(lower(wideHeads(llama(1, "q8_g32", "int8")))) << errors;
    cpuCounts = {count<exec::BufferOp>(*module), count<llm::WeightOp>(*module)};
    mlir::Builder builder(&context);
    module->lookupSymbol<exec::ProgramOp>("step").setTargetsAttr(builder.getStrArrayAttr({"cpu"}));
    gpu->lookupSymbol<exec::ProgramOp>("step").setTargetsAttr(builder.getStrArrayAttr({"cuda", "vulkan"}));
    return mlir::succeeded(mergePrograms(*module, *gpu)) && mlir::succeeded(mlir::verify(*module));
  }
  template <typename Op> static size_t count(mlir::ModuleOp module) {
    auto ops = module.getOps<Op>();
    return size_t(std::distance(ops.begin(), ops.end()));
  }
  std::set<std::string> kernelsFor(llvm::StringRef target) {
    std::set<std::string> names;
    for (exec::KernelOp kernel : exec::getKernelsFor(*module, target)) names.insert(kernel.getSymName().str());
    return names;
  }

  struct Counts {
    size_t buffers = 0, weights = 0;
  };
  Counts cpuCounts, gpuCounts;
};

TEST_F(MergedPrograms, ShareWeightsAndEqualKernels) {
  ASSERT_TRUE(merge(wideHeads(llama(1, "q8_g32", "float")))) << errors;
  EXPECT_EQ(count<llm::WeightOp>(*module), cpuCounts.weights);
  EXPECT_EQ(count<exec::BufferOp>(*module), cpuCounts.buffers + gpuCounts.buffers);
  EXPECT_EQ(count<llm::CacheGroupOp>(*module), 1u);
  std::set<std::string> cpu = kernelsFor("cpu"), gpu = kernelsFor("vulkan");
  EXPECT_EQ(gpu, kernelsFor("cuda"));
  EXPECT_TRUE(cpu.count("linear_heads_q8_g32_int8_f32") && !gpu.count("linear_heads_q8_g32_int8_f32"));
  EXPECT_TRUE(gpu.count("linear_q8_g32_float") && !cpu.count("linear_q8_g32_float"));
  for (const char *both : {"embed_q8_g32", "attention_f32"}) EXPECT_TRUE(cpu.count(both) && gpu.count(both)) << both;
  cpu.merge(gpu);
  EXPECT_EQ(cpu.size(), kernelCount());
}

TEST_F(MergedPrograms, NameTheirOwnBuffers) {
  ASSERT_TRUE(merge(wideHeads(llama(1, "q8_g32", "float")))) << errors;
  auto gpu = module->lookupSymbol<exec::ProgramOp>("step.gpu");
  ASSERT_TRUE(gpu && module->lookupSymbol<exec::ProgramOp>("step"));
  EXPECT_TRUE(gpu->getAttr("arena"));
  EXPECT_TRUE(gpu.getLogits().ends_with(".gpu"));
  for (auto dispatch : gpu.getBody().getOps<exec::DispatchOp>())
    for (auto operand : dispatch.getOperands().getAsRange<exec::OperandAttr>())
      EXPECT_EQ(operand.getKind() == "buffer", operand.getName().ends_with(".gpu")) << operand.getName().str();
  for (auto dispatch : dispatches())
    for (auto operand : dispatch.getOperands().getAsRange<exec::OperandAttr>())
      EXPECT_FALSE(operand.getName().ends_with(".gpu")) << operand.getName().str();
}

TEST_F(MergedPrograms, KeepWeightsThatDiffer) {
  ASSERT_TRUE(merge(wideHeads(llama(1, "q4_g32", "float")))) << errors;
  EXPECT_EQ(count<llm::WeightOp>(*module), cpuCounts.weights + 5); // every matrix
  EXPECT_TRUE(module->lookupSymbol<llm::WeightOp>("l0.down.gpu"));
}

TEST_F(MergedPrograms, HaveTheSamePages) {
  EXPECT_FALSE(merge(replaced(wideHeads(llama(1, "q8_g32", "float")), "element = f32", "element = bf16")));
  EXPECT_THAT(errors, HasSubstr("is not the same for all targets"));
}

TEST_F(Lowering, WhatCannotBeLoweredIsSaid) {
  EXPECT_FALSE(lower("func.func @other() { return }\n"));
  EXPECT_THAT(errors, HasSubstr("has no func.func @step"));
}

} // namespace
