#include "runtime/text/grammar/rule_automaton.h"

#include <algorithm>
#include <iterator>

namespace llmrt::grammar {

namespace {

using Subset = std::vector<StateId>; // sorted

constexpr size_t kMaxSubsets = 20000, kMaxMembers = 4 << 20;

class Determinizer {
public:
  explicit Determinizer(const RuleAutomaton &rule) : rule_(rule), marks_(rule.size()) {}

  // False: too many.
  bool run() {
    number({0});
    for (size_t i = 0; i < subsets_.size(); ++i) {
      if (subsets_.size() > kMaxSubsets || members_ > kMaxMembers) return false;
      expand(i);
    }
    return true;
  }

  // The states as they are, each with what its empty edges reach.
  void keep() {
    out_.assign(rule_.size(), {});
    for (StateId i = 0; i < rule_.size(); ++i)
      for (StateId member : closure({i})) {
        const RuleState &from = rule_[member];
        out_[i].final |= from.final;
        out_[i].edges.insert(out_[i].edges.end(), from.edges.begin(), from.edges.end());
        out_[i].calls.insert(out_[i].calls.end(), from.calls.begin(), from.calls.end());
      }
    for (RuleState &state : out_)
      std::sort(state.edges.begin(), state.edges.end(), [](auto &a, auto &b) { return a.first < b.first; });
  }

  RuleAutomaton take() { return std::move(out_); }

private:
  Subset closure(Subset from) {
    ++mark_;
    for (StateId id : from) marks_[id] = mark_;
    for (size_t i = 0; i < from.size(); ++i)
      for (StateId to : rule_[from[i]].empty)
        if (std::exchange(marks_[to], mark_) != mark_) from.push_back(to);
    std::sort(from.begin(), from.end());
    return from;
  }

  StateId number(Subset targets) {
    Subset all = closure(std::move(targets));
    const auto [at, is_new] = numbers_.try_emplace(all, StateId(subsets_.size()));
    if (is_new) {
      members_ += all.size();
      subsets_.push_back(std::move(all));
      out_.emplace_back();
    }
    return at->second;
  }

  void expand(size_t index) {
    const Subset subset = subsets_[index];
    RuleState state;
    std::vector<ByteEdge> edges;
    std::map<RuleCall, Subset> calls;
    for (StateId id : subset) {
      const RuleState &from = rule_[id];
      state.final |= from.final;
      edges.insert(edges.end(), from.edges.begin(), from.edges.end());
      for (const auto &[call, to] : from.calls) calls[call].push_back(to);
    }
    add_edges(edges, state);
    for (auto &[call, to] : calls) state.calls.emplace_back(call, number(unique(std::move(to))));
    out_[index] = std::move(state);
  }

  static Subset unique(Subset set) {
    std::sort(set.begin(), set.end());
    set.erase(std::unique(set.begin(), set.end()), set.end());
    return set;
  }

  // Cuts the byte edges where any of them starts or ends.
  void add_edges(std::vector<ByteEdge> &edges, RuleState &state) {
    std::sort(edges.begin(), edges.end(), [](auto &a, auto &b) { return a.first < b.first; });
    std::vector<uint32_t> cuts;
    for (const ByteEdge &edge : edges) {
      cuts.push_back(edge.first);
      cuts.push_back(edge.last + 1u);
    }
    cuts = unique(std::move(cuts));
    Subset active, before;
    size_t next = 0;
    std::vector<ByteEdge> live;
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      while (next < edges.size() && edges[next].first <= cuts[i]) live.push_back(edges[next++]);
      std::erase_if(live, [&](const ByteEdge &edge) { return edge.last < cuts[i]; });
      if (live.empty()) continue;
      active.clear();
      for (const ByteEdge &edge : live) active.push_back(edge.to);
      active = unique(std::move(active));
      const uint8_t last = uint8_t(cuts[i + 1] - 1);
      const bool joins = !state.edges.empty() && active == before && state.edges.back().last + 1u == cuts[i];
      if (joins) state.edges.back().last = last;
      else state.edges.push_back({uint8_t(cuts[i]), last, number(active)});
      before = active;
    }
  }

  const RuleAutomaton &rule_;
  RuleAutomaton out_;
  std::map<Subset, StateId> numbers_;
  std::vector<Subset> subsets_;
  std::vector<uint32_t> marks_;
  uint32_t mark_ = 0;
  size_t members_ = 0;
};

} // namespace

RuleAutomaton determinize(const RuleAutomaton &rule) {
  Determinizer work(rule);
  if (!work.run()) work.keep();
  return work.take();
}

} // namespace llmrt::grammar
