// What a text may be: rules over characters, as every front end (GBNF, EBNF, regular expressions, JSON Schema) writes
// them and the automaton reads them. Built bottom up; nothing is checked but size, so that a hostile source costs
// bounded memory.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/grammar/char_set.h"

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::grammar {

using NodeId = uint32_t;
using RuleId = uint32_t;

inline constexpr uint32_t kUnbounded = std::numeric_limits<uint32_t>::max();

enum class NodeKind : uint8_t { kNever, kLiteral, kChars, kSequence, kChoice, kRepeat, kRule, kJoin };

// kLiteral: bytes [a, a + b) of the text store. kChars: set a. kSequence, kChoice: children [a, a + b). kRepeat: node
// a, `least` to `most` times. kRule: rule a. kJoin: children [a, a + b), the first between each two of the others.
struct Node {
  NodeKind kind = NodeKind::kNever;
  uint32_t a = 0, b = 0, least = 0, most = 0;
  uint32_t weight = 0; // about how many states it takes, saturating
  uint32_t depth = 0;  // of nodes below it
};

class Grammar {
public:
  static constexpr size_t kMaxNodes = 1 << 18, kMaxRules = 1 << 16, kMaxText = 4 << 20;
  static constexpr uint32_t kMaxDepth = 500;

  NodeId never();
  NodeId empty() { return literal({}); }
  NodeId literal(std::string_view bytes);
  NodeId chars(const CharSet &set);
  NodeId sequence(std::span<const NodeId> parts);
  NodeId sequence(std::initializer_list<NodeId> parts) { return sequence(std::span(parts.begin(), parts.size())); }
  NodeId choice(std::span<const NodeId> parts);
  NodeId choice(std::initializer_list<NodeId> parts) { return choice(std::span(parts.begin(), parts.size())); }
  // least <= most; most may be kUnbounded.
  NodeId repeat(NodeId node, uint32_t least, uint32_t most);
  NodeId optional(NodeId node) { return repeat(node, 0, 1); }
  NodeId rule(RuleId id);
  // The parts in order with the separator between each two that are there. A part that is optional() may be left out;
  // one that is repeat(x, 0, kUnbounded) may come any number of times, with separators.
  NodeId join(NodeId separator, std::span<const NodeId> parts);

  // A rule without a definition yet; `name` is for messages.
  RuleId add_rule(std::string name);
  void define(RuleId id, NodeId body);
  // A rule around a node: what is used from several places exists once.
  NodeId shared(std::string name, NodeId body);
  void set_root(RuleId id) { root_ = id; }

  RuleId root() const { return root_; }
  size_t rule_count() const { return rules_.size(); }
  const std::string &rule_name(RuleId id) const { return rules_[id].name; }
  bool defined(RuleId id) const { return rules_[id].defined; }
  NodeId body(RuleId id) const { return rules_[id].body; }
  const Node &node(NodeId id) const { return nodes_[id]; }
  std::span<const NodeId> children(const Node &node) const { return {children_.data() + node.a, node.b}; }
  std::string_view text(const Node &node) const { return std::string_view(text_).substr(node.a, node.b); }
  const CharSet &set(const Node &node) const { return sets_[node.a]; }

  // `A ::= A x | y` becomes `A ::= y x*`. Recursion to the left through other rules stays; the automaton refuses it.
  void remove_direct_left_recursion();

  // kExhausted once anything has passed a limit; what was built since then is not the grammar that was meant.
  Status check() const;

private:
  struct Rule {
    std::string name;
    NodeId body = 0;
    bool defined = false;
  };
  NodeId add(Node node);
  NodeId group(NodeKind kind, std::span<const NodeId> parts);
  bool starts_with(NodeId node, RuleId rule) const;

  std::vector<Node> nodes_;
  std::vector<NodeId> children_;
  std::vector<CharSet> sets_;
  std::string text_;
  std::vector<Rule> rules_;
  RuleId root_ = 0;
  const char *too_large_ = nullptr; // what there is too much of
};

} // namespace llmrt::grammar
