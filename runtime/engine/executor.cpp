#include "runtime/engine/executor.h"

#include <algorithm>

namespace llmrt {

Executor::Executor(Device &device, const KvCache &cache, const Limits &limits)
    : device_(device), cache_(cache), candidates_(device.candidate_count()) {
  for (int group = 0; group < cache.group_count(); ++group)
    filled_[size_t(group)].assign(size_t(limits.sequences), limits.max_blocks); // what lies there at first is unknown
}

Status Executor::run(const StepPlan &plan) {
  for (const PageCopy &copy : cache_.copies())
    if (Status status = device_.copy_page(copy.group, copy.from, copy.to); !status.ok()) return status;
  fill(plan, device_.step_block());
  return device_.run(plan.shape);
}

void Executor::fill(const StepPlan &plan, const StepBlock &block) {
  size_t token = 0, row = 0, hidden = 0, sequence = 0;
  for (const PlannedRequest &entry : plan.requests) {
    const RequestState &request = *entry.request;
    if (!block.whole_rows.empty())
      std::fill_n(block.whole_rows.begin() + entry.first_row, entry.rows, !request.takes_candidates(candidates_));
    for (int64_t position = entry.first; position < entry.first + entry.count; ++position, ++token) {
      block.token_ids[token] = request.tokens[position];
      block.positions[token] = int32_t(position);
      block.sequence_index[token] = int32_t(sequence);
      if (position >= entry.first_position) block.output_rows[row++] = int32_t(token);
      const int64_t place = position - entry.first_hidden;
      if (place >= 0 && place < entry.hidden_rows) block.hidden_rows[hidden++] = int32_t(token);
    }
    block.rope_length[sequence] = int32_t(request.prompt_length);
    for (int group = 0; group < cache_.group_count(); ++group)
      fill_page_table(group, int64_t(sequence), request.slot, block);
    ++sequence;
  }
}

void Executor::fill_page_table(int group, int64_t sequence, int slot, const StepBlock &block) {
  const std::span<const int32_t> table = cache_.table(group, slot);
  const auto row =
      block.page_tables[size_t(group)].subspan(size_t(sequence * block.max_blocks), size_t(block.max_blocks));
  int64_t &filled = filled_[size_t(group)][size_t(sequence)];
  const int64_t blocks = cache_.blocks(slot);
  std::copy_n(table.begin(), blocks, row.begin());
  if (filled > blocks) std::fill(row.begin() + blocks, row.begin() + filled, 0);
  filled = blocks;
}

} // namespace llmrt
