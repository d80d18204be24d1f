#include "runtime/text/grammar/grammar.h"

#include <algorithm>

namespace llmrt::grammar {

namespace {

uint32_t saturating(uint64_t value) { return uint32_t(std::min<uint64_t>(value, kUnbounded)); }

} // namespace

NodeId Grammar::add(Node node) {
  if (nodes_.size() >= kMaxNodes) too_large_ = "nodes";
  if (node.depth > kMaxDepth) too_large_ = "levels of nesting";
  if (too_large_) { // node 0 stands for all that comes after
    if (nodes_.empty()) nodes_.emplace_back();
    return 0;
  }
  nodes_.push_back(node);
  return NodeId(nodes_.size() - 1);
}

NodeId Grammar::never() { return add({}); }

NodeId Grammar::literal(std::string_view bytes) {
  if (text_.size() + bytes.size() > kMaxText) {
    too_large_ = "bytes of text";
    return never();
  }
  Node node;
  node.kind = NodeKind::kLiteral;
  node.a = uint32_t(text_.size());
  node.b = uint32_t(bytes.size());
  node.weight = node.b;
  text_.append(bytes);
  return add(node);
}

NodeId Grammar::chars(const CharSet &set) {
  if (set.empty()) return never();
  Node node;
  node.kind = NodeKind::kChars;
  node.a = uint32_t(sets_.size());
  node.weight = set.ranges().back().last < 0x80 ? 1 : 8 + uint32_t(set.ranges().size());
  if (!too_large_) sets_.push_back(set);
  return add(node);
}

NodeId Grammar::group(NodeKind kind, std::span<const NodeId> parts) {
  Node node;
  node.kind = kind;
  node.a = uint32_t(children_.size());
  node.b = uint32_t(parts.size());
  uint64_t weight = 1;
  for (NodeId part : parts) {
    weight += nodes_[part].weight;
    node.depth = std::max(node.depth, nodes_[part].depth + 1);
  }
  node.weight = saturating(weight);
  if (children_.size() + parts.size() > 4 * kMaxNodes) too_large_ = "parts";
  else children_.insert(children_.end(), parts.begin(), parts.end());
  return add(node);
}

NodeId Grammar::sequence(std::span<const NodeId> parts) {
  if (parts.size() == 1) return parts[0];
  return parts.empty() ? empty() : group(NodeKind::kSequence, parts);
}

NodeId Grammar::choice(std::span<const NodeId> parts) {
  if (parts.size() == 1) return parts[0];
  return parts.empty() ? never() : group(NodeKind::kChoice, parts);
}

NodeId Grammar::repeat(NodeId child, uint32_t least, uint32_t most) {
  if (most == 0) return empty();
  if (least == 1 && most == 1) return child;
  Node node;
  node.kind = NodeKind::kRepeat;
  node.a = child;
  node.least = least;
  node.most = most;
  const uint32_t copies = std::max(1u, most == kUnbounded ? least : most);
  node.weight = saturating(uint64_t(nodes_[child].weight + 1) * copies);
  node.depth = nodes_[child].depth + 1;
  return add(node);
}

NodeId Grammar::rule(RuleId id) {
  Node node;
  node.kind = NodeKind::kRule;
  node.a = id;
  node.weight = 1;
  return add(node);
}

NodeId Grammar::join(NodeId separator, std::span<const NodeId> parts) {
  std::vector<NodeId> all{separator};
  all.insert(all.end(), parts.begin(), parts.end());
  return group(NodeKind::kJoin, all);
}

RuleId Grammar::add_rule(std::string name) {
  if (rules_.size() >= kMaxRules) {
    too_large_ = "rules";
    return 0;
  }
  rules_.push_back({std::move(name), 0, false});
  return RuleId(rules_.size() - 1);
}

void Grammar::define(RuleId id, NodeId body) {
  rules_[id].body = body;
  rules_[id].defined = true;
}

NodeId Grammar::shared(std::string name, NodeId body) {
  const RuleId id = add_rule(std::move(name));
  define(id, body);
  return rule(id);
}

bool Grammar::starts_with(NodeId id, RuleId rule) const {
  const Node &node = nodes_[id];
  if (node.kind == NodeKind::kRule) return node.a == rule;
  return node.kind == NodeKind::kSequence && starts_with(children(node)[0], rule);
}

void Grammar::remove_direct_left_recursion() {
  for (RuleId id = 0; id < rules_.size(); ++id) {
    std::vector<NodeId> parts{rules_[id].body}, tails, heads;
    if (!rules_[id].defined) continue;
    if (const Node body = nodes_[parts[0]]; body.kind == NodeKind::kChoice)
      parts.assign(children_.begin() + body.a, children_.begin() + body.a + body.b);
    for (NodeId part : parts) {
      if (!starts_with(part, id)) {
        heads.push_back(part);
        continue;
      }
      std::vector<NodeId> rest; // of a sequence whose first part may be a sequence again
      while (nodes_[part].kind == NodeKind::kSequence) {
        const auto all = children(nodes_[part]);
        rest.insert(rest.begin(), all.begin() + 1, all.end());
        part = all[0];
      }
      if (!rest.empty()) tails.push_back(sequence(rest)); // `A ::= A` says nothing
    }
    if (heads.size() == parts.size()) continue;
    const NodeId head = choice(heads);
    rules_[id].body = tails.empty() ? head : sequence({head, repeat(choice(tails), 0, kUnbounded)});
  }
}

Status Grammar::check() const {
  if (!too_large_) return ok_status();
  return Status(StatusCode::kExhausted, std::string("the grammar has too many ") + too_large_ +
                                            "; make it smaller or split the task");
}

} // namespace llmrt::grammar
