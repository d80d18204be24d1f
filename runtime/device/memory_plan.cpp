#include "runtime/artifact/polynomial.h"
#include "runtime/artifact/verify.h"
#include "runtime/device/device.h"
#include "runtime/device/memory_plan.h"

#include <algorithm>

namespace llmrt {

static_assert(kMaxCacheGroups == kMaxArtifactCacheGroups);

SymbolValues symbol_values(const Limits &limits) {
  SymbolValues values{};
  values[size_t(schema::Symbol::One)] = 1;
  values[size_t(schema::Symbol::Tokens)] = limits.tokens;
  values[size_t(schema::Symbol::Sequences)] = limits.sequences;
  values[size_t(schema::Symbol::Rows)] = limits.rows;
  values[size_t(schema::Symbol::MaxBlocks)] = limits.max_blocks;
  values[size_t(schema::Symbol::HiddenRows)] = limits.hidden_rows;
  for (size_t group = 0; group < limits.pages.size(); ++group)
    values[size_t(schema::Symbol::Pages0) + group] = limits.pages[group];
  return values;
}

StepBlockLayout step_block_layout(const Limits &limits, int groups) {
  StepBlockLayout layout;
  int64_t at = 0;
  auto take = [&at](std::optional<int64_t> count) {
    int64_t offset = at;
    std::optional<int64_t> bytes = count ? checked_multiply(*count, 4) : std::nullopt;
    std::optional<int64_t> end = bytes && at >= 0 ? checked_add(at, *bytes) : std::nullopt;
    end = end ? checked_add(*end, kStepArrayAlignment - 1) : std::nullopt;
    at = end ? *end / kStepArrayAlignment * kStepArrayAlignment : -1;
    return offset;
  };
  layout.token_ids = take(limits.tokens);
  layout.positions = take(limits.tokens);
  layout.sequence_index = take(limits.tokens);
  layout.output_rows = take(limits.rows);
  layout.hidden_rows = take(limits.hidden_rows);
  layout.rope_length = take(limits.sequences);
  for (int group = 0; group < groups; ++group)
    layout.page_tables[size_t(group)] = take(checked_multiply(limits.sequences, limits.max_blocks));
  layout.bytes = at;
  return layout;
}

MemoryPlan plan_memory(const Artifact &artifact, std::string_view target, const Limits &limits, int threads,
                       int64_t scratch_per_thread) {
  const schema::Artifact &meta = artifact.meta();
  // What does not fit into 63 bits is more than any machine has.
  auto or_huge = [](std::optional<int64_t> bytes) { return bytes && *bytes >= 0 ? *bytes : INT64_MAX; };
  MemoryPlan plan;
  int groups = int(count_of(meta.cache_groups()));
  plan.arena_bytes = or_huge(evaluate(arena_of(meta, target), symbol_values(limits)));
  plan.step_block_bytes = or_huge(step_block_layout(limits, groups).bytes);
  plan.scratch_bytes = or_huge(checked_multiply(scratch_per_thread, threads));
  for (int group = 0; group < groups; ++group) {
    const schema::CacheGroup &cache = *meta.cache_groups()->Get(uint32_t(group));
    int64_t page = int64_t(cache.layers()) * int64_t(cache.bytes_per_page_layer());
    plan.bytes_per_page[size_t(group)] = page;
    plan.pool_bytes[size_t(group)] = or_huge(checked_multiply(page, limits.pages[size_t(group)]));
  }
  return plan;
}

} // namespace llmrt
