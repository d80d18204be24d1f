#include "runtime/device/step_check.h"

#include "runtime/artifact/verify.h"
#include "runtime/device/memory_plan.h"

#include <algorithm>

namespace llmrt {

namespace {

constexpr int64_t kMaxLimit = INT32_MAX;

bool all_below(std::span<const int32_t> values, int64_t count, int64_t bound) {
  // Negative values are large as unsigned ones; a maximum without branches.
  uint32_t largest = 0;
  for (int32_t value : values.first(size_t(count)))
    largest = std::max(largest, uint32_t(value));
  return count == 0 || int64_t(largest) < bound;
}

} // namespace

Status check_limits(const schema::Artifact &meta, const Limits &limits) {
  auto in_range = [](int64_t value) { return value >= 1 && value <= kMaxLimit; };
  if (!in_range(limits.tokens) || !in_range(limits.sequences) || !in_range(limits.rows) ||
      !in_range(limits.max_blocks) || limits.hidden_rows < 0 || limits.hidden_rows > kMaxLimit)
    return Status(StatusCode::kInvalidArgument, "the step's limits are out of range");
  for (uint32_t group = 0; group < count_of(meta.cache_groups()); ++group)
    if (!in_range(limits.pages[group]))
      return Status(StatusCode::kInvalidArgument, "the number of pages of cache group " + std::to_string(group) +
                                                      " is out of range");
  return ok_status();
}

Status check_step(const schema::Artifact &meta, const Limits &limits, const StepShape &shape, const StepBlock &block) {
  auto in = [](int64_t value, int64_t limit) { return value >= 0 && value <= limit; };
  if (!in(shape.tokens, limits.tokens) || !in(shape.sequences, limits.sequences) || !in(shape.rows, limits.rows) ||
      !in(shape.hidden_rows, limits.hidden_rows))
    return Status(StatusCode::kInvalidArgument, "the step is larger than what the device was prepared for");
  int64_t positions = meta.model()->positions_are_bounded() ? int64_t(meta.model()->max_positions()) : INT32_MAX;
  uint32_t groups = count_of(meta.cache_groups());
  for (uint32_t group = 0; group < groups; ++group)
    positions = std::min(positions, limits.max_blocks * int64_t(meta.cache_groups()->Get(group)->page_tokens()));
  bool ok = all_below(block.token_ids, shape.tokens, meta.model()->vocabulary()) &&
            all_below(block.positions, shape.tokens, positions) &&
            all_below(block.sequence_index, shape.tokens, shape.sequences) &&
            all_below(block.output_rows, shape.rows, shape.tokens) &&
            all_below(block.hidden_rows, shape.hidden_rows, shape.tokens);
  for (uint32_t group = 0; group < groups; ++group)
    ok = ok && all_below(block.page_tables[group], shape.sequences * limits.max_blocks, limits.pages[group]);
  return ok ? ok_status()
            : Status(StatusCode::kInvalidArgument, "a token id, position, sequence, row or page of the step is out of "
                                                   "range");
}

StepBlock step_block_at(std::byte *base, const Limits &limits, int groups) {
  StepBlockLayout layout = step_block_layout(limits, groups);
  auto array = [base](int64_t offset, int64_t count) {
    return std::span(reinterpret_cast<int32_t *>(base + offset), size_t(count));
  };
  StepBlock block;
  block.token_ids = array(layout.token_ids, limits.tokens);
  block.positions = array(layout.positions, limits.tokens);
  block.sequence_index = array(layout.sequence_index, limits.tokens);
  block.output_rows = array(layout.output_rows, limits.rows);
  block.hidden_rows = array(layout.hidden_rows, limits.hidden_rows);
  block.rope_length = array(layout.rope_length, limits.sequences);
  block.max_blocks = limits.max_blocks;
  for (int group = 0; group < groups; ++group)
    block.page_tables[size_t(group)] = array(layout.page_tables[size_t(group)], limits.sequences * limits.max_blocks);
  return block;
}

} // namespace llmrt
