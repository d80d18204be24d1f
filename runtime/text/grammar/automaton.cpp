#include "runtime/text/grammar/automaton.h"

#include "runtime/text/grammar/rule_automaton.h"

#include <algorithm>
#include <string>
#include <utility>

namespace llmrt::grammar {

namespace {

// What is repeated and takes more states than this written out becomes a rule that is counted instead.
constexpr uint64_t kMaxUnrolled = 512;

} // namespace

class AutomatonBuilder {
public:
  explicit AutomatonBuilder(Grammar grammar) : grammar_(std::move(grammar)) {}

  Result<Automaton> run() {
    grammar_.remove_direct_left_recursion();
    if (Status status = grammar_.check(); !status.ok()) return status;
    for (RuleId id = 0; id < grammar_.rule_count(); ++id) {
      if (!grammar_.defined(id)) return invalid("the rule " + grammar_.rule_name(id) + " is used but not defined");
      bodies_.push_back(grammar_.body(id));
      names_.push_back(grammar_.rule_name(id));
    }
    wanted_.assign(bodies_.size(), false);
    want(grammar_.root());
    for (size_t i = 0; i < order_.size(); ++i)
      if (Status status = build_rule(order_[i]); !status.ok()) return status;
    if (Status status = link(); !status.ok()) return status;
    if (Status status = refuse_left_recursion(); !status.ok()) return status;
    return trim() ? Result<Automaton>(std::move(out_))
                  : invalid("the grammar matches nothing: the rule " + names_[grammar_.root()] + " can never end");
  }

private:
  static Status invalid(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }
  static Status too_large() {
    return Status(StatusCode::kExhausted, "the grammar takes too many states; make it smaller");
  }

  void want(RuleId id) {
    if (wanted_[id]) return;
    wanted_[id] = true;
    order_.push_back(id);
  }

  // ---- one rule -----------------------------------------------------------------------------------------------------
  StateId new_state() {
    rule_.emplace_back();
    return StateId(rule_.size() - 1);
  }

  Status build_rule(RuleId id) {
    rule_.clear();
    const StateId start = new_state(), end = append(bodies_[id], start);
    rule_[end].final = true;
    if (rule_.size() > Automaton::kMaxStates) return too_large();
    RuleAutomaton states = determinize(rule_);
    rules_.resize(std::max(rules_.size(), size_t(id) + 1));
    total_ += states.size();
    for (const RuleState &state : states) {
      edge_total_ += state.edges.size() + state.calls.size();
      for (const auto &call : state.calls) want(call.first.rule);
      if (state.edges.size() > UINT16_MAX || state.calls.size() > UINT16_MAX) return too_large();
    }
    rules_[id] = std::move(states);
    return total_ > Automaton::kMaxStates || edge_total_ > Automaton::kMaxEdges ? too_large() : ok_status();
  }

  // Adds what matches the node from `from` on; the state after it.
  StateId append(NodeId id, StateId from) {
    if (rule_.size() > Automaton::kMaxStates) return from; // build_rule() sees it
    const Node node = grammar_.node(id);
    switch (node.kind) {
    case NodeKind::kNever: return new_state();
    case NodeKind::kLiteral:
      for (char c : grammar_.text(node)) from = append_bytes({uint8_t(c), uint8_t(c)}, from);
      return from;
    case NodeKind::kChars: return append_chars(grammar_.set(node), from);
    case NodeKind::kSequence: {
      const auto parts = grammar_.children(node);
      for (NodeId part : parts) from = append(part, from);
      return from;
    }
    case NodeKind::kChoice: {
      const StateId end = new_state();
      for (NodeId part : grammar_.children(node)) {
        const StateId begin = new_state();
        rule_[from].empty.push_back(begin);
        const StateId last = append(part, begin);
        rule_[last].empty.push_back(end);
      }
      return end;
    }
    case NodeKind::kRepeat: return append_repeat(node, from);
    case NodeKind::kJoin: return append_join(node, from);
    case NodeKind::kRule: return append_call({RuleId(node.a), 1, 1}, from);
    }
    return from;
  }

  StateId append_bytes(ByteSequence::Range range, StateId from) {
    const StateId to = new_state();
    rule_[from].edges.push_back({range.first, range.last, to});
    return to;
  }

