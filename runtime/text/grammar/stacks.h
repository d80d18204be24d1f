// The stacks of a pushdown automaton, shared and counted by number: equal stacks have equal ids, so that a set of them
// is a set of integers. Follows all ways through the automaton at once.
#pragma once

#include "runtime/text/grammar/automaton.h"

#include <cstdint>
#include <vector>

namespace llmrt::grammar {

// 0 is the bottom. Any other id is a state, or a repetition and how often its rule has ended, over another stack.
using StackId = uint32_t;

struct StackNode {
  uint32_t tag = 0; // a state; kRepeatTag | index of a call
  uint32_t count = 0;
  StackId below = 0;
};

inline constexpr uint32_t kRepeatTag = 0x80000000u;

class Stacks {
public:
  static constexpr size_t kMaxNodes = 1 << 17, kMaxTops = 1 << 12;

  explicit Stacks(const Automaton &automaton); // which must outlive it

  // These append stacks whose top state has byte edges to `tops`, none twice in one call, and set `complete` if the
  // bottom is reached: the rule at the bottom may end here.
  void start(StateId state, StackId below, std::vector<StackId> &tops, bool &complete);
  void pop(StackId frame, std::vector<StackId> &tops, bool &complete);
  // From tops[begin, end) over one byte.
  void advance(std::vector<StackId> &tops, size_t begin, size_t end, uint8_t byte, bool &complete);

  StackId intern(StackNode node);
  const StackNode &node(StackId id) const { return nodes_[id]; }
  size_t size() const { return nodes_.size(); }
  // Keeps what the roots need; their ids change.
  void compact(std::vector<StackId> &roots);
  // There was no room for a stack: what was appended since is not all. Stays so.
  bool overflowed() const { return overflowed_; }

private:
  struct Pending {
    StateId state;
    StackId below;
  };
  void open();
  void push(StateId state, StackId below) { pending_.push_back({state, below}); }
  void unwind(StackId frame, bool &complete);
  void settle(std::vector<StackId> &tops, bool &complete);
  void call(const State &from, StackId below);
  bool advance_one(std::vector<StackId> &tops, size_t at, uint8_t byte);
  bool mark(StackId id); // true: not seen in this call yet
  void add_top(StackId id, std::vector<StackId> &tops);
  void rehash(size_t slots);
  static size_t hash(const StackNode &node);

  const Automaton &automaton_;
  std::vector<StackNode> nodes_;
  std::vector<uint32_t> slots_; // open addressing: id + 1
  std::vector<uint32_t> seen_;  // the call in which a node was seen last
  std::vector<Pending> pending_;
  uint32_t now_ = 0;
  size_t tops_before_ = 0;
  bool overflowed_ = false;
};

} // namespace llmrt::grammar
