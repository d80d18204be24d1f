#include "runtime/kv/kv_cache.h"

#include <algorithm>
#include <cassert>

namespace llmrt {

namespace {
int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }
} // namespace

int64_t pages_needed(int64_t window, int64_t page_tokens, int64_t length, int64_t chunk) {
  int64_t all = ceil_divide(length, page_tokens);
  if (window <= 0) return all;
  return std::min(all, ceil_divide(window + chunk, page_tokens) + 1);
}

KvCache::KvCache(KvOptions options) : options_(std::move(options)) {
  assert(options_.groups.size() <= size_t(kMaxKvGroups));
  if (options_.groups.empty()) options_.prefix_caching = false; // nothing is kept, so nothing is saved
  const size_t entries = size_t(options_.sequences) * size_t(options_.max_blocks);
  for (const KvGroup &group : options_.groups) {
    pools_.emplace_back(group.pages);
    tables_.emplace_back(entries, 0);
  }
  slots_.resize(size_t(options_.sequences));
  if (options_.prefix_caching) keys_.resize(entries);
  copies_.reserve(size_t(options_.sequences) * options_.groups.size());
}

int32_t *KvCache::row(int group, int slot) {
  return tables_[size_t(group)].data() + size_t(slot) * size_t(options_.max_blocks);
}

std::span<const int32_t> KvCache::table(int group, int slot) const {
  return std::span(tables_[size_t(group)])
      .subspan(size_t(slot) * size_t(options_.max_blocks), size_t(options_.max_blocks));
}

int64_t KvCache::held(int group, int slot) const {
  const Slot &s = slots_[size_t(slot)];
  return s.blocks - s.first[size_t(group)];
}

int64_t KvCache::pages_for(int group, int64_t length, int64_t chunk) const {
  const int64_t window = options_.groups[size_t(group)].window;
  return pages_needed(window > 0 ? window + options_.take_back : 0, options_.page_tokens, length, chunk);
}

// The first block that a sequence of `length` tokens still needs: position `length` is computed next and sees
// `window` keys, itself among them.
int64_t KvCache::first_needed(int group, int64_t length) const {
  const int64_t window = options_.groups[size_t(group)].window;
  if (window <= 0) return 0;
  return std::max<int64_t>(0, length - window + 1 - options_.take_back) / options_.page_tokens;
}

const PageKey &KvCache::key(int slot, int64_t block, std::span<const int32_t> tokens) {
  Slot &s = slots_[size_t(slot)];
  PageKey *keys = keys_.data() + size_t(slot) * size_t(options_.max_blocks);
  const size_t page_tokens = size_t(options_.page_tokens);
  for (; s.hashed <= block; ++s.hashed)
    keys[s.hashed] = next_page_key(s.hashed == 0 ? s.root : keys[s.hashed - 1],
                                   tokens.subspan(size_t(s.hashed) * page_tokens, page_tokens));
  return keys[block];
}

void KvCache::begin(int slot, const PageKey &root) {
  Slot &s = slots_[size_t(slot)];
  assert(s.length == 0 && s.blocks == 0);
  s.root = root;
  s.hashed = 0;
}