  StateId append_chars(const CharSet &set, StateId from) {
    const StateId end = new_state();
    std::vector<ByteSequence> sequences;
    for (CharRange range : set.ranges()) append_utf8_sequences(range, sequences);
    for (const ByteSequence &sequence : sequences) {
      StateId at = from;
      for (int i = 0; i + 1 < sequence.length; ++i) at = append_bytes(sequence.ranges[size_t(i)], at);
      const auto last = sequence.ranges[size_t(sequence.length - 1)];
      rule_[at].edges.push_back({last.first, last.last, end});
    }
    return end;
  }

  StateId append_call(RuleCall call, StateId from) {
    const StateId to = new_state();
    rule_[from].calls.emplace_back(call, to);
    return to;
  }

  StateId append_repeat(const Node &node, StateId from) {
    const uint64_t copies = node.most == kUnbounded ? node.least + 1u : node.most;
    const bool star = node.least <= 1 && node.most == kUnbounded;
    if (!star && copies > 1 && copies * (grammar_.node(node.a).weight + 1) > kMaxUnrolled)
      return append_call({counted_rule(node.a), node.least, node.most}, from);
    const uint32_t copied = star ? 0 : node.least;
    for (uint32_t i = 0; i < copied; ++i) from = append(node.a, from);
    if (node.most == kUnbounded) {
      const StateId begin = new_state(), end = new_state();
      rule_[from].empty.push_back(begin);
      const StateId last = append(node.a, begin);
      rule_[last].empty.push_back(begin);
      rule_[node.least == 1 ? last : begin].empty.push_back(end);
      return end;
    }
    const StateId end = new_state();
    for (uint32_t i = node.least; i < node.most; ++i) {
      rule_[from].empty.push_back(end);
      const StateId begin = new_state();
      rule_[from].empty.push_back(begin);
      from = append(node.a, begin);
    }
    rule_[from].empty.push_back(end);
    return end;
  }

  // Two rows of states: before the first part that is there, and after it.
  StateId append_join(const Node &node, StateId none) {
    const auto children = grammar_.children(node);
    const std::vector<NodeId> parts(children.begin() + 1, children.end());
    StateId some = new_state();
    bool may_be_none = true;
    for (NodeId id : parts) {
      const Node part = grammar_.node(id);
      const bool skips = part.kind == NodeKind::kRepeat && part.least == 0;
      const bool again = skips && part.most == kUnbounded;
      const NodeId body = skips ? part.a : id;
      const StateId next = new_state();
      if (may_be_none) rule_[append(body, none)].empty.push_back(next);
      const StateId last = append(body, append(children[0], some));
      rule_[last].empty.push_back(next);
      if (again) rule_[next].empty.push_back(some);
      if (skips) rule_[some].empty.push_back(next);
      may_be_none = may_be_none && skips;
      some = next;
    }
    const StateId end = new_state();
    rule_[some].empty.push_back(end);
    if (may_be_none) rule_[none].empty.push_back(end);
    return end;
  }

  RuleId counted_rule(NodeId body) {
    const auto [at, is_new] = counted_.try_emplace(body, RuleId(bodies_.size()));
    if (is_new) {
      bodies_.push_back(body);
      names_.push_back("of a repetition");
      wanted_.push_back(false);
    }
    return at->second;
  }

  // ---- all rules together -------------------------------------------------------------------------------------------
  Status link() {
    std::vector<StateId> starts(bodies_.size(), 0);
    StateId next = 0;
    for (RuleId id : order_) {
      starts[id] = next;
      next += StateId(rules_[id].size());
    }
    for (RuleId id : order_) {
      for (const RuleState &from : rules_[id]) {
        State state;
        state.first_edge = uint32_t(out_.edges_.size());
        state.first_call = uint32_t(out_.calls_.size());
        state.edges = uint16_t(from.edges.size());
        state.calls = uint16_t(from.calls.size());
        state.final = from.final;
        for (ByteEdge edge : from.edges) out_.edges_.push_back({edge.first, edge.last, edge.to + starts[id]});
        for (const auto &[call, to] : from.calls)
          out_.calls_.push_back({starts[call.rule], to + starts[id], call.least, call.most});
        out_.states_.push_back(state);
      }
      starts_.push_back(starts[id]);
      rules_[id].clear();
    }
    out_.start_ = starts[grammar_.root()];
    find_empty_rules();
    for (CallEdge &call : out_.calls_) // a repetition of what may be empty may be of nothing at all
      if (call.repeats() && may_be_empty(call.start)) call.least = 0;
    return ok_status();
  }

