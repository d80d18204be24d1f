#include "runtime/engine/sizing.h"

#include "runtime/engine/fake_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace llmrt {
namespace {

using testing::HasSubstr;

constexpr int64_t kPlenty = int64_t(64) << 30;

Result<Sizing> size(const FakeModel &model, const EngineOptions &options, int64_t available = kPlenty) {
  return size_engine(make_fake_artifact(model)->meta(), "cpu", options, available);
}

std::string error_of(const FakeModel &model, const EngineOptions &options, int64_t available = kPlenty) {
  const Result<Sizing> sizing = size(model, options, available);
  return sizing.ok() ? "" : sizing.status().message();
}

TEST(Sizing, TakesTheArtifactsDefaultsAndTheOptionsOverThem) {
  FakeModel model; // 128 tokens, 64 a step, 8 sequences, pages of 4 tokens and 1024 bytes
  Result<Sizing> sizing = size(model, {});
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->max_model_len, 128);
  EXPECT_EQ(sizing->limits.max_blocks, 32);
  EXPECT_EQ(sizing->limits.tokens, 64);
  EXPECT_EQ(sizing->limits.sequences, 8);
  EXPECT_EQ(sizing->limits.rows, 8);
  EXPECT_EQ(sizing->limits.pages[0], 8 * 32) << "what all sequences can use, where memory is plenty";
  EXPECT_EQ(sizing->notice, "");
  EngineOptions options;
  options.max_model_len = 1000;
  options.max_num_batched_tokens = 20;
  options.max_num_seqs = 3;
  options.max_rows = 50;
  sizing = size(model, options);
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->limits.max_blocks, 250);
  EXPECT_EQ(sizing->limits.rows, 20) << "no step has more rows than tokens";
  EXPECT_EQ(sizing->limits.pages[0], 750);
}

TEST(Sizing, TakesAQuarterOfTheMemoryThereIs) {
  const Result<Sizing> sizing = size({}, {}, 4 * 100 * 1024);
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->limits.pages[0], 100);
}

TEST(Sizing, AnExplicitBudgetMayExceedWhatSequencesCanUse) {
  EngineOptions options;
  options.kv_cache_bytes = 1000 * 1024 + 1023;
  const Result<Sizing> sizing = size({}, options, 1);
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->limits.pages[0], 1000);
}

TEST(Sizing, LowersADefaultLengthAndSaysSo) {
  const Result<Sizing> sizing = size({}, {}, 4 * 10 * 1024);
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->max_model_len, 40);
  EXPECT_EQ(sizing->limits.max_blocks, 10);
  EXPECT_EQ(sizing->limits.pages[0], 10);
  EXPECT_THAT(sizing->notice, HasSubstr("lowered from 128 to 40"));
  EXPECT_THAT(error_of({}, {}, 4 * 1023), HasSubstr("too small for any request"));
}

TEST(Sizing, RefusesAnExplicitLengthWithTheFigureThatWouldDo) {
  EngineOptions options;
  options.max_model_len = 128;
  EXPECT_THAT(error_of({}, options, 4 * 10 * 1024), HasSubstr("--kv-cache-memory-bytes 32768"));
  EXPECT_THAT(error_of({}, options, 4 * 10 * 1024), HasSubstr("lower the length to 40"));
  options.kv_cache_bytes = 32767;
  EXPECT_NE(error_of({}, options), "");
  options.kv_cache_bytes = 32768;
  EXPECT_EQ(error_of({}, options), "");
  options.kv_pages = 31;
  EXPECT_THAT(error_of({}, options), HasSubstr("--kv-pages 32"));
  options.kv_pages = 32;
  EXPECT_EQ(error_of({}, options), "");
  options = {};
  options.kv_pages = 5;
  EXPECT_EQ(size({}, options)->max_model_len, 20);
}

TEST(Sizing, DividesBytesAsOneSequenceNeedsThem) {
  FakeModel model;
  model.groups = {{0, 1000}, {10, 3000}};
  model.max_model_len = 400;
  model.max_num_batched_tokens = 20;
  // A sequence needs 100 pages here and ceil((10 + 20) / 4) + 1 = 9 there: 100000 + 27000 bytes.
  EngineOptions options;
  options.kv_cache_bytes = 10 * 127000 + 5;
  Result<Sizing> sizing = size(model, options);
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->limits.pages[0], 1000);
  EXPECT_EQ(sizing->limits.pages[1], 90);
  options.kv_cache_bytes = 126999;
  sizing = size(model, options);
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->max_model_len, 396) << "the window's share stays, the rest is shorter";
  int64_t bytes = 0;
  for (const GroupSizing &group : sizing->groups) bytes += group.pages * group.bytes_per_page;
  EXPECT_LE(bytes, 126999);
}

