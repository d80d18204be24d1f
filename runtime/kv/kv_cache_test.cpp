#include "runtime/kv/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>

namespace llmrt {
namespace {

constexpr int64_t kPageTokens = 4;
const PageKey kRoot = root_page_key("", -1);

KvOptions make_options(std::vector<KvGroup> groups, int64_t sequences = 4, int64_t max_blocks = 16) {
  KvOptions options;
  options.groups = std::move(groups);
  options.page_tokens = kPageTokens;
  options.sequences = sequences;
  options.max_blocks = max_blocks;
  return options;
}

std::vector<int32_t> counting(int64_t count, int32_t from = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), from);
  return tokens;
}

// Computes `tokens` from where the slot is.
void compute(KvCache &cache, int slot, const std::vector<int32_t> &tokens) {
  ASSERT_EQ(cache.fits(slot, int64_t(tokens.size())), int64_t(tokens.size()));
  cache.reserve(slot, int64_t(tokens.size()));
  cache.commit(slot, tokens);
}

void expect_sound(const KvCache &cache) {
  const Status status = cache.check();
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(KvCache, ServesFullPagesButNeverTheLastToken) {
  KvCache cache(make_options({{"all", 0, 16}}));
  const std::vector<int32_t> tokens = counting(12);
  cache.begin(0, kRoot);
  compute(cache, 0, tokens);
  cache.begin(1, kRoot);
  EXPECT_EQ(cache.attach(1, tokens), 8);
  EXPECT_TRUE(std::equal(cache.table(0, 1).begin(), cache.table(0, 1).begin() + 2, cache.table(0, 0).begin()));
  cache.begin(2, kRoot);
  EXPECT_EQ(cache.attach(2, counting(13)), 12);
  cache.begin(3, root_page_key("other tenant", -1));
  EXPECT_EQ(cache.attach(3, counting(13)), 0);
  expect_sound(cache);
  for (int slot = 0; slot < 4; ++slot) cache.release(slot);
  EXPECT_EQ(cache.pool(0).used(), 0);
  EXPECT_EQ(cache.pool(0).cached(), 3);
  expect_sound(cache);
}

TEST(KvCache, EvictsTheEndOfASequenceBeforeItsBeginning) {
  KvCache cache(make_options({{"all", 0, 4}}));
  cache.begin(0, kRoot);
  compute(cache, 0, counting(16));
  cache.release(0);
  cache.begin(1, root_page_key("", 5));
  compute(cache, 1, counting(8));
  cache.begin(2, kRoot);
  EXPECT_EQ(cache.attach(2, counting(17)), 8) << "the last two pages were taken, the first two are still there";
  expect_sound(cache);
}

TEST(KvCache, WindowGivesBackWhatItHasPassed) {
  KvCache cache(make_options({{"all", 0, 16}, {"window", 6, 16}}));
  cache.begin(0, kRoot);
  compute(cache, 0, counting(10));
  // Position 10 sees keys 5 to 10: block 1 is needed, block 0 is not.
  EXPECT_EQ(cache.held(0, 0), 3);
  EXPECT_EQ(cache.held(1, 0), 2);
  EXPECT_EQ(cache.table(1, 0)[0], 0);
  compute(cache, 0, counting(13)); // position 13 sees 8 to 13
  EXPECT_EQ(cache.held(1, 0), 2);
  EXPECT_EQ(cache.pool(1).used(), 2);
  expect_sound(cache);
}

TEST(KvCache, HitNeedsTheWindowsPagesAlone) {
  KvCache cache(make_options({{"all", 0, 16}, {"window", 5, 3}}));
  cache.begin(0, kRoot);
  const std::vector<int32_t> tokens = counting(16);
  for (int64_t length = 4; length <= 16; length += 4) compute(cache, 0, counting(length));
  cache.release(0); // of the window's 4 pages one was evicted: the first
  cache.begin(1, kRoot);
  EXPECT_EQ(cache.attach(1, counting(17)), 16) << "16 sees 12 to 16";
  EXPECT_EQ(cache.held(1, 1), 1);
  cache.release(1);
  cache.begin(2, kRoot);
  EXPECT_EQ(cache.attach(2, counting(8)), 0) << "position 4 sees 0 to 4, whose page the window's pool has lost";
  cache.begin(3, kRoot);
  EXPECT_EQ(cache.attach(3, counting(9)), 8) << "position 8 sees 4 to 8";
  expect_sound(cache);
}

TEST(KvCache, AWindowOfOneTokenStillHasToHaveComputedThePrefix) {
  KvCache cache(make_options({{"window", 1, 16}}));
  const std::vector<int32_t> tokens = counting(13);
  cache.begin(0, kRoot);
  EXPECT_EQ(cache.attach(0, tokens), 0) << "nothing was ever computed";
  compute(cache, 0, tokens);
  cache.begin(1, kRoot);
  EXPECT_EQ(cache.attach(1, tokens), 12);
  expect_sound(cache);
}

TEST(KvCache, ForkSharesAndTheFirstWriterCopies) {
  KvCache cache(make_options({{"all", 0, 16}}));
  cache.begin(0, kRoot);
  compute(cache, 0, counting(6));
  cache.begin(1, kRoot);
  cache.fork(0, 1);
  EXPECT_EQ(cache.pool(0).used(), 2) << "nothing is copied yet";
  EXPECT_EQ(cache.length(1), 6);
  std::vector<int32_t> other = counting(6);
  other.push_back(99);
  const int32_t shared = cache.table(0, 0)[1];
  compute(cache, 1, other);
  ASSERT_EQ(cache.copies().size(), 1u);
  EXPECT_EQ(cache.copies()[0].from, shared);
  EXPECT_EQ(cache.copies()[0].to, cache.table(0, 1)[1]);
  EXPECT_EQ(cache.table(0, 0)[0], cache.table(0, 1)[0]);
  cache.clear_copies();
  compute(cache, 0, counting(7));
  EXPECT_TRUE(cache.copies().empty()) << "the page is its own again";
  EXPECT_EQ(cache.pool(0).used(), 3);
  expect_sound(cache);
}

TEST(KvCache, ACopyNeedsAPageToo) {
  KvCache cache(make_options({{"all", 0, 2}}));
  cache.begin(0, kRoot);
  compute(cache, 0, counting(6));
  cache.begin(1, kRoot);
  cache.fork(0, 1);
  EXPECT_EQ(cache.fits(0, 7), 6);
  cache.release(1);
  EXPECT_EQ(cache.fits(0, 7), 7);
}

TEST(KvCache, TruncatedPagesAreNotFoundUnderTheirOldContent) {
  KvCache cache(make_options({{"all", 0, 16}}));
  cache.begin(0, kRoot);
  compute(cache, 0, counting(8));
  ASSERT_TRUE(cache.truncate(0, 6).ok());
  EXPECT_EQ(cache.length(0), 6);
  std::vector<int32_t> other = {0, 1, 2, 3, 4, 5, 60, 70};
  compute(cache, 0, other);
  cache.begin(1, kRoot);
  EXPECT_EQ(cache.attach(1, counting(9)), 4) << "the second page was written anew";
  cache.begin(2, kRoot);
  other.push_back(80);
  EXPECT_EQ(cache.attach(2, other), 8);
  expect_sound(cache);
  EXPECT_FALSE(cache.truncate(1, 5).ok()) << "it has 4";
}

TEST(KvCache, TruncateGoesAsFarBackAsTheWindowKept) {
  KvOptions options = make_options({{"window", 4, 16}});
  options.take_back = 5;
  KvCache cache(options);
  cache.begin(0, kRoot);
  compute(cache, 0, counting(20));
  EXPECT_EQ(cache.table(0, 0)[1], 0);
  EXPECT_FALSE(cache.truncate(0, 3).ok());
  ASSERT_TRUE(cache.truncate(0, 15).ok());
  compute(cache, 0, counting(16));
  expect_sound(cache);
}

TEST(KvCache, FitsIsTheMostThatAnyGroupHas) {
  KvCache cache(make_options({{"all", 0, 5}, {"window", 4, 3}}));
  cache.begin(0, kRoot);
  EXPECT_EQ(cache.fits(0, 40), 12);
  compute(cache, 0, counting(12));
  EXPECT_EQ(cache.fits(0, 40), 20) << "the window has given back two pages";
  EXPECT_EQ(cache.fits(0, 14), 14);
}

// ---- random sequences, checked through what the pages would hold ---------------------------------------------------

// Pages that hold tokens and what came before them, as a device's pages do.
class Contents {
public:
  explicit Contents(const KvOptions &options) {
    for (const KvGroup &group : options.groups)
      pages_.emplace_back(size_t(group.pages), std::vector<uint64_t>(size_t(options.page_tokens), 0));
  }
  void copy(const PageCopy &copy) {
    pages_[size_t(copy.group)][size_t(copy.to)] = pages_[size_t(copy.group)][size_t(copy.from)];
  }
  uint64_t &at(const KvCache &cache, int group, int slot, int64_t position) {
    const int32_t page = cache.table(group, slot)[size_t(position / cache.options().page_tokens)];
    return pages_[size_t(group)][size_t(page)][size_t(position % cache.options().page_tokens)];
  }

private:
  std::vector<std::vector<std::vector<uint64_t>>> pages_;
};

// What position i of a sequence must hold: a function of all tokens up to it.
std::vector<uint64_t> chain(const std::vector<int32_t> &tokens, uint64_t root) {
  std::vector<uint64_t> values;
  for (int32_t token : tokens) values.push_back(root = root * 6364136223846793005u + uint64_t(token) + 1);
  return values;
}

class RandomSequences {
public:
  RandomSequences(KvOptions options, unsigned seed)
      : random_(seed), cache_(options), contents_(options), tokens_(size_t(options.sequences)),
        root_(size_t(options.sequences)), live_(size_t(options.sequences)), furthest_(size_t(options.sequences)) {}

  void act() {
    const int slot = int(random_() % tokens_.size());
    switch (random_() % 8) {
    case 0:
      if (live_[size_t(slot)]) end(slot);
      break;
    case 1:
      preempt(slot);
      break;
    case 2:
      truncate(slot);
      break;
    case 3:
      fork(slot);
      break;
    default:
      if (!live_[size_t(slot)]) start(slot);
      extend(slot);
    }
  }

  void check() {
    const Status status = cache_.check();
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t slot = 0; slot < tokens_.size(); ++slot) {
      if (!live_[slot]) continue;
      const std::vector<uint64_t> expected = chain(tokens_[slot], root_[slot]);
      const int64_t length = cache_.length(int(slot));
      for (int group = 0; group < cache_.group_count(); ++group) {
        const int64_t window = cache_.options().groups[size_t(group)].window;
        const int64_t first = window > 0 ? std::max<int64_t>(0, length - window + 1) : 0;
        for (int64_t i = first; i < length; ++i)
          ASSERT_EQ(contents_.at(cache_, group, int(slot), i), expected[size_t(i)])
              << "group " << group << " slot " << slot << " position " << i << " of " << length;
      }
    }
  }

  int64_t hits() const { return hits_; }
  int64_t copied() const { return copied_; }

private:
  void start(int slot) {
    std::vector<int32_t> &tokens = tokens_[size_t(slot)];
    tokens.resize(1 + random_() % 30);
    for (int32_t &token : tokens) token = int32_t(random_() % 2); // so that beginnings repeat
    root_[size_t(slot)] = random_() % 2;
    cache_.begin(slot, root_page_key(root_[size_t(slot)] ? "a" : "b", -1));
    hits_ += furthest_[size_t(slot)] = cache_.attach(slot, tokens);
    live_[size_t(slot)] = true;
  }

  // Computes some of what is pending, and adds tokens.
  void extend(int slot) {
    std::vector<int32_t> &tokens = tokens_[size_t(slot)];
    const int64_t most = cache_.options().max_blocks * kPageTokens;
    while (int64_t(tokens.size()) < most && random_() % 3 != 0) tokens.push_back(int32_t(random_() % 2));
    const int64_t before = cache_.length(slot), pending = int64_t(tokens.size()) - before;
    if (pending <= 0) return;
    const int64_t length = cache_.fits(slot, before + 1 + int64_t(random_() % uint64_t(pending)));
    cache_.clear_copies();
    cache_.reserve(slot, length);
    for (const PageCopy &copy : cache_.copies()) contents_.copy(copy);
    copied_ += int64_t(cache_.copies().size());
    const std::vector<uint64_t> values = chain(tokens, root_[size_t(slot)]);
    for (int group = 0; group < cache_.group_count(); ++group)
      for (int64_t i = before; i < length; ++i) contents_.at(cache_, group, slot, i) = values[size_t(i)];
    cache_.commit(slot, std::span(tokens).first(size_t(length)));
    furthest_[size_t(slot)] = std::max(furthest_[size_t(slot)], length);
  }

  void end(int slot) {
    cache_.release(slot);
    live_[size_t(slot)] = false;
  }

  void preempt(int slot) {
    if (!live_[size_t(slot)]) return;
    cache_.release(slot);
    hits_ += furthest_[size_t(slot)] = cache_.attach(slot, tokens_[size_t(slot)]);
  }

  void truncate(int slot) {
    if (!live_[size_t(slot)]) return;
    const int64_t least = std::max<int64_t>(0, furthest_[size_t(slot)] - cache_.options().take_back);
    const int64_t left = least + int64_t(random_() % uint64_t(cache_.length(slot) - least + 1));
    const Status status = cache_.truncate(slot, left);
    ASSERT_TRUE(status.ok()) << status.message();
    tokens_[size_t(slot)].resize(size_t(std::max<int64_t>(left, 1)));
    if (left == 0) tokens_[size_t(slot)][0] = int32_t(random_() % 2);
  }

  void fork(int slot) {
    const int other = int(random_() % tokens_.size());
    if (!live_[size_t(slot)] || live_[size_t(other)] || other == slot) return;
    cache_.fork(slot, other);
    tokens_[size_t(other)] = tokens_[size_t(slot)];
    root_[size_t(other)] = root_[size_t(slot)];
    furthest_[size_t(other)] = furthest_[size_t(slot)];
    live_[size_t(other)] = true;
  }

  std::mt19937 random_;
  KvCache cache_;
  Contents contents_;
  std::vector<std::vector<int32_t>> tokens_;
  std::vector<uint64_t> root_;
  std::vector<char> live_;
  std::vector<int64_t> furthest_; // the largest length there was
  int64_t hits_ = 0, copied_ = 0;
};

TEST(KvCache, RandomSequencesAlwaysReadWhatTheyWrote) {
  int64_t hits = 0, copied = 0;
  for (unsigned seed = 0; seed < 24; ++seed) {
    std::vector<KvGroup> groups = {{"all", 0, 20 + seed}};
    if (seed % 3 >= 1) groups.push_back({"window", 3 + seed % 9, 30});
    if (seed % 3 == 2) groups.push_back({"narrow", 1, 18});
    KvOptions options = make_options(groups, 5, 12);
    options.prefix_caching = seed % 4 != 3;
    options.take_back = seed % 5;
    RandomSequences sequences(options, seed);
    for (int i = 0; i < 1500; ++i) {
      sequences.act();
      sequences.check();
      if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << " action " << i;
    }
    hits += sequences.hits();
    copied += sequences.copied();
  }
  EXPECT_GT(hits, 1000) << "the test is worth something only if pages are shared";
  EXPECT_GT(copied, 100);
}

} // namespace
} // namespace llmrt
