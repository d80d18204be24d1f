#include "runtime/text/grammar/compiled_grammar.h"

#include "runtime/text/grammar/token_walk.h"

#include <algorithm>
#include <array>

namespace llmrt::grammar {

namespace {

constexpr size_t kMaxLocalStacks = 1 << 15;

void group_exits(const TokenTrie &trie, const std::vector<uint32_t> &exits, StateMask &out) {
  std::array<uint32_t, 257> starts{};
  for (uint32_t node : exits) ++starts[trie.node(node).byte + 1u];
  for (size_t byte = 0; byte < 256; ++byte) starts[byte + 1] += starts[byte];
  for (size_t byte = 0; byte < 256; ++byte)
    if (starts[byte + 1] > starts[byte]) out.groups.push_back({uint8_t(byte), starts[byte + 1]});
  out.exits.resize(exits.size());
  for (uint32_t node : exits) out.exits[starts[trie.node(node).byte]++] = node;
}

} // namespace

StackId below_mask(const Stacks &stacks, StackId top) {
  const StackId below = stacks.node(top).below;
  const bool repeats = below != 0 && (stacks.node(below).tag & kRepeatTag);
  return repeats ? stacks.node(below).below : below;
}

size_t CompiledGrammar::KeyHash::operator()(const Key &key) const {
  uint64_t h = (uint64_t(key.state) << 32 | key.count) * 0x9e3779b97f4a7c15u + key.repeat;
  return size_t(h ^ h >> 31);
}

CompiledGrammar::CompiledGrammar(Automaton automaton, std::shared_ptr<const TokenTrie> trie)
    : automaton_(std::move(automaton)), trie_(std::move(trie)), stacks_(automaton_) {}

Result<std::shared_ptr<CompiledGrammar>> CompiledGrammar::create(Grammar grammar,
                                                                 std::shared_ptr<const TokenTrie> trie) {
  Result<Automaton> automaton = Automaton::create(std::move(grammar));
  if (!automaton.ok()) return automaton.status();
  return std::shared_ptr<CompiledGrammar>(new CompiledGrammar(std::move(*automaton), std::move(trie)));
}

// A count stands for all from which no token is long enough to reach a bound: their masks are equal.
uint32_t CompiledGrammar::settled_count(const CallEdge &call, uint32_t count) const {
  const size_t reach = trie_->longest();
  if (count < call.least) return call.least - count > reach ? 0 : count;
  return call.most == kUnbounded || call.most - count > reach ? call.least : count;
}

CompiledGrammar::Key CompiledGrammar::key_of(const Stacks &stacks, StackId top) const {
  const StackNode node = stacks.node(top);
  Key key{node.tag, 0, 0};
  const StackNode below = stacks.node(node.below);
  if (node.below != 0 && (below.tag & kRepeatTag)) {
    const uint32_t index = below.tag & ~kRepeatTag;
    key.repeat = index + 1;
    key.count = settled_count(automaton_.call(index), below.count);
  }
  return key;
}

std::shared_ptr<const StateMask> CompiledGrammar::mask_of(const Stacks &stacks, StackId top) {
  const Key key = key_of(stacks, top);
  std::lock_guard lock(mutex_);
  return find(key);
}

std::shared_ptr<const StateMask> CompiledGrammar::find(const Key &key) {
  if (const auto found = masks_.find(key); found != masks_.end()) return found->second;
  std::shared_ptr<const StateMask> mask = make(key);
  if (!mask) return nullptr;
  if (mask_bytes_ + mask->bytes() > kMaxMaskBytes) {
    masks_.clear();
    mask_bytes_ = 0;
  }
  mask_bytes_ += mask->bytes();
  masks_.emplace(key, mask);
  return mask;
}

std::shared_ptr<const StateMask> CompiledGrammar::make(const Key &key) {
  std::vector<StackId> tops;
  if (stacks_.size() > kMaxLocalStacks) stacks_.compact(tops);
  const StackId below = key.repeat ? stacks_.intern({kRepeatTag | (key.repeat - 1), key.count, 0}) : 0;
  tops.push_back(stacks_.intern({key.state, 0, below}));
  auto out = std::make_shared<StateMask>();
  std::vector<uint32_t> exits;
  TokenWalk walk(*trie_, stacks_);
  walk.run(
      0, trie_->size(), tops,
      [&](std::span<const int32_t> ids) { out->ids.insert(out->ids.end(), ids.begin(), ids.end()); },
      [&](size_t node) {
        for (size_t child = node + 1; child < trie_->node(node).skip; child = trie_->node(child).skip)
          exits.push_back(uint32_t(child));
      });
  visited_ += walk.visited();
  if (stacks_.overflowed()) return nullptr; // for good: this grammar cannot be followed
  group_exits(*trie_, exits, *out);
  if (out->ids.size() > trie_->mask_words()) {
    out->words.resize(trie_->mask_words());
    for (int32_t id : out->ids) out->words[size_t(id) / 32] |= 1u << (id % 32);
    out->ids.clear();
  }
  out->ids.shrink_to_fit();
  return out;
}

void CompiledGrammar::warm(size_t nodes) {
  std::lock_guard lock(mutex_);
  const size_t limit = visited_ + nodes;
  for (StateId id = 0; id < automaton_.size() && visited_ < limit && mask_bytes_ < kMaxMaskBytes / 2; ++id)
    if (automaton_.state(id).edges > 0 && !find({id, 0, 0})) return;
}

size_t CompiledGrammar::bytes() const {
  std::lock_guard lock(mutex_);
  return automaton_.bytes() + mask_bytes_ + stacks_.size() * 3 * sizeof(StackNode);
}

} // namespace llmrt::grammar