TEST(Sizing, AWindowNeedsFewPagesHoweverLongTheSequence) {
  FakeModel model;
  model.groups = {{8, 1024}};
  model.max_model_len = 1 << 20;
  EngineOptions options;
  options.kv_pages = 4; // ceil((8 + 1) / 4) + 1
  const Result<Sizing> sizing = size(model, options);
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->max_model_len, 1 << 20);
}

TEST(Sizing, LearnedPositionsBoundTheLength) {
  FakeModel model;
  model.positions_are_bounded = true;
  model.max_positions = 100;
  EXPECT_EQ(size(model, {})->max_model_len, 100);
  EngineOptions options;
  options.max_model_len = 101;
  EXPECT_THAT(error_of(model, options), HasSubstr("100 learned positions"));
}

TEST(Sizing, RefusesWhatItDoesNotKnow) {
  FakeModel model;
  model.page_kind_override = 2; // fixed state
  EXPECT_EQ(size(model, {}).status().code(), StatusCode::kUnsupported);
  EngineOptions options;
  options.max_num_seqs = -1;
  EXPECT_THAT(error_of({}, options), HasSubstr("max-num-seqs"));
  options.max_num_seqs = int64_t(1) << 40;
  EXPECT_THAT(error_of({}, options), HasSubstr("max-num-seqs"));
  options = {};
  options.kv_pages = int64_t(1) << 40;
  EXPECT_THAT(error_of({}, options), HasSubstr("kv-pages"));
  options = {};
  options.max_model_len = int64_t(1) << 40;
  EXPECT_THAT(error_of({}, options), HasSubstr("max-model-len"));
}

TEST(Sizing, AModelWithoutACacheHasNoPools) {
  FakeModel model;
  model.groups = {};
  const Result<Sizing> sizing = size(model, {});
  ASSERT_TRUE(sizing.ok());
  EXPECT_EQ(sizing->limits.pages[0], 0);
  EXPECT_EQ(sizing->limits.max_blocks, 8) << "of 16 tokens";
}

// The value of a sum of products of integers and names.
int64_t evaluate(const std::string &formula, const MemoryReport &report) {
  int64_t sum = 0, product = 1;
  size_t at = 0;
  while (true) {
    const size_t end = std::min(formula.find(' ', at), formula.size());
    const std::string word = formula.substr(at, end - at);
    if (word == "+") {
      sum += product;
      product = 1;
    } else if (word != "*") {
      int64_t value = std::strtoll(word.c_str(), nullptr, 10);
      bool known = word[0] >= '0' && word[0] <= '9';
      for (const auto &[name, symbol] : report.symbols)
        if (name == word) value = symbol, known = true;
      EXPECT_TRUE(known) << word;
      product *= value;
    }
    if (end == formula.size()) return sum + product;
    at = end + 1;
  }
}

TEST(MemoryReport, TheFormulaGivesTheFigure) {
  FakeModel model;
  model.groups = {{0, 1000}, {10, 3000}};
  const auto artifact = make_fake_artifact(model);
  EngineOptions options;
  Result<Sizing> sizing = size_engine(artifact->meta(), "cpu", options, kPlenty);
  ASSERT_TRUE(sizing.ok());
  ProcessMemory process;
  process.threads = 3;
  process.scratch_per_thread = 12345;
  const MemoryReport report = report_memory(*artifact, *sizing, process);
  EXPECT_EQ(evaluate(report.formula, report), report.private_bytes);
  EXPECT_EQ(report.kv_bytes_per_page, 4000);
  EXPECT_EQ(report.mapped_bytes, int64_t(artifact->bytes().size()));
  const MemoryPlan plan = plan_memory(*artifact, "cpu", sizing->limits, 3, 12345);
  int64_t device = plan.arena_bytes + plan.step_block_bytes + plan.scratch_bytes;
  for (int64_t bytes : plan.pool_bytes) device += bytes;
  EXPECT_GT(report.private_bytes, device + process.other_bytes + 3 * process.stack_per_thread);

  options.max_num_batched_tokens = 128;
  sizing = size_engine(artifact->meta(), "cpu", options, kPlenty);
  EXPECT_GE(report_memory(*artifact, *sizing, process).private_bytes, report.private_bytes + 100 * 64)
      << "the arena grows with the tokens of a step";
}

} // namespace
} // namespace llmrt
