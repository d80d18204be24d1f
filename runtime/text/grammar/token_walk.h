// Which tokens a set of stacks lets through: the tokens' tree is walked, and what the automaton refuses is skipped with
// all that is below it.
#pragma once

#include "runtime/text/grammar/stacks.h"
#include "runtime/text/grammar/token_trie.h"

#include <vector>

namespace llmrt::grammar {

class TokenWalk {
public:
  TokenWalk(const TokenTrie &trie, Stacks &stacks) : trie_(trie), stacks_(stacks) {}

  // Tokens found are passed to `found` (a span of ids); nodes at which the bottom is reached, and below which there are
  // more tokens, to `ended` (the node). Nodes [first, last) are siblings with all that is below them; `tops` is where
  // the automaton is before them.
  template <typename Found, typename Ended>
  void run(size_t first, size_t last, const std::vector<StackId> &tops, Found found, Ended ended) {
    if (first >= last) return;
    const size_t base = trie_.node(first).depth;
    live_ = tops;
    levels_.assign(1, {0, live_.size()});
    for (size_t i = first; i < last;) {
      const TrieNode &node = trie_.node(i);
      levels_.resize(node.depth - base + 1);
      const Level above = levels_.back();
      live_.resize(above.end);
      bool complete = false;
      stacks_.advance(live_, above.begin, above.end, node.byte, complete);
      const bool lives = live_.size() > above.end;
      if (lives || complete) found(trie_.tokens_at(i));
      if (complete && trie_.has_below(i)) ended(i);
      if (lives) levels_.push_back({above.end, live_.size()});
      i = lives ? i + 1 : node.skip;
      ++visited_;
    }
  }

  size_t visited() const { return visited_; } // nodes, over all runs

private:
  struct Level {
    size_t begin, end; // in live_
  };
  const TokenTrie &trie_;
  Stacks &stacks_;
  std::vector<StackId> live_;
  std::vector<Level> levels_;
  size_t visited_ = 0;
};

} // namespace llmrt::grammar
