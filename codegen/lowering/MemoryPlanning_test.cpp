#include "codegen/lowering/Lowering.h"

#include "dialects/exec/Exec.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>
#include <random>

using namespace llmc;

namespace {

struct Placed {
  int64_t begin, end;
  unsigned first, last;
};

class MemoryPlanning : public testing::Test {
protected:
  MemoryPlanning() {
    mlir::DialectRegistry registry;
    exec::registerDialects(registry);
    context.appendDialectRegistry(registry);
  }

  void plan(const std::string &text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    ASSERT_TRUE(module);
    ASSERT_TRUE(mlir::succeeded(planMemory(*module)));
    ASSERT_TRUE(mlir::succeeded(mlir::verify(*module)));
  }

  static int64_t evaluate(exec::SizeAttr size, int64_t tokens, int64_t rows) {
    std::vector<int64_t> values(exec::symbolCount, 0);
    values[size_t(exec::Symbol::Tokens)] = tokens;
    values[size_t(exec::Symbol::Rows)] = rows;
    return *exec::Size::fromAttr(size).evaluate(values);
  }

  int64_t arena(int64_t tokens, int64_t rows) {
    auto program = module->lookupSymbol<exec::ProgramOp>("step");
    return evaluate(program->getAttrOfType<exec::SizeAttr>("arena"), tokens, rows);
  }

  // Buffers in the arena with the dispatches that name them, from the IR alone.
  std::vector<Placed> placed(int64_t tokens, int64_t rows) {
    auto program = module->lookupSymbol<exec::ProgramOp>("step");
    std::vector<Placed> result;
    for (auto buffer : module->getOps<exec::BufferOp>()) {
      int64_t begin = evaluate(*buffer.getOffset(), tokens, rows);
      Placed place{begin, begin + evaluate(buffer.getBytes(), tokens, rows), ~0u, 0};
      unsigned index = 0;
      for (auto dispatch : program.getBody().getOps<exec::DispatchOp>()) {
        for (auto operand : dispatch.getOperands().getAsRange<exec::OperandAttr>())
          if (operand.getKind() == "buffer" && operand.getName() == buffer.getSymName()) {
            place.first = std::min(place.first, index);
            place.last = index;
          }
        ++index;
      }
      if (buffer.getSymName() == program.getLogits()) place.last = ~0u;
      result.push_back(place);
    }
    return result;
  }

  void expectNoOverlap(int64_t tokens, int64_t rows) {
    auto all = placed(tokens, rows);
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].begin % 64, 0);
      EXPECT_LE(all[i].end, arena(tokens, rows));
      for (size_t j = 0; j < i; ++j) {
        bool together = all[i].first <= all[j].last && all[j].first <= all[i].last;
        EXPECT_FALSE(together && all[i].begin < all[j].end && all[j].begin < all[i].end)
            << "buffers " << i << " and " << j << " with " << tokens << " tokens, " << rows << " rows";
      }
    }
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

constexpr const char *kKernel =
    "exec.kernel @k \"map\" {rows = 1 : i64, vectors = 0 : i64} epilogue (%a: f32) {\n  llm.yield %a\n}\n";

std::string copy(const std::string &from, const std::string &to) {
  return "exec.dispatch @k (buffer @" + from + ", buffer @" + to + ") scalars (1 T, 16, 1, 16, 16)\n";
}

// A random program: each dispatch reads a buffer written before and writes one.
std::string randomProgram(uint32_t seed, int buffers, int dispatches) {
  std::mt19937 random(seed);
  std::string text = kKernel;
  for (int i = 0; i < buffers; ++i)
    text += "exec.buffer @b" + std::to_string(i) + " \"f32\" <" + std::to_string(64 * (1 + random() % 40)) +
            (random() % 4 ? " T>\n" : " R>\n");
  text += "exec.program @step logits @b0 {\n";
  int window = 0;
  for (int i = 0; i < dispatches; ++i) {
    window = std::min(buffers - 1, int(i * (buffers - 1) / dispatches) + 1);
    int from = std::max(0, window - int(random() % 6)), to = window;
    text += copy("b" + std::to_string(from), "b" + std::to_string(to));
  }
  return text + copy("b" + std::to_string(window), "b0") + "}\n";
}

TEST_F(MemoryPlanning, LiveBuffersNeverOverlap) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    plan(randomProgram(seed, 30, 80));
    expectNoOverlap(1, 1);
    expectNoOverlap(7, 3);
    expectNoOverlap(512, 64);
    expectNoOverlap(5, 0);
  }
}

TEST_F(MemoryPlanning, AChainNeedsTwoBuffers) {
  std::string text = kKernel, program = "exec.program @step logits @b9 {\n";
  for (int i = 0; i < 10; ++i) text += "exec.buffer @b" + std::to_string(i) + " \"f32\" <128 T>\n";
  for (int i = 0; i < 9; ++i) program += copy("b" + std::to_string(i), "b" + std::to_string(i + 1));
  plan(text + program + "}\n");
  EXPECT_EQ(arena(10, 1), 2 * 128 * 10);
}

TEST_F(MemoryPlanning, ClassesLieOneBehindTheOther) {
  plan(std::string(kKernel) + "exec.buffer @a \"f32\" <128 T>\nexec.buffer @b \"f32\" <64 R>\n"
       "exec.program @step logits @b {\n" + copy("a", "b") + "}\n");
  auto all = placed(3, 2);
  EXPECT_EQ(all[0].begin, 0);
  EXPECT_EQ(all[1].begin, 3 * 128);
  EXPECT_EQ(arena(3, 2), 3 * 128 + 2 * 64);
}

TEST_F(MemoryPlanning, ABufferTakesTheSmallestGapItFitsIn) {
  // While wide and narrow are alive all lie one behind the other; then they leave gaps of 512 and 384.
  plan(std::string(kKernel) +
       "exec.buffer @wide \"f32\" <512 T>\nexec.buffer @wall \"f32\" <448 T>\nexec.buffer @narrow \"f32\" <384 T>\n"
       "exec.buffer @end \"f32\" <320 T>\nexec.buffer @late \"f32\" <128 T>\n"
       "exec.program @step logits @end {\n" + copy("wide", "wall") + copy("narrow", "end") + copy("wide", "narrow") +
       copy("wall", "late") + copy("late", "end") + copy("wall", "end") + "}\n");
  expectNoOverlap(1, 1);
  EXPECT_EQ(arena(1, 0), 512 + 448 + 384 + 320);
  EXPECT_EQ(placed(1, 0)[4].begin, 512 + 448);
}

TEST_F(MemoryPlanning, SizesMustBePlannable) {
  module = mlir::parseSourceString<mlir::ModuleOp>(
      std::string(kKernel) + "exec.buffer @a \"f32\" <100 T>\nexec.program @step logits @a {\n" + copy("a", "a") + "}\n",
      &context);
  ASSERT_TRUE(module);
  EXPECT_TRUE(mlir::failed(planMemory(*module)));
}

} // namespace
