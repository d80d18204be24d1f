// Follows one text through a compiled grammar, token by token.
#pragma once

#include "runtime/text/grammar/compiled_grammar.h"
#include "runtime/text/grammar/token_walk.h"

#include <memory>
#include <span>
#include <vector>

namespace llmrt::grammar {

class Matcher {
public:
  // `end_ids` may come where the text may end, and only there. Memory: mask_words() words and at most
  // Stacks::kMaxNodes stack nodes. Not thread-safe; several matchers of one grammar are.
  Matcher(std::shared_ptr<CompiledGrammar> grammar, std::vector<int32_t> end_ids);

  // A bit an id of the model's vocabulary, 1: may come next; valid until the next call. All 0 where the model has no
  // token to go on with. kExhausted: the grammar has too many ways through this text.
  Result<std::span<const uint32_t>> mask();
  // kInvalidArgument, and nothing has changed, if the token may not come next.
  Status accept(int32_t id);
  // The same for bytes, for tests and for text that comes before the tokens.
  Status accept_bytes(std::string_view bytes);

  bool may_end() const { return complete_; }
  // Nothing may follow but an end.
  bool finished() const { return ended_ || (complete_ && tops_.empty()); }

private:
  void add_state_mask(StackId top);
  void add_exits(const StateMask &mask, StackId top);
  void add(std::span<const int32_t> ids);

  const std::shared_ptr<CompiledGrammar> grammar_;
  const std::vector<int32_t> end_ids_;
  Stacks stacks_;
  TokenWalk walk_;
  std::vector<StackId> tops_, next_, outer_;
  std::vector<uint32_t> mask_;
  bool complete_ = false, ended_ = false;
};

} // namespace llmrt::grammar
