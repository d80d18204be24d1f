#include "runtime/kv/page_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace llmrt {
namespace {

PageKey key_of(int32_t value) { return next_page_key(root_page_key("test", -1), std::span(&value, 1)); }

TEST(PageKey, DependsOnEverything) {
  const int32_t tokens[] = {1, 2, 3};
  const PageKey root = root_page_key("", -1);
  EXPECT_NE(root, root_page_key("tenant", -1));
  EXPECT_NE(root, root_page_key("", 0));
  EXPECT_NE(root_page_key("a", 1), root_page_key("a", 257));
  EXPECT_NE(next_page_key(root, std::span(tokens, 2)), next_page_key(root, std::span(tokens, 3)));
  EXPECT_NE(next_page_key(root, std::span(tokens, 2)), next_page_key(root, std::span(tokens + 1, 2)));
  const PageKey first = next_page_key(root, std::span(tokens, 1));
  EXPECT_NE(next_page_key(first, std::span(tokens + 1, 1)), next_page_key(root, std::span(tokens + 1, 1)));
  EXPECT_EQ(first, next_page_key(root_page_key("", -1), std::span(tokens, 1)));
}

TEST(PagePool, GivesFreePagesBeforeCachedOnesAndTheOldestCachedFirst) {
  PagePool pool(3);
  const int32_t a = pool.allocate(), b = pool.allocate(), c = pool.allocate();
  EXPECT_EQ(pool.allocate(), -1);
  EXPECT_EQ(pool.used(), 3);
  ASSERT_TRUE(pool.publish(a, key_of(1)));
  ASSERT_TRUE(pool.publish(b, key_of(2)));
  pool.release(b);
  pool.release(a);
  pool.release(c);
  EXPECT_EQ(pool.free(), 1);
  EXPECT_EQ(pool.cached(), 2);
  EXPECT_EQ(pool.allocate(), c);
  EXPECT_EQ(pool.find(key_of(2)), b);
  EXPECT_EQ(pool.allocate(), b) << "b was released before a";
  EXPECT_EQ(pool.find(key_of(2)), -1) << "its content is gone with it";
  EXPECT_EQ(pool.find(key_of(1)), a);
  pool.retain(a);
  EXPECT_EQ(pool.available(), 0);
  EXPECT_EQ(pool.references(a), 1);
}

TEST(PagePool, KeepsTheFirstPageOfAContent) {
  PagePool pool(2);
  const int32_t a = pool.allocate(), b = pool.allocate();
  EXPECT_TRUE(pool.publish(a, key_of(7)));
  EXPECT_FALSE(pool.publish(b, key_of(7)));
  pool.release(b);
  EXPECT_EQ(pool.free(), 1);
  pool.unpublish(a);
  EXPECT_EQ(pool.find(key_of(7)), -1);
  pool.release(a);
  EXPECT_EQ(pool.free(), 2);
}

TEST(PagePool, CheckSeesLostAndMiscountedPages) {
  PagePool pool(2);
  const int32_t page = pool.allocate();
  std::vector<int32_t> references(2, 0);
  EXPECT_FALSE(pool.check(references).ok()) << "the page is used, and no table has it";
  references[size_t(page)] = 1;
  EXPECT_TRUE(pool.check(references).ok());
  references[size_t(page)] = 2;
  EXPECT_FALSE(pool.check(references).ok());
}

// Against a plain model: maps instead of intrusive lists and open addressing.
TEST(PagePool, RandomOperationsAgreeWithAModel) {
  std::mt19937 random(1);
  for (int64_t pages : {1, 2, 7, 64}) {
    PagePool pool(pages);
    std::vector<int32_t> references(size_t(pages), 0);
    std::map<int32_t, int32_t> content; // page -> value
    std::vector<int32_t> released;      // cached, oldest first
    int64_t free = pages;
    for (int i = 0; i < 20000; ++i) {
      const int32_t page = int32_t(random() % uint64_t(pages));
      int32_t &count = references[size_t(page)];
      switch (random() % 5) {
      case 0: {
        const int32_t got = pool.allocate();
        if (free == 0 && released.empty()) {
          ASSERT_EQ(got, -1);
          break;
        }
        ASSERT_GE(got, 0);
        ASSERT_EQ(references[size_t(got)], 0);
        if (free > 0) {
          --free;
        } else {
          ASSERT_EQ(got, released.front());
          released.erase(released.begin());
          content.erase(got);
        }
        references[size_t(got)] = 1;
        break;
      }
      case 1:
        if (count == 0 && !content.contains(page)) break;
        std::erase(released, page);
        pool.retain(page);
        ++count;
        break;
      case 2:
        if (count == 0) break;
        pool.release(page);
        if (--count > 0) break;
        if (content.contains(page))
          released.push_back(page);
        else
          ++free;
        break;
      case 3: {
        if (count == 0 || content.contains(page)) break;
        const int32_t value = int32_t(random() % 100);
        const bool known = std::any_of(content.begin(), content.end(), [&](auto &c) { return c.second == value; });
        ASSERT_EQ(pool.publish(page, key_of(value)), !known);
        if (!known) content[page] = value;
        break;
      }
      case 4:
        if (count == 0 || random() % 4 != 0) break;
        pool.unpublish(page);
        content.erase(page);
        break;
      }
      ASSERT_EQ(pool.free(), free);
      ASSERT_EQ(pool.cached(), int64_t(released.size()));
      ASSERT_EQ(pool.free() + pool.cached() + pool.used(), pages);
      const int32_t probe = int32_t(random() % 100);
      const auto holder = std::find_if(content.begin(), content.end(), [&](auto &c) { return c.second == probe; });
      ASSERT_EQ(pool.find(key_of(probe)), holder == content.end() ? -1 : holder->first);
      if (i % 500 == 0) {
        const Status status = pool.check(references);
        ASSERT_TRUE(status.ok()) << status.message();
      }
    }
  }
}

} // namespace
} // namespace llmrt
