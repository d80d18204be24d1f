// A grammar as a pushdown automaton over bytes. Each rule is an automaton of its own (deterministic where that stays
// small) whose edges are bytes or calls of other rules; a call pushes where to go on. All states of all rules share one
// numbering. Immutable once made, so that any number of matchers may read it.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/grammar/grammar.h"

#include <cstdint>
#include <span>
#include <vector>

namespace llmrt::grammar {

using StateId = uint32_t;

struct ByteEdge {
  uint8_t first = 0, last = 0;
  StateId to = 0;
};

// Runs the rule that starts at `start` from `least` to `most` times, then goes on at `to`.
struct CallEdge {
  StateId start = 0, to = 0;
  uint32_t least = 1, most = 1;
  bool repeats() const { return least != 1 || most != 1; }
};

struct State {
  uint32_t first_edge = 0, first_call = 0;
  uint16_t edges = 0, calls = 0; // edges are sorted by byte; they overlap only where a rule is not deterministic
  bool final = false;
  bool plain() const { return calls == 0 && !final; }              // only bytes lead on
  bool last() const { return final && calls == 0 && edges == 0; } // nothing but the rule's end
};

class Automaton {
public:
  static constexpr size_t kMaxStates = 1 << 18, kMaxEdges = 1 << 20;

  // kInvalidArgument naming the rule: one is not defined, recurs to the left, or can never end. kExhausted: too large.
  static Result<Automaton> create(Grammar grammar);

  StateId start() const { return start_; }
  size_t size() const { return states_.size(); }
  const State &state(StateId id) const { return states_[id]; }
  std::span<const ByteEdge> edges(const State &state) const { return {edges_.data() + state.first_edge, state.edges}; }
  std::span<const CallEdge> calls(const State &state) const { return {calls_.data() + state.first_call, state.calls}; }
  const CallEdge &call(uint32_t index) const { return calls_[index]; }
  size_t bytes() const {
    return states_.size() * sizeof(State) + edges_.size() * sizeof(ByteEdge) + calls_.size() * sizeof(CallEdge);
  }

private:
  friend class AutomatonBuilder;
  std::vector<State> states_;
  std::vector<ByteEdge> edges_;
  std::vector<CallEdge> calls_;
  StateId start_ = 0;
};

} // namespace llmrt::grammar
