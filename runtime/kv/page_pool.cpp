#include "runtime/kv/page_pool.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace llmrt {

PagePool::PagePool(int64_t pages) : pages_(size_t(pages)) {
  assert(pages >= 0);
  free_.reserve(size_t(pages));
  for (int64_t page = pages - 1; page >= 0; --page) free_.push_back(int32_t(page)); // page 0 is given out first
  index_.assign(std::bit_ceil(size_t(pages) * 2 + 1), -1); // at most half full, so that probes end
}

int32_t PagePool::allocate() {
  int32_t page = -1;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
  } else if (oldest_ >= 0) {
    page = oldest_;
    unlink(page);
    --cached_;
    erase_from_index(page);
  } else {
    return -1;
  }
  pages_[size_t(page)].references = 1;
  ++used_;
  return page;
}

void PagePool::retain(int32_t page) {
  Page &entry = pages_[size_t(page)];
  if (entry.references == 0) {
    assert(entry.published && "a free page cannot be retained");
    unlink(page);
    --cached_;
    ++used_;
  }
  ++entry.references;
}

void PagePool::release(int32_t page) {
  Page &entry = pages_[size_t(page)];
  assert(entry.references > 0);
  if (--entry.references > 0) return;
  --used_;
  if (!entry.published) {
    free_.push_back(page);
    return;
  }
  link_last(page);
  ++cached_;
}

int32_t PagePool::find(const PageKey &key) const {
  for (size_t slot = home(key); index_[slot] >= 0; slot = (slot + 1) & (index_.size() - 1))
    if (pages_[size_t(index_[slot])].key == key) return index_[slot];
  return -1;
}

bool PagePool::publish(int32_t page, const PageKey &key) {
  Page &entry = pages_[size_t(page)];
  assert(entry.references > 0 && !entry.published);
  size_t slot = home(key);
  for (; index_[slot] >= 0; slot = (slot + 1) & (index_.size() - 1))
    if (pages_[size_t(index_[slot])].key == key) return false;
  index_[slot] = page;
  entry.key = key;
  entry.published = true;
  return true;
}

void PagePool::unpublish(int32_t page) {
  assert(pages_[size_t(page)].references > 0);
  if (pages_[size_t(page)].published) erase_from_index(page);
}

void PagePool::link_last(int32_t page) {
  Page &entry = pages_[size_t(page)];
  entry.previous = newest_;
  entry.next = -1;
  (newest_ >= 0 ? pages_[size_t(newest_)].next : oldest_) = page;
  newest_ = page;
}

void PagePool::unlink(int32_t page) {
  Page &entry = pages_[size_t(page)];
  (entry.previous >= 0 ? pages_[size_t(entry.previous)].next : oldest_) = entry.next;
  (entry.next >= 0 ? pages_[size_t(entry.next)].previous : newest_) = entry.previous;
  entry.previous = entry.next = -1;
}

size_t PagePool::home(const PageKey &key) const {
  uint64_t word = 0;
  std::memcpy(&word, key.data(), sizeof word);
  return size_t(word) & (index_.size() - 1);
}

void PagePool::erase_from_index(int32_t page) {
  Page &entry = pages_[size_t(page)];
  const size_t mask = index_.size() - 1;
  size_t hole = home(entry.key);
  while (index_[hole] != page) hole = (hole + 1) & mask;
  // Close the hole: an entry after it moves back unless that would put it before its home.
  for (size_t slot = (hole + 1) & mask; index_[slot] >= 0; slot = (slot + 1) & mask) {
    size_t wanted = home(pages_[size_t(index_[slot])].key);
    if (((slot - wanted) & mask) < ((slot - hole) & mask)) continue;
    index_[hole] = index_[slot];
    hole = slot;
  }
  index_[hole] = -1;
  entry.published = false;
}

Status PagePool::check(std::span<const int32_t> references) const {
  auto wrong = [](int64_t page, const char *what) {
    return Status(StatusCode::kInternal, "page " + std::to_string(page) + " " + what);
  };
  std::vector<char> state(pages_.size(), 'u');
  for (int32_t page : free_) {
    if (state[size_t(page)] != 'u') return wrong(page, "is in the free list twice");
    state[size_t(page)] = 'f';
  }
  int64_t listed = 0;
  for (int32_t page = oldest_, before = -1; page >= 0; before = page, page = pages_[size_t(page)].next) {
    if (state[size_t(page)] != 'u') return wrong(page, "is both cached and free, or cached twice");
    if (pages_[size_t(page)].previous != before) return wrong(page, "has a broken link in the list of cached pages");
    state[size_t(page)] = 'c';
    ++listed;
  }
  int64_t used = 0, indexed = 0, published = 0;
  for (int64_t page = 0; page < total(); ++page) {
    const Page &entry = pages_[size_t(page)];
    if (entry.references != references[size_t(page)])
      return wrong(page, "has a reference count that no table explains");
    if ((entry.references > 0) != (state[size_t(page)] == 'u'))
      return wrong(page, "is lost: no table and no list has it");
    if (state[size_t(page)] == 'c' && !entry.published) return wrong(page, "is cached without content");
    if (state[size_t(page)] == 'f' && entry.published) return wrong(page, "is free and has content");
    if (entry.published && find(entry.key) != page) return wrong(page, "cannot be found by its content");
    used += entry.references > 0;
    published += entry.published;
  }
  for (int32_t page : index_) indexed += page >= 0;
  if (used != used_ || listed != cached_ || indexed != published || free() + cached() + this->used() != total())
    return Status(StatusCode::kInternal, "page counts do not add up: " + std::to_string(free()) + " free + " +
                                             std::to_string(cached()) + " cached + " + std::to_string(used_) +
                                             " used, " + std::to_string(total()) + " in total");
  return ok_status();
}

} // namespace llmrt
