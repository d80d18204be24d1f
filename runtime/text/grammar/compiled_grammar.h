// A grammar ready for use with one model: its automaton, the model's tokens, and, as they are found out, the tokens
// that each state allows whatever surrounds it. The idea of splitting tokens into those that a state alone decides and
// those that need the stack is XGrammar's (Dong et al., 2024, arXiv:2411.15100).
#pragma once

#include "runtime/text/grammar/automaton.h"
#include "runtime/text/grammar/stacks.h"
#include "runtime/text/grammar/token_trie.h"

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace llmrt::grammar {

// The tokens allowed on top of one stack node, as far as the node (and the repetition right below it) decides.
struct StateMask {
  std::vector<uint32_t> words; // a bit an id; or, where they are few,
  std::vector<int32_t> ids;
  // Tree nodes right below the end of what the state matches: whether their tokens are allowed is for the rest of the
  // stack to say. In groups of one byte each, of which nearly all can be passed over.
  struct Group {
    uint8_t byte;
    uint32_t end; // in exits; the group starts where the one before ends
  };
  std::vector<Group> groups;
  std::vector<uint32_t> exits;
  size_t bytes() const {
    return (words.size() + ids.size() + exits.size()) * 4 + groups.size() * sizeof(Group) + sizeof(*this);
  }
};

class CompiledGrammar {
public:
  static constexpr size_t kMaxMaskBytes = 8 << 20; // of state masks kept; above it they are found out anew

  // kInvalidArgument, kExhausted: see Automaton::create().
  static Result<std::shared_ptr<CompiledGrammar>> create(Grammar grammar, std::shared_ptr<const TokenTrie> trie);

  const Automaton &automaton() const { return automaton_; }
  const TokenTrie &trie() const { return *trie_; }
  // Of the stack node `top` of `stacks`. May be called from any thread.
  std::shared_ptr<const StateMask> mask_of(const Stacks &stacks, StackId top);
  // Finds out masks of states in the order of the grammar until about `nodes` tree nodes have been looked at.
  void warm(size_t nodes);
  size_t bytes() const; // in memory now, without the trie

private:
  CompiledGrammar(Automaton automaton, std::shared_ptr<const TokenTrie> trie);
  struct Key {
    StateId state = 0;
    uint32_t repeat = 0; // 1 + index of the call whose repetition is right below
    uint32_t count = 0;
    bool operator==(const Key &) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key &key) const;
  };
  Key key_of(const Stacks &stacks, StackId top) const;
  uint32_t settled_count(const CallEdge &call, uint32_t count) const;
  std::shared_ptr<const StateMask> find(const Key &key);
  std::shared_ptr<const StateMask> make(const Key &key);

  const Automaton automaton_;
  const std::shared_ptr<const TokenTrie> trie_;
  mutable std::mutex mutex_; // guards all below
  Stacks stacks_;
  size_t visited_ = 0;
  std::unordered_map<Key, std::shared_ptr<const StateMask>, KeyHash> masks_;
  size_t mask_bytes_ = 0;
};

// The stack below the part that a StateMask speaks of.
StackId below_mask(const Stacks &stacks, StackId top);

} // namespace llmrt::grammar
