// Grammars over small vocabularies, for tests.
#pragma once

#include "runtime/text/grammar/matcher.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <string_view>

namespace llmrt::grammar::testing {

// One token a byte, id = byte.
inline std::shared_ptr<const TokenTrie> byte_trie() {
  std::vector<std::pair<std::string, int32_t>> tokens;
  for (int32_t byte = 0; byte < 256; ++byte) tokens.emplace_back(std::string(1, char(byte)), byte);
  return TokenTrie::of(std::move(tokens), 258);
}

inline std::shared_ptr<CompiledGrammar> compiled(Result<Grammar> grammar, std::shared_ptr<const TokenTrie> trie) {
  if (!grammar.ok()) {
    ADD_FAILURE() << grammar.status().message();
    return nullptr;
  }
  auto out = CompiledGrammar::create(std::move(*grammar), std::move(trie));
  if (!out.ok()) {
    ADD_FAILURE() << out.status().message();
    return nullptr;
  }
  return *out;
}

// The whole text is in the grammar's language.
inline bool matches(const std::shared_ptr<CompiledGrammar> &grammar, std::string_view text) {
  if (!grammar) return false;
  Matcher matcher(grammar, {});
  return matcher.accept_bytes(text).ok() && matcher.may_end();
}

inline bool matches(Result<Grammar> grammar, std::string_view text) {
  return matches(compiled(std::move(grammar), byte_trie()), text);
}

// What is wrong with the source or the grammar; empty: nothing.
inline std::string error_of(Result<Grammar> grammar) {
  if (!grammar.ok()) return grammar.status().message();
  Result<Automaton> automaton = Automaton::create(std::move(*grammar));
  return automaton.ok() ? std::string() : automaton.status().message();
}

} // namespace llmrt::grammar::testing
