// The interpreter against Hugging Face: every folder of test/golden/models (see make_models.py), and nano-gpt-sort,
// whose reference logits come with it.
#include "test/golden/GoldenModel.h"

#include <gtest/gtest.h>

namespace {

using namespace llmc;

// What is left is Hugging Face's own rounding: it computes in f32.
constexpr double kTolerance = 1e-5;

class Reference : public testing::TestWithParam<std::string> {};

TEST_P(Reference, LogitsEqualTransformers) {
  golden::Model model(golden::folderOf(GetParam()));
  ASSERT_TRUE(bool(model));
  std::vector<float> expected = golden::readLogits(GetParam());
  double error = golden::relativeError(model.evaluate(golden::readIds(GetParam())),
                                       reference::Values(expected.begin(), expected.end()));
  EXPECT_LT(error, kTolerance);
}

INSTANTIATE_TEST_SUITE_P(All, Reference, testing::ValuesIn(golden::names()),
                         [](const auto &info) { return golden::testName(info.param); });

class ReferenceHidden : public Reference {};

TEST_P(ReferenceHidden, StatesEqualTransformers) {
  golden::Model model(golden::folderOf(GetParam()));
  ASSERT_TRUE(bool(model));
  std::vector<float> expected = golden::readHidden(GetParam());
  double error = golden::relativeError(model.evaluate(golden::readIds(GetParam()), {.result = 1}),
                                       reference::Values(expected.begin(), expected.end()));
  EXPECT_LT(error, kTolerance);
}

INSTANTIATE_TEST_SUITE_P(All, ReferenceHidden, testing::ValuesIn(golden::namesWithHidden()),
                         [](const auto &info) { return golden::testName(info.param); });

TEST(Reference, NanoGptSortEqualsItsLogits) {
  std::filesystem::path folder = LLMC_SOURCE_DIR "/test/models/nano-gpt-sort";
  nlohmann::json file = nlohmann::json::parse(golden::readFile(folder / "reference_logits.json"));
  reference::Values expected;
  for (const auto &sequence : file["logits"])
    for (const auto &row : sequence)
      for (double value : row)
        expected.push_back(value);
  auto sequences = file["input_ids"].get<std::vector<std::vector<int32_t>>>();
  ASSERT_EQ(expected.size(), sequences.size() * 11 * 3);
  golden::Model model(folder);
  ASSERT_TRUE(bool(model));
  EXPECT_LT(golden::relativeError(model.evaluate(sequences), expected), kTolerance);
}

TEST(Reference, LastRowsAreRowsOfTheWhole) {
  golden::Model model(golden::folderOf("llama-base"));
  ASSERT_TRUE(bool(model));
  auto sequences = golden::readIds("llama-base");
  reference::Values all = model.evaluate(sequences), last = model.evaluate(sequences, {.lastRowsOnly = true});
  size_t columns = last.size() / sequences.size(), row = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    row += sequences[i].size();
    reference::Values expected(all.begin() + (row - 1) * columns, all.begin() + row * columns);
    EXPECT_EQ(reference::Values(last.begin() + i * columns, last.begin() + (i + 1) * columns), expected);
  }
}

// A request keeps the rope length of its prompt while it grows.
TEST(Reference, RopeLengthOfTheRequestDecides) {
  golden::Model model(golden::folderOf("llama-dynamic"));
  ASSERT_TRUE(bool(model));
  std::vector<std::vector<int32_t>> sequence = {golden::readIds("llama-dynamic")[0]};
  int64_t length = int64_t(sequence[0].size());
  reference::Values own = model.evaluate(sequence);
  EXPECT_EQ(own, model.evaluate(sequence, {.ropeLengths = {length}}));
  EXPECT_GT(golden::relativeError(model.evaluate(sequence, {.ropeLengths = {32}}), own), 1e-3);
}

} // namespace
