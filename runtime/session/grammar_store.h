// Grammars compiled for one model, kept for the requests that use them again; from them, rules for the engine.
#pragma once

#include "runtime/base/status.h"
#include "runtime/engine/token_rules.h"
#include "runtime/text/grammar/compiled_grammar.h"
#include "runtime/text/tokenizer.h"

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace llmrt {

class GrammarStore {
public:
  // Kept at most; each of them takes up to CompiledGrammar::kMaxMaskBytes besides its automaton.
  static constexpr size_t kMaxGrammars = 32, kMaxBytes = 64 << 20;

  // `tokenizer` must outlive the store. Nothing is built before the first grammar is asked for.
  GrammarStore(const Tokenizer &tokenizer, int64_t vocabulary, std::vector<int32_t> end_ids);

  // `key` stands for the grammar that `make` makes. Its first masks are found out here, off the engine's thread. The
  // model's end ids, and those of `stop_ids` that are special, end the answer where the grammar may end. May be called
  // from any thread.
  Result<std::shared_ptr<const TokenRules>> rules(const std::string &key,
                                                  const std::function<Result<grammar::Grammar>()> &make,
                                                  const std::vector<int32_t> &stop_ids = {});
  Result<std::shared_ptr<const grammar::TokenTrie>> trie();

private:
  using Compiled = std::shared_ptr<grammar::CompiledGrammar>;
  struct Entry {
    std::string name;
    Compiled grammar;
  };
  Compiled find(const std::string &name);
  void keep(const std::string &name, const Compiled &grammar);

  const Tokenizer &tokenizer_;
  const int64_t vocabulary_;
  const std::vector<int32_t> end_ids_;
  std::mutex mutex_;
  std::shared_ptr<const grammar::TokenTrie> trie_;
  std::list<Entry> entries_; // the one used last first
};

} // namespace llmrt
