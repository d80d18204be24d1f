// The pages of one cache group: who holds how many references, which are free, and which hold content that a later
// request may use again. Every page is in exactly one state: free, cached (content, no reference) or used.
#pragma once

#include "runtime/base/status.h"
#include "runtime/kv/page_key.h"

#include <cstdint>
#include <span>
#include <vector>

namespace llmrt {

// Not thread-safe; takes all its memory in the constructor.
class PagePool {
public:
  explicit PagePool(int64_t pages);

  // A page with one reference and no content: a free one, else the least recently released cached one. -1 when every
  // page is used.
  int32_t allocate();
  void retain(int32_t page);  // of a used or cached page
  void release(int32_t page); // the last reference makes it cached, or free if it has no content

  // The page with this content, used or cached; -1: none.
  int32_t find(const PageKey &key) const;
  // Makes the content of a used page known. Returns false, and does nothing, if another page has that content already.
  bool publish(int32_t page, const PageKey &key);
  // Forgets the content of a used page, which is about to be written.
  void unpublish(int32_t page);

  bool published(int32_t page) const { return pages_[size_t(page)].published; }
  int32_t references(int32_t page) const { return pages_[size_t(page)].references; }

  int64_t total() const { return int64_t(pages_.size()); }
  int64_t free() const { return int64_t(free_.size()); }
  int64_t cached() const { return cached_; }
  int64_t used() const { return used_; }
  int64_t available() const { return free() + cached(); } // what allocate() can give

  // Everything above recounted. `references` is how often the page tables hold each page. Takes memory: for tests and
  // for when the engine is idle.
  Status check(std::span<const int32_t> references) const;

  // An upper bound of the bytes a page costs here.
  static constexpr int64_t kBytesPerPage = 72; // Page, up to 4 entries of index_, one of free_

private:
  struct Page {
    PageKey key;
    int32_t references = 0;
    int32_t previous = -1, next = -1; // in the list of cached pages, least recently released first
    bool published = false;
  };

  void link_last(int32_t page);
  void unlink(int32_t page);
  size_t home(const PageKey &key) const;
  void erase_from_index(int32_t page);

  std::vector<Page> pages_;
  std::vector<int32_t> free_;  // a stack
  std::vector<int32_t> index_; // open addressing with linear probing; -1: empty; its size is a power of two
  int32_t oldest_ = -1, newest_ = -1;
  int64_t cached_ = 0, used_ = 0;
};

} // namespace llmrt
