#include "runtime/text/grammar/matcher.h"

#include <algorithm>
#include <string>
#include <utility>

namespace llmrt::grammar {

namespace {

constexpr size_t kCompactAbove = 1 << 14; // stack nodes

Status too_ambiguous() {
  return Status(StatusCode::kExhausted,
                "the grammar has too many ways through this text; nest less, or make it less ambiguous");
}

} // namespace

Matcher::Matcher(std::shared_ptr<CompiledGrammar> grammar, std::vector<int32_t> end_ids)
    : grammar_(std::move(grammar)), end_ids_(std::move(end_ids)), stacks_(grammar_->automaton()),
      walk_(grammar_->trie(), stacks_), mask_(grammar_->trie().mask_words()) {
  stacks_.start(grammar_->automaton().start(), 0, tops_, complete_);
}

void Matcher::add(std::span<const int32_t> ids) {
  for (int32_t id : ids) mask_[size_t(id) / 32] |= 1u << (id % 32);
}

Result<std::span<const uint32_t>> Matcher::mask() {
  if (stacks_.size() > kCompactAbove) stacks_.compact(tops_);
  std::fill(mask_.begin(), mask_.end(), 0);
  for (size_t i = 0; i < tops_.size() && !ended_; ++i) {
    const StackId top = tops_[i];
    const std::shared_ptr<const StateMask> mask = grammar_->mask_of(stacks_, top);
    if (!mask) return too_ambiguous();
    for (size_t word = 0; word < mask->words.size(); ++word) mask_[word] |= mask->words[word];
    add(mask->ids);
    if (!mask->exits.empty()) add_exits(*mask, top);
  }
  if (stacks_.overflowed()) return too_ambiguous();
  if (complete_)
    for (int32_t id : end_ids_)
      if (id >= 0 && id < grammar_->trie().vocabulary()) add({&id, 1});
  return std::span<const uint32_t>(mask_);
}

// Tokens that go past the end of what the top decides, by the stack that lies below.
void Matcher::add_exits(const StateMask &mask, StackId top) {
  outer_.clear();
  bool complete = false;
  stacks_.pop(below_mask(stacks_, top), outer_, complete);
  if (outer_.empty()) return;
  const TokenTrie &trie = grammar_->trie();
  const size_t outer = outer_.size();
  uint32_t i = 0;
  for (const StateMask::Group &group : mask.groups) {
    complete = false;
    outer_.resize(outer);
    stacks_.advance(outer_, 0, outer, group.byte, complete);
    next_.assign(outer_.begin() + ptrdiff_t(outer), outer_.end());
    if (!complete && next_.empty()) i = group.end;
    for (; i < group.end; ++i) {
      const size_t node = mask.exits[i];
      add(trie.tokens_at(node));
      if (!next_.empty())
        walk_.run(node + 1, trie.node(node).skip, next_, [&](std::span<const int32_t> ids) { add(ids); }, [](size_t) {});
    }
  }
}

Status Matcher::accept(int32_t id) {
  if (complete_ && std::find(end_ids_.begin(), end_ids_.end(), id) != end_ids_.end()) {
    ended_ = true;
    return ok_status();
  }
  const std::string_view bytes = grammar_->trie().bytes_of(id);
  if (bytes.empty() || ended_)
    return Status(StatusCode::kInvalidArgument, "token " + std::to_string(id) + " may not come here by the grammar");
  return accept_bytes(bytes);
}

Status Matcher::accept_bytes(std::string_view bytes) {
  if (bytes.empty()) return ok_status();
  std::vector<StackId> &live = outer_;
  live = tops_;
  size_t begin = 0; // of the stacks after the last byte
  bool complete = false;
  for (size_t i = 0; i < bytes.size() && (i == 0 || live.size() > begin); ++i) {
    const size_t end = live.size();
    const bool last = i + 1 == bytes.size();
    complete = false;
    stacks_.advance(live, begin, end, uint8_t(bytes[i]), complete);
    complete = complete && last;
    begin = end;
  }
  if (stacks_.overflowed()) return too_ambiguous();
  if (ended_ || (live.size() == begin && !complete))
    return Status(StatusCode::kInvalidArgument, "\"" + std::string(bytes) + "\" may not come here by the grammar");
  tops_.assign(live.begin() + ptrdiff_t(begin), live.end());
  complete_ = complete;
  return ok_status();
}

} // namespace llmrt::grammar