int64_t KvCache::attach(int slot, std::span<const int32_t> tokens) {
  Slot &s = slots_[size_t(slot)];
  assert(s.length == 0 && s.blocks == 0);
  if (!options_.prefix_caching || tokens.empty()) return 0;
  const int64_t limit = std::min(int64_t(tokens.size() - 1) / options_.page_tokens, options_.max_blocks);
  std::array<int64_t, kMaxKvGroups> run{}; // a group: where the present run of hits began
  int64_t hit = 0, looked_up = 0;          // blocks
  bool open = true;
  // The table rows hold what is found until the end is known.
  for (int64_t block = 0; block < limit && open; ++block, ++looked_up) {
    const PageKey &wanted = key(slot, block, tokens);
    bool serves = true;
    for (int group = 0; group < group_count(); ++group) {
      int32_t page = pools_[size_t(group)].find(wanted);
      row(group, slot)[block] = page;
      if (page < 0) run[size_t(group)] = block + 1;
      if (page < 0 && options_.groups[size_t(group)].window <= 0) open = false;
      // The last page must be there even where a window of one token needs none: it is what proves that the prefix was
      // ever computed.
      serves &= run[size_t(group)] <= std::min(block, first_needed(group, (block + 1) * options_.page_tokens));
    }
    if (serves && open) hit = block + 1;
  }
  const int64_t length = hit * options_.page_tokens;
  for (int group = 0; group < group_count(); ++group) {
    const int64_t first = std::min(first_needed(group, length), hit);
    for (int64_t block = 0; block < looked_up; ++block) {
      int32_t &page = row(group, slot)[block];
      if (block >= first && block < hit)
        pools_[size_t(group)].retain(page);
      else
        page = 0;
    }
    s.first[size_t(group)] = first;
  }
  s.length = length;
  s.blocks = hit;
  return length;
}

bool KvCache::must_copy(int group, int slot) const {
  const Slot &s = slots_[size_t(slot)];
  if (s.length % options_.page_tokens == 0) return false;
  const int32_t page = table(group, slot)[size_t(s.length / options_.page_tokens)];
  return pools_[size_t(group)].references(page) > 1;
}

int64_t KvCache::fits(int slot, int64_t length) const {
  const Slot &s = slots_[size_t(slot)];
  length = std::min(length, options_.max_blocks * options_.page_tokens);
  for (int group = 0; group < group_count(); ++group) {
    const int64_t pages = pools_[size_t(group)].available() - must_copy(group, slot);
    if (pages < 0) return s.length;
    length = std::min(length, (s.blocks + pages) * options_.page_tokens);
  }
  return std::max(length, s.length);
}

// The page that the next token goes into must be this sequence's alone, and nobody may find its old content.
void KvCache::own_partial_page(int group, int slot) {
  Slot &s = slots_[size_t(slot)];
  if (s.length % options_.page_tokens == 0) return;
  PagePool &pool = pools_[size_t(group)];
  int32_t &page = row(group, slot)[s.length / options_.page_tokens];
  if (pool.references(page) == 1) {
    pool.unpublish(page);
    return;
  }
  const int32_t copy = pool.allocate();
  assert(copy >= 0 && "reserve() beyond fits()");
  copies_.push_back({group, page, copy});
  pool.release(page);
  page = copy;
}

void KvCache::reserve(int slot, int64_t length) {
  Slot &s = slots_[size_t(slot)];
  assert(length >= s.length);
  if (length == s.length) return;
  const int64_t blocks = std::max(s.blocks, ceil_divide(length, options_.page_tokens));
  assert(blocks <= options_.max_blocks);
  for (int group = 0; group < group_count(); ++group) {
    own_partial_page(group, slot);
    for (int64_t block = s.blocks; block < blocks; ++block) {
      int32_t page = pools_[size_t(group)].allocate();
      assert(page >= 0 && "reserve() beyond fits()");
      row(group, slot)[block] = page;
    }
  }
  s.blocks = blocks;
}

void KvCache::publish(int slot, int64_t block, std::span<const int32_t> tokens) {
  const PageKey &content = key(slot, block, tokens);
  for (int group = 0; group < group_count(); ++group) {
    if (block < slots_[size_t(slot)].first[size_t(group)]) continue;
    PagePool &pool = pools_[size_t(group)];
    const int32_t page = row(group, slot)[block];
    if (!pool.published(page)) pool.publish(page, content);
  }
}

void KvCache::drop_passed(int slot) {
  Slot &s = slots_[size_t(slot)];
  for (int group = 0; group < group_count(); ++group) {
    int64_t &first = s.first[size_t(group)];
    for (const int64_t needed = std::min(first_needed(group, s.length), s.blocks); first < needed; ++first) {
      int32_t &page = row(group, slot)[first];
      pools_[size_t(group)].release(page);
      page = 0;
    }
  }
}

