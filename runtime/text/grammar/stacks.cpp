#include "runtime/text/grammar/stacks.h"

#include <algorithm>

namespace llmrt::grammar {

Stacks::Stacks(const Automaton &automaton) : automaton_(automaton), nodes_(1), seen_(1) { rehash(64); }

size_t Stacks::hash(const StackNode &node) {
  uint64_t h = (uint64_t(node.tag) << 32 | node.below) * 0x9e3779b97f4a7c15u;
  h ^= (h >> 29) + node.count * 0xbf58476d1ce4e5b9u;
  return size_t(h ^ h >> 32);
}

void Stacks::rehash(size_t slots) {
  slots_.assign(slots, 0);
  for (StackId id = 1; id < nodes_.size(); ++id) {
    size_t at = hash(nodes_[id]) & (slots - 1);
    while (slots_[at] != 0) at = (at + 1) & (slots - 1);
    slots_[at] = id + 1;
  }
}

StackId Stacks::intern(StackNode node) {
  const size_t mask = slots_.size() - 1;
  size_t at = hash(node) & mask;
  for (; slots_[at] != 0; at = (at + 1) & mask) {
    const StackNode &other = nodes_[slots_[at] - 1];
    if (other.tag == node.tag && other.below == node.below && other.count == node.count) return slots_[at] - 1;
  }
  if (nodes_.size() >= kMaxNodes) {
    overflowed_ = true;
    return 0;
  }
  const StackId id = StackId(nodes_.size());
  nodes_.push_back(node);
  seen_.push_back(0);
  slots_[at] = id + 1;
  if (nodes_.size() * 2 > slots_.size()) rehash(slots_.size() * 2);
  return id;
}

bool Stacks::mark(StackId id) {
  if (overflowed_ || seen_[id] == now_) return false;
  seen_[id] = now_;
  return true;
}

void Stacks::open() {
  if (++now_ == 0) {
    std::fill(seen_.begin(), seen_.end(), 0);
    now_ = 1;
  }
}

void Stacks::add_top(StackId id, std::vector<StackId> &tops) {
  if (tops.size() - tops_before_ >= kMaxTops) overflowed_ = true;
  else tops.push_back(id);
}

void Stacks::start(StateId state, StackId below, std::vector<StackId> &tops, bool &complete) {
  open();
  tops_before_ = tops.size();
  push(state, below);
  settle(tops, complete);
}

void Stacks::pop(StackId frame, std::vector<StackId> &tops, bool &complete) {
  open();
  tops_before_ = tops.size();
  unwind(frame, complete);
  settle(tops, complete);
}

// One stack and one way on, which inside strings is nearly always so; false: it is not.
bool Stacks::advance_one(std::vector<StackId> &tops, size_t at, uint8_t byte) {
  const StackNode from = nodes_[tops[at]];
  const ByteEdge *way = nullptr;
  for (const ByteEdge &edge : automaton_.edges(automaton_.state(from.tag))) {
    if (edge.first > byte) break;
    if (edge.last < byte) continue;
    if (way) return false;
    way = &edge;
  }
  if (!way) return true;
  if (!automaton_.state(way->to).plain()) return false;
  tops.push_back(way->to == from.tag ? tops[at] : intern({way->to, 0, from.below}));
  return true;
}

void Stacks::advance(std::vector<StackId> &tops, size_t begin, size_t end, uint8_t byte, bool &complete) {
  if (end - begin == 1 && advance_one(tops, begin, byte)) return;
  open();
  tops_before_ = tops.size();
  for (size_t i = begin; i < end; ++i) {
    const StackId top = tops[i];
    const StackNode from = nodes_[top];
    for (const ByteEdge &edge : automaton_.edges(automaton_.state(from.tag))) {
      if (edge.first > byte) break;
      if (edge.last < byte) continue;
      if (edge.to != from.tag || !automaton_.state(edge.to).plain()) push(edge.to, from.below);
      else if (mark(top)) add_top(top, tops); // the usual case inside a string
    }
  }
  settle(tops, complete);
}

// What is left to do after the end of a rule: `frame` says where it was called.
void Stacks::unwind(StackId frame, bool &complete) {
  if (frame == 0) {
    complete = true;
    return;
  }
  const StackNode node = nodes_[frame];
  if (!(node.tag & kRepeatTag)) return push(node.tag, node.below);
  const CallEdge &call = automaton_.call(node.tag & ~kRepeatTag);
  const uint32_t count = call.most == kUnbounded ? std::min(node.count + 1, call.least) : node.count + 1;
  if (count >= call.least) push(call.to, node.below);
  if (call.most == kUnbounded || count < call.most) push(call.start, intern({node.tag, count, node.below}));
}

void Stacks::call(const State &from, StackId below) {
  const auto calls = automaton_.calls(from);
  for (size_t i = 0; i < calls.size(); ++i) {
    const CallEdge &call = calls[i];
    if (call.repeats()) {
      if (call.least == 0) push(call.to, below);
      if (call.most > 0) push(call.start, intern({kRepeatTag | uint32_t(from.first_call + i), 0, below}));
    } else if (automaton_.state(call.to).last()) { // the caller's own end follows: nothing to come back for
      push(call.start, below);
    } else {
      push(call.start, intern({call.to, 0, below}));
    }
  }
}

void Stacks::settle(std::vector<StackId> &tops, bool &complete) {
  while (!pending_.empty()) {
    const Pending next = pending_.back();
    pending_.pop_back();
    const StackId id = intern({next.state, 0, next.below});
    if (!mark(id)) continue;
    const State &state = automaton_.state(next.state);
    if (state.edges > 0) add_top(id, tops);
    if (state.final) unwind(next.below, complete);
    if (state.calls > 0) call(state, next.below);
  }
}

// A node's `below` has a smaller id than the node.
void Stacks::compact(std::vector<StackId> &roots) {
  std::vector<StackId> renamed(nodes_.size(), 0);
  for (StackId root : roots) renamed[root] = 1;
  for (StackId id = StackId(nodes_.size()); id-- > 1;)
    if (renamed[id]) renamed[nodes_[id].below] = 1;
  StackId next = 1;
  renamed[0] = 0;
  for (StackId id = 1; id < nodes_.size(); ++id) {
    if (!renamed[id]) continue;
    nodes_[next] = {nodes_[id].tag, nodes_[id].count, renamed[nodes_[id].below]};
    renamed[id] = next++;
  }
  for (StackId &root : roots) root = renamed[root];
  nodes_.resize(next);
  seen_.assign(next, 0);
  now_ = 0;
  size_t slots = 64;
  while (slots < 4 * nodes_.size()) slots *= 2;
  rehash(slots);
}

} // namespace llmrt::grammar
