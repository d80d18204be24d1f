#include "runtime/engine/sizing.h"

#include "runtime/artifact/verify.h"
#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <limits>

namespace llmrt {

namespace {

constexpr int64_t kMostTokens = int64_t(1) << 30; // positions are int32 and tables are indexed by them
constexpr int64_t kMostSequences = 1 << 16;
constexpr int64_t kMostBytes = int64_t(1) << 60;
constexpr int64_t kUnknownMemory = int64_t(4) << 30; // where the system does not say
constexpr int64_t kQueueTokens = 1 << 20;

Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// a * b / c without overflow on the way, at most 2^62.
int64_t scale(int64_t a, int64_t b, int64_t c) {
  const unsigned __int128 value = (unsigned __int128)(a) * (unsigned __int128)(b) / (unsigned __int128)(c);
  return int64_t(std::min<unsigned __int128>(value, (unsigned __int128)(1) << 62));
}

int64_t pages_of_one(const GroupSizing &group, const Sizing &sizing, int64_t length) {
  return pages_needed(group.window, sizing.page_tokens, length, sizing.chunk_tokens);
}

// KV bytes that one sequence of `length` tokens needs.
int64_t bytes_of_one(const Sizing &sizing, int64_t length) {
  int64_t bytes = 0;
  for (const GroupSizing &group : sizing.groups)
    bytes = std::min(kMostBytes, bytes + scale(pages_of_one(group, sizing, length), group.bytes_per_page, 1));
  return bytes;
}

// The largest length up to `most` for which `holds` is true; it is true up to some length and false from there on.
template <typename Holds> int64_t longest(int64_t most, Holds holds) {
  int64_t low = 0;
  while (low < most) {
    const int64_t middle = low + (most - low + 1) / 2;
    if (holds(middle))
      low = middle;
    else
      most = middle - 1;
  }
  return low;
}

Status read_groups(const schema::Artifact &meta, Sizing *sizing) {
  const auto *groups = meta.cache_groups();
  if (!groups) return ok_status();
  if (groups->size() > flatbuffers::uoffset_t(kMaxCacheGroups))
    return Status(StatusCode::kUnsupported, "the artifact has " + std::to_string(groups->size()) +
                                                " cache groups, this runtime takes " + std::to_string(kMaxCacheGroups));
  for (const schema::CacheGroup *group : *groups) {
    GroupSizing size;
    size.name = group->name() ? group->name()->str() : std::to_string(sizing->groups.size());
    const std::string where = "cache group '" + size.name + "' ";
    if (group->kind() != schema::CacheKind::AllTokens && group->kind() != schema::CacheKind::Window)
      return Status(StatusCode::kUnsupported,
                    where + "is of a kind that this runtime does not know: a newer llmrt may");
    if (group->kind() == schema::CacheKind::Window) {
      size.window = group->window();
      if (size.window <= 0 || size.window > kMostTokens)
        return Status(StatusCode::kCorrupt, where + "has a window of " + std::to_string(size.window) + " tokens");
    }
    if (group->page_tokens() == 0 || group->page_tokens() > 65536)
      return Status(StatusCode::kCorrupt, where + "has pages of " + std::to_string(group->page_tokens()) + " tokens");
    if (!sizing->groups.empty() && sizing->page_tokens != int64_t(group->page_tokens()))
      return Status(StatusCode::kUnsupported, where + "has another page size than the group before it");
    sizing->page_tokens = group->page_tokens();
    if (group->layers() == 0 || group->bytes_per_page_layer() == 0 ||
        group->bytes_per_page_layer() > uint64_t(kMostBytes) / group->layers())
      return Status(StatusCode::kCorrupt, where + "has no layers, or pages of no or an impossible size");
    size.bytes_per_page = int64_t(group->layers()) * int64_t(group->bytes_per_page_layer());
    sizing->groups.push_back(std::move(size));
  }
  return ok_status();
}

// `value` if given, else the artifact's, else `last`; bounded.
Status choose(const char *flag, int64_t value, uint64_t from_artifact, int64_t last, int64_t most, int64_t *result) {
  if (value < 0 || value > most)
    return invalid(std::string("--") + flag + " must be between 1 and " + std::to_string(most) + ", not " +
                   std::to_string(value));
  if (value == 0) value = from_artifact == 0 ? last : int64_t(std::min<uint64_t>(from_artifact, uint64_t(most)));
  *result = value;
  return ok_status();
}

Status read_limits(const schema::Model &model, const EngineOptions &options, Sizing *sizing) {
  Limits &limits = sizing->limits;
  if (Status s = choose("max-num-batched-tokens", options.max_num_batched_tokens,
                        model.default_max_num_batched_tokens(), 512, 1 << 24, &limits.tokens);
      !s.ok())
    return s;
  if (Status s = choose("max-num-seqs", options.max_num_seqs, model.default_max_num_seqs(), 64, kMostSequences,
                        &limits.sequences);
      !s.ok())
    return s;
  const int64_t positions = int64_t(std::min<uint64_t>(model.max_positions(), uint64_t(kMostTokens)));
  if (Status s = choose("max-model-len", options.max_model_len, model.default_max_model_len(),
                        positions > 0 ? positions : 2048, kMostTokens, &sizing->max_model_len);
      !s.ok())
    return s;
  if (model.positions_are_bounded() && sizing->max_model_len > positions) {
    if (options.max_model_len > 0)
      return invalid("--max-model-len " + std::to_string(options.max_model_len) + " is more than the model's " +
                     std::to_string(positions) + " learned positions");
    sizing->max_model_len = positions;
  }
  if (Status s = choose("max-rows", options.max_rows, 0, limits.sequences, 1 << 24, &limits.rows); !s.ok()) return s;
  limits.rows = std::min(limits.rows, limits.tokens);
  if (sizing->hidden_width > 0) limits.hidden_rows = limits.tokens;
  int64_t chunk = 0;
  if (Status s = choose("chunk", options.chunk_tokens, 0, limits.tokens, kMostTokens, &chunk); !s.ok()) return s;
  sizing->chunk_tokens = std::min(chunk, limits.tokens);
  if (Status s = choose("max-queue", options.max_queue, 0, 4096, 1 << 24, &sizing->max_queue); !s.ok()) return s;
  return choose("max-queue-tokens", options.max_queue_tokens, 0, std::max(kQueueTokens, sizing->max_model_len),
                int64_t(1) << 40, &sizing->max_queue_tokens);
}

// max_model_len is more than the pools hold: `most` tokens; `needed` says what would do.
Status lower_length(const EngineOptions &options, int64_t most, const std::string &needed, Sizing *sizing) {
  const std::string length = std::to_string(sizing->max_model_len);
  if (most < 2)
    return invalid("the KV cache is too small for any request: one of " + length + " tokens needs " + needed);
  if (options.max_model_len > 0)
    return invalid("--max-model-len " + length + " needs " + needed + ": give that much or lower the length to " +
                   std::to_string(most));
  sizing->notice = "max_model_len is lowered from " + length + " to " + std::to_string(most) +
                   ", which the KV cache holds; " + length + " tokens need " + needed;
  sizing->max_model_len = most;
  return ok_status();
}

Status size_by_pages(const EngineOptions &options, Sizing *sizing) {
  const int64_t pages = options.kv_pages;
  int64_t needed = 0;
  // A window group can run prompts in small chunks, so that the least is what counts.
  auto least = [&](int64_t length) {
    int64_t most = 0;
    for (const GroupSizing &g : sizing->groups)
      most = std::max(most, pages_needed(g.window, sizing->page_tokens, length, 1));
    return most;
  };
  needed = least(sizing->max_model_len);
  for (GroupSizing &group : sizing->groups) group.pages = pages;
  if (needed <= pages) return ok_status();
  const int64_t most = longest(sizing->max_model_len, [&](int64_t length) { return least(length) <= pages; });
  return lower_length(options, most, "--kv-pages " + std::to_string(needed), sizing);
}

Status size_by_bytes(const EngineOptions &options, int64_t available_bytes, Sizing *sizing) {
  int64_t budget = options.kv_cache_bytes;
  if (budget <= 0) budget = (available_bytes > 0 ? available_bytes : kUnknownMemory) / 4;
  const int64_t needed = bytes_of_one(*sizing, sizing->max_model_len);
  if (needed > budget) {
    const int64_t most =
        longest(sizing->max_model_len, [&](int64_t length) { return bytes_of_one(*sizing, length) <= budget; });
    if (Status s = lower_length(options, most, "--kv-cache-memory-bytes " + std::to_string(needed), sizing); !s.ok())
      return s;
  }
  const int64_t one = bytes_of_one(*sizing, sizing->max_model_len);
  for (GroupSizing &group : sizing->groups) {
    const int64_t pages = pages_of_one(group, *sizing, sizing->max_model_len);
    group.pages = std::max(pages, scale(pages, budget, one)); // in proportion to what one sequence takes
    // More than all sequences can use at once is only worth having if it was asked for: it caches prefixes.
    if (options.kv_cache_bytes <= 0) group.pages = std::min(group.pages, pages * sizing->limits.sequences);
  }
  return ok_status();
}

} // namespace

Result<Sizing> size_engine(const schema::Artifact &meta, std::string_view target, const EngineOptions &options,
                           int64_t available_bytes) {
  Sizing sizing;
  if (Status s = read_groups(meta, &sizing); !s.ok()) return s;
  if (const schema::Program *step = find_step(meta, target); options.hidden_states && step && step->hidden() >= 0)
    sizing.hidden_width = int64_t(step->hidden_width());
  if (Status s = read_limits(*meta.model(), options, &sizing); !s.ok()) return s;
  if (options.kv_pages < 0 || options.kv_pages > std::numeric_limits<int32_t>::max())
    return invalid("--kv-pages must be between 1 and 2147483647, not " + std::to_string(options.kv_pages));
  if (options.kv_cache_bytes < 0 || options.kv_cache_bytes > kMostBytes)
    return invalid("--kv-cache-memory-bytes must not be " + std::to_string(options.kv_cache_bytes));
  if (!sizing.groups.empty()) {
    Status s =
        options.kv_pages > 0 ? size_by_pages(options, &sizing) : size_by_bytes(options, available_bytes, &sizing);
    if (!s.ok()) return s;
  }
  for (size_t group = 0; group < sizing.groups.size(); ++group) {
    if (sizing.groups[group].pages > std::numeric_limits<int32_t>::max())
      return invalid("the KV cache would have more than 2147483647 pages: lower --kv-cache-memory-bytes");
    sizing.limits.pages[group] = sizing.groups[group].pages;
  }
  sizing.limits.max_blocks = ceil_divide(sizing.max_model_len, sizing.page_tokens);
  return sizing;
}

KvOptions kv_options(const Sizing &sizing, bool prefix_caching) {
  KvOptions options;
  for (const GroupSizing &group : sizing.groups) options.groups.push_back({group.name, group.window, group.pages});
  options.page_tokens = sizing.page_tokens;
  options.sequences = sizing.limits.sequences;
  options.max_blocks = sizing.limits.max_blocks;
  options.prefix_caching = prefix_caching;
  return options;
}

} // namespace llmrt