void KvCache::commit(int slot, std::span<const int32_t> tokens) {
  Slot &s = slots_[size_t(slot)];
  const int64_t length = int64_t(tokens.size());
  assert(length >= s.length && length <= s.blocks * options_.page_tokens + (group_count() == 0 ? length : 0));
  if (options_.prefix_caching)
    for (int64_t block = s.length / options_.page_tokens; block < length / options_.page_tokens; ++block)
      publish(slot, block, tokens);
  s.length = length;
  drop_passed(slot);
}

Status KvCache::truncate(int slot, int64_t length) {
  Slot &s = slots_[size_t(slot)];
  assert(length >= 0);
  if (length > s.length)
    return Status(StatusCode::kInvalidArgument, "cannot take tokens back to length " + std::to_string(length) +
                                                    ": the sequence has " + std::to_string(s.length));
  for (int group = 0; group < group_count(); ++group) {
    const KvGroup &g = options_.groups[size_t(group)];
    const int64_t seen = g.window > 0 ? std::max<int64_t>(0, length - g.window + 1) : 0; // the first key still seen
    if (s.first[size_t(group)] * options_.page_tokens > seen)
      return Status(StatusCode::kInvalidArgument,
                    "cannot take back " + std::to_string(s.length - length) + " tokens: group '" + g.name +
                        "' keeps what its window needs for " + std::to_string(options_.take_back));
  }
  const int64_t blocks = ceil_divide(length, options_.page_tokens);
  give_back(slot, blocks);
  s.length = length;
  s.blocks = blocks;
  s.hashed = std::min(s.hashed, length / options_.page_tokens);
  return ok_status();
}

// Gives back every block from `blocks` on, the last first.
void KvCache::give_back(int slot, int64_t blocks) {
  const Slot &s = slots_[size_t(slot)];
  for (int group = 0; group < group_count(); ++group)
    for (int64_t block = s.blocks; block-- > std::max(blocks, s.first[size_t(group)]);) {
      int32_t &page = row(group, slot)[block];
      pools_[size_t(group)].release(page);
      page = 0;
    }
}

void KvCache::fork(int from, int to) {
  const Slot &source = slots_[size_t(from)];
  Slot &target = slots_[size_t(to)];
  assert(from != to && target.length == 0 && target.blocks == 0);
  target = source;
  target.blocks = ceil_divide(source.length, options_.page_tokens);
  for (int group = 0; group < group_count(); ++group)
    for (int64_t block = target.first[size_t(group)]; block < target.blocks; ++block) {
      const int32_t page = row(group, from)[block];
      row(group, to)[block] = page;
      pools_[size_t(group)].retain(page);
    }
  if (options_.prefix_caching)
    std::copy_n(keys_.begin() + from * options_.max_blocks, source.hashed, keys_.begin() + to * options_.max_blocks);
}

void KvCache::release(int slot) {
  Slot &s = slots_[size_t(slot)];
  give_back(slot, 0);
  s.first = {};
  s.length = s.blocks = 0;
}

Status KvCache::check() const {
  for (int group = 0; group < group_count(); ++group) {
    const PagePool &pool = pools_[size_t(group)];
    std::vector<int32_t> references(size_t(pool.total()), 0);
    for (size_t slot = 0; slot < slots_.size(); ++slot) {
      const Slot &s = slots_[slot];
      const std::span<const int32_t> entries = table(group, int(slot));
      for (int64_t block = 0; block < options_.max_blocks; ++block) {
        const bool live = block >= s.first[size_t(group)] && block < s.blocks;
        if (live) ++references[size_t(entries[size_t(block)])];
        if (!live && entries[size_t(block)] != 0)
          return Status(StatusCode::kInternal, "slot " + std::to_string(slot) + " has a page in an unused table entry");
      }
    }
    if (Status status = pool.check(references); !status.ok())
      return Status(status.code(), "cache group '" + options_.groups[size_t(group)].name + "': " + status.message());
  }
  return ok_status();
}

} // namespace llmrt
