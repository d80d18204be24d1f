// Each phase means what the one before meant: the interpreter on every golden model after import, fusion,
// quantization to "none" and paging; and quantized weights disturb it by no more than their rounding may.
#include "passes/Passes.h"
#include "test/golden/GoldenModel.h"

#include "mlir/Pass/PassManager.h"

#include <cmath>
#include <gtest/gtest.h>

namespace {

using namespace llmc;

testing::AssertionResult run(golden::Model &model, llvm::function_ref<void(mlir::OpPassManager &)> build) {
  mlir::PassManager manager(model.context.get());
  build(manager);
  if (mlir::succeeded(manager.run(*model.imported.module)))
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "the passes failed";
}

// Root mean square, relative to that of the expected values.
double meanError(const reference::Values &values, const reference::Values &expected) {
  double errors = 0, squares = 0;
  EXPECT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < std::min(values.size(), expected.size()); ++i) {
    errors += (values[i] - expected[i]) * (values[i] - expected[i]);
    squares += expected[i] * expected[i];
  }
  return std::sqrt(errors / squares);
}

class Phases : public testing::TestWithParam<std::string> {};

TEST_P(Phases, KeepTheMeaning) {
  golden::Model model(golden::folderOf(GetParam()));
  ASSERT_TRUE(bool(model));
  auto ids = golden::readIds(GetParam());
  reference::Values imported = model.evaluate(ids);
  ASSERT_TRUE(run(model, buildFusionPipeline));
  EXPECT_LT(golden::relativeError(model.evaluate(ids), imported), 1e-12);
  ASSERT_TRUE(run(model, [](auto &manager) { buildQuantizationPipeline(manager, {.element = "f32"}); }));
  EXPECT_LT(golden::relativeError(model.evaluate(ids), imported), 1e-12);
  ASSERT_TRUE(run(model, [](auto &manager) { buildPagingPipeline(manager, "f32"); }));
  EXPECT_LT(golden::relativeError(model.evaluate(ids), imported), 1e-6); // keys and values are f32 now
}

TEST_P(Phases, QuantizedWeightsAreNear) {
  auto ids = golden::readIds(GetParam());
  auto error = [&](const char *scheme, const char *activations) {
    golden::Model model(golden::folderOf(GetParam()));
    EXPECT_TRUE(bool(model));
    reference::Values imported = model.evaluate(ids);
    EXPECT_TRUE(run(model, buildFusionPipeline));
    EXPECT_TRUE(run(model, [&](auto &manager) {
      buildQuantizationPipeline(manager, {.scheme = scheme, .activations = activations, .element = ""});
    }));
    double result = meanError(model.evaluate(ids), imported);
    RecordProperty(std::string(scheme) + "_" + activations, std::to_string(result));
    return result;
  };
  double q8 = error("q8_g32", "float"), q4 = error("q4_g32", "float");
  EXPECT_GT(q8, 0);
  EXPECT_LT(q8, 0.05);
  EXPECT_GT(q4, q8);
  EXPECT_LT(error("q8_g32", "int8"), 0.1);
  EXPECT_LT(error("q8_g32", "bf16"), 0.06);
}

INSTANTIATE_TEST_SUITE_P(All, Phases, testing::ValuesIn(golden::names()),
                         [](const auto &info) { return golden::testName(info.param); });

} // namespace
