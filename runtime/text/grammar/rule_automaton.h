// One rule's automaton while it is made: first with empty edges, as the rule is written, then without.
#pragma once

#include "runtime/text/grammar/automaton.h"

#include <map>
#include <vector>

namespace llmrt::grammar {

// `rule` of the grammar, or one of the builder's own for what is repeated often.
struct RuleCall {
  RuleId rule = 0;
  uint32_t least = 1, most = 1;
  auto operator<=>(const RuleCall &) const = default;
};

struct RuleState {
  std::vector<ByteEdge> edges;
  std::vector<std::pair<RuleCall, StateId>> calls;
  std::vector<StateId> empty; // until determinize()
  bool final = false;
};

// State 0 is the start.
using RuleAutomaton = std::vector<RuleState>;

// Subset construction; where that would take too many states, the same states with the empty edges taken out.
RuleAutomaton determinize(const RuleAutomaton &rule);

} // namespace llmrt::grammar
