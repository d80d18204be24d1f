// A model's tokens by their bytes, as a tree in depth-first order: what many tokens start with is walked once.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/tokenizer.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace llmrt::grammar {

struct TrieNode {
  uint32_t skip = 0;        // the first node that is not below this one
  uint32_t first_token = 0; // of tokens(): those that end here, then those of the nodes below
  uint16_t depth = 0;       // bytes before this node's own
  uint8_t byte = 0;
};

class TokenTrie {
public:
  static constexpr size_t kMaxTokenBytes = 1024; // longer ones are never allowed by a grammar

  // The tokens with an id below `vocabulary` that are text: special ones are not. kUnsupported: see token_bytes().
  static Result<std::shared_ptr<const TokenTrie>> create(const Tokenizer &tokenizer, int64_t vocabulary);
  // (bytes, id), no bytes empty.
  static std::shared_ptr<const TokenTrie> of(std::vector<std::pair<std::string, int32_t>> tokens, int64_t vocabulary);

  size_t size() const { return nodes_.size() - 1; }
  const TrieNode &node(size_t i) const { return nodes_[i]; }
  // That end at node i.
  std::span<const int32_t> tokens_at(size_t i) const {
    return {tokens_.data() + nodes_[i].first_token, nodes_[i + 1].first_token - nodes_[i].first_token};
  }
  bool has_below(size_t i) const { return nodes_[i].skip > i + 1; }
  // Empty: not text.
  std::string_view bytes_of(int32_t id) const;
  int64_t vocabulary() const { return vocabulary_; }
  size_t mask_words() const { return size_t(vocabulary_ + 31) / 32; }
  size_t longest() const { return longest_; } // bytes

private:
  std::vector<TrieNode> nodes_; // and one more, the end
  std::vector<int32_t> tokens_;
  std::string text_;            // of all tokens, by id
  std::vector<uint32_t> ends_;
  int64_t vocabulary_ = 0;
  size_t longest_ = 0;
};

} // namespace llmrt::grammar
