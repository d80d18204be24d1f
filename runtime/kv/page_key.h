// The name of a page's content: two pages with one key hold the same keys and values, bit for bit, because a page's
// content depends on its own tokens, on all before them and on what the root holds, and on nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace llmrt {

// SHA-256. A weaker hash would let one tenant make up a prompt that reads another's pages.
using PageKey = std::array<uint8_t, 32>;

// The parent of a sequence's first page. `salt` separates tenants; `rope_length` is the length that fixes a request's
// dynamic rope, -1 for models without one.
PageKey root_page_key(std::string_view salt, int64_t rope_length);

// The key of the full page that holds `tokens` and follows the page (or root) `parent`.
PageKey next_page_key(const PageKey &parent, std::span<const int32_t> tokens);

} // namespace llmrt