  bool may_be_empty(StateId start) const { return empty_[rule_of(start)]; }
  size_t rule_of(StateId state) const { // index into order_
    return size_t(std::upper_bound(starts_.begin(), starts_.end(), state) - starts_.begin()) - 1;
  }

  // The states that a rule's start reaches without a byte.
  std::vector<StateId> reached(StateId start) const {
    std::vector<StateId> out{start};
    for (size_t i = 0; i < out.size(); ++i)
      for (const CallEdge &call : out_.calls(out_.state(out[i]))) {
        const bool passes = call.least == 0 || may_be_empty(call.start);
        if (passes && std::find(out.begin(), out.end(), call.to) == out.end()) out.push_back(call.to);
      }
    return out;
  }

  void find_empty_rules() {
    empty_.assign(order_.size(), false);
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = order_.size(); i-- > 0;) {
        if (empty_[i]) continue;
        for (StateId id : reached(starts_[i])) empty_[i] = empty_[i] || out_.state(id).final;
        changed |= empty_[i];
      }
    }
  }

  // Depth first over the rules that a rule may call before its first byte.
  Status refuse_left_recursion() const {
    enum Color : uint8_t { kNew, kOpen, kDone };
    std::vector<uint8_t> colors(order_.size(), kNew);
    std::vector<std::pair<size_t, std::vector<size_t>>> path;
    const auto enter = [&](size_t rule) {
      std::vector<size_t> next;
      for (StateId id : reached(starts_[rule]))
        for (const CallEdge &call : out_.calls(out_.state(id))) next.push_back(rule_of(call.start));
      colors[rule] = kOpen;
      path.emplace_back(rule, std::move(next));
    };
    for (size_t root = 0; root < order_.size(); ++root) {
      if (colors[root] == kNew) enter(root);
      while (!path.empty()) {
        auto &[rule, next] = path.back();
        if (next.empty()) {
          colors[rule] = kDone;
          path.pop_back();
          continue;
        }
        const size_t callee = next.back();
        next.pop_back();
        if (colors[callee] == kOpen)
          return invalid("the rule " + names_[order_[callee]] +
                         " calls itself, through other rules, before anything is matched; write the recursion to the "
                         "right");
        if (colors[callee] == kNew) enter(callee);
      }
    }
    return ok_status();
  }

  // Takes out every edge from which the rule cannot end any more; false if that is the whole grammar. States come in
  // the order in which they are reached, so going backwards settles nearly all at once.
  bool trim() {
    std::vector<bool> ends(out_.states_.size(), false);
    const auto call_ends = [&](const CallEdge &call) { return (call.least == 0 || ends[call.start]) && ends[call.to]; };
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = ends.size(); i-- > 0;) {
        if (ends[i]) continue;
        const State &state = out_.states_[i];
        const auto edges = out_.edges(state);
        const auto calls = out_.calls(state);
        ends[i] = state.final || std::any_of(edges.begin(), edges.end(), [&](auto &e) { return ends[e.to]; }) ||
                  std::any_of(calls.begin(), calls.end(), call_ends);
        changed |= ends[i];
      }
    }
    for (State &state : out_.states_) {
      const auto first_edge = out_.edges_.begin() + state.first_edge;
      const auto first_call = out_.calls_.begin() + state.first_call;
      const auto last_edge =
          std::remove_if(first_edge, first_edge + state.edges, [&](auto &edge) { return !ends[edge.to]; });
      const auto last_call =
          std::remove_if(first_call, first_call + state.calls, [&](auto &call) { return !call_ends(call); });
      state.edges = uint16_t(last_edge - first_edge);
      state.calls = uint16_t(last_call - first_call);
    }
    for (CallEdge &call : out_.calls_)
      if (!ends[call.start]) call.most = 0; // only its zero times are left
    return ends[out_.start_];
  }

  Grammar grammar_;
  std::vector<NodeId> bodies_; // of the grammar's rules, then of counted ones
  std::vector<std::string> names_;
  std::vector<bool> wanted_;
  std::vector<RuleId> order_; // rules that the root reaches
  std::map<NodeId, RuleId> counted_;
  RuleAutomaton rule_; // the one in work
  std::vector<RuleAutomaton> rules_;
  size_t total_ = 0, edge_total_ = 0;
  std::vector<StateId> starts_; // of order_, ascending
  std::vector<bool> empty_;     // of order_
  Automaton out_;
};

Result<Automaton> Automaton::create(Grammar grammar) { return AutomatonBuilder(std::move(grammar)).run(); }

} // namespace llmrt::grammar
