// The pages of all sequences over all cache groups: page tables, sharing, copy on write, the prefix cache, windows.
// It counts and names pages; what is in them only the device knows.
#pragma once

#include "runtime/base/status.h"
#include "runtime/kv/page_pool.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace llmrt {

inline constexpr int kMaxKvGroups = 8;

struct KvGroup {
  std::string name;
  int64_t window = 0; // keys a token sees, itself included; 0: all
  int64_t pages = 0;
};

struct KvOptions {
  std::vector<KvGroup> groups; // at most kMaxKvGroups; may be empty (a model without attention)
  int64_t page_tokens = 16;    // in every group
  int64_t sequences = 0;       // slots
  int64_t max_blocks = 0;      // entries of a slot's page table in each group
  bool prefix_caching = true;
  int64_t take_back = 0; // tokens, from the furthest a sequence has been, that truncate() can always take back
};

// To be done on the device before the next step, in the order given.
struct PageCopy {
  int group = 0;
  int32_t from = 0, to = 0;
};

// A slot holds one sequence. Its length is the number of tokens whose keys and values are in its pages.
//
//   begin -> attach (from the prefix cache) -> { reserve -> [the device runs] -> commit }* -> release
//
// Not thread-safe; takes all its memory in the constructor.
class KvCache {
public:
  explicit KvCache(KvOptions options);

  // Names the sequence in an empty slot. `root`: root_page_key().
  void begin(int slot, const PageKey &root);
  // Takes the longest cached beginning of `tokens` that every group can serve, in whole pages and never the last token
  // (its logits are wanted), into an empty slot; returns its length. An all-token group must have every page, a window
  // group those that the next token still sees.
  int64_t attach(int slot, std::span<const int32_t> tokens);

  // The largest length up to `length` that reserve() can give the slot now; its present length if nothing.
  int64_t fits(int slot, int64_t length) const;
  // Makes positions [length(slot), length) writable: takes pages, and copies a shared page that would be written. Call
  // it with what fits() returned.
  void reserve(int slot, int64_t length);
  // The device has computed every token up to tokens.size(), at most what is reserved: full pages become content that
  // others can find; pages that a window has passed are given back.
  void commit(int slot, std::span<const int32_t> tokens);

  // Takes tokens back so that `length` remain. kInvalidArgument if a window has given up pages that the remaining
  // sequence needs (more than `take_back` tokens).
  Status truncate(int slot, int64_t length);
  // Makes the empty slot `to` share all that `from` holds. Between steps: nothing of `from` may be reserved and not
  // yet committed. Whoever writes to a shared page first gets a copy of it.
  void fork(int from, int to);
  // Gives every page back, the last first, so that a beginning stays cached longer than what follows it. The sequence
  // keeps its name: attach() may follow.
  void release(int slot);

  int64_t length(int slot) const { return slots_[size_t(slot)].length; }
  // The slot's page table in a group: entries [first block in use, blocks) count, the others are 0.
  std::span<const int32_t> table(int group, int slot) const;
  int64_t blocks(int slot) const { return slots_[size_t(slot)].blocks; }
  int64_t held(int group, int slot) const; // pages of the group that the slot refers to

  // Pages of a group that a sequence of `length` tokens holds at most while it is computed `chunk` tokens at a time.
  int64_t pages_for(int group, int64_t length, int64_t chunk) const;

  int group_count() const { return int(options_.groups.size()); }
  const KvOptions &options() const { return options_; }
  const PagePool &pool(int group) const { return pools_[size_t(group)]; }

  // Copies asked for by reserve() since clear_copies().
  std::span<const PageCopy> copies() const { return copies_; }
  void clear_copies() { copies_.clear(); }

  // Every pool's counts against the tables. Takes memory.
  Status check() const;

private:
  struct Slot {
    PageKey root;
    int64_t length = 0;
    int64_t blocks = 0;                        // table entries in use, in every group, from `first` on
    int64_t hashed = 0;                        // keys known
    std::array<int64_t, kMaxKvGroups> first{}; // blocks before it are given back (or were never taken)
  };

  int32_t *row(int group, int slot);
  const PageKey &key(int slot, int64_t block, std::span<const int32_t> tokens);
  int64_t first_needed(int group, int64_t length) const;
  bool must_copy(int group, int slot) const;
  void own_partial_page(int group, int slot);
  void drop_passed(int slot);
  void give_back(int slot, int64_t blocks);
  void publish(int slot, int64_t block, std::span<const int32_t> tokens);

  KvOptions options_;
  std::vector<PagePool> pools_;
  std::vector<Slot> slots_;
  std::vector<std::vector<int32_t>> tables_; // a group: [sequences][max_blocks]
  std::vector<PageKey> keys_;                // [sequences][max_blocks]
  std::vector<PageCopy> copies_;
};

// Pages that a window of `window` keys needs at most while a sequence of `length` tokens runs `chunk` tokens at a time;
// window 0: all of them.
int64_t pages_needed(int64_t window, int64_t page_tokens, int64_t length, int64_t chunk);

} // namespace llmrt
