#include "runtime/session/grammar_store.h"

#include "runtime/base/sha256.h"
#include "runtime/base/text.h"
#include "runtime/text/grammar/matcher.h"

#include <algorithm>

namespace llmrt {

namespace {

constexpr size_t kWarmNodes = 4 << 20; // of the tokens' tree, once a grammar: some tens of milliseconds

class GrammarMatch : public TokenMatch {
public:
  GrammarMatch(std::shared_ptr<grammar::CompiledGrammar> grammar, const std::vector<int32_t> &end_ids)
      : matcher_(std::move(grammar), end_ids), has_end_(!end_ids.empty()) {}

  Result<std::span<const uint32_t>> mask() override { return matcher_.mask(); }
  Status accept(int32_t id) override {
    if (Status status = matcher_.accept(id); !status.ok()) return status;
    finished_ = matcher_.finished();
    if (finished_ || has_end_ || !matcher_.may_end()) return ok_status();
    // A model without an end id ends where it has no token to go on with.
    Result<std::span<const uint32_t>> mask = matcher_.mask();
    if (!mask.ok()) return mask.status();
    finished_ = std::all_of(mask->begin(), mask->end(), [](uint32_t word) { return word == 0; });
    return ok_status();
  }
  bool finished() const override { return finished_; }

private:
  grammar::Matcher matcher_;
  const bool has_end_;
  bool finished_ = false;
};

class GrammarRules : public TokenRules {
public:
  GrammarRules(std::shared_ptr<grammar::CompiledGrammar> grammar, std::vector<int32_t> end_ids)
      : grammar_(std::move(grammar)), end_ids_(std::move(end_ids)) {}
  std::unique_ptr<TokenMatch> begin() const override { return std::make_unique<GrammarMatch>(grammar_, end_ids_); }

private:
  const std::shared_ptr<grammar::CompiledGrammar> grammar_;
  const std::vector<int32_t> end_ids_;
};

} // namespace

GrammarStore::GrammarStore(const Tokenizer &tokenizer, int64_t vocabulary, std::vector<int32_t> end_ids)
    : tokenizer_(tokenizer), vocabulary_(vocabulary), end_ids_(std::move(end_ids)) {}

Result<std::shared_ptr<const grammar::TokenTrie>> GrammarStore::trie() {
  std::lock_guard lock(mutex_); // the first ones wait for it together
  if (trie_) return trie_;
  auto trie = grammar::TokenTrie::create(tokenizer_, vocabulary_);
  if (trie.ok()) trie_ = *trie;
  return trie;
}

GrammarStore::Compiled GrammarStore::find(const std::string &name) {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry &e) { return e.name == name; });
  if (found == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found);
  return entries_.front().grammar;
}

void GrammarStore::keep(const std::string &name, const Compiled &grammar) {
  std::lock_guard lock(mutex_);
  entries_.push_front({name, grammar});
  size_t bytes = 0, count = 0;
  auto last = entries_.begin();
  for (; last != entries_.end() && count < kMaxGrammars; ++last, ++count) {
    bytes += last->grammar->bytes();
    if (count > 0 && bytes > kMaxBytes) break;
  }
  entries_.erase(last, entries_.end());
}

Result<std::shared_ptr<const TokenRules>>
GrammarStore::rules(const std::string &key, const std::function<Result<grammar::Grammar>()> &make,
                    const std::vector<int32_t> &stop_ids) {
  const std::string name = to_hex(sha256(std::as_bytes(std::span(key))));
  Compiled compiled = find(name);
  if (!compiled) {
    Result<grammar::Grammar> source = make();
    if (!source.ok()) return source.status();
    auto tokens = trie();
    if (!tokens.ok()) return tokens.status();
    auto made = grammar::CompiledGrammar::create(std::move(*source), *tokens);
    if (!made.ok()) return made.status();
    compiled = *made;
    compiled->warm(kWarmNodes);
    keep(name, compiled);
  }
  std::vector<int32_t> end_ids = end_ids_;
  for (int32_t id : stop_ids)
    if (tokenizer_.is_special(id)) end_ids.push_back(id);
  return std::shared_ptr<const TokenRules>(std::make_shared<GrammarRules>(std::move(compiled), std::move(end_ids)));
}

} // namespace llmrt
