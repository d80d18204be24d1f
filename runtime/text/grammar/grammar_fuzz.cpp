// Every front end, and a text followed through what it made. The first byte chooses: GBNF, EBNF, a regular expression, a
// JSON schema; the rest is its source.
#include "runtime/text/grammar/gbnf.h"
#include "runtime/text/grammar/json_schema.h"
#include "runtime/text/grammar/lark.h"
#include "runtime/text/grammar/matcher.h"
#include "runtime/text/grammar/regex.h"

#include <nlohmann/json.hpp>

namespace {

using namespace llmrt;
using namespace llmrt::grammar;

// As the server's reader, which is not linked here: nested no deeper than 64.
bool shallow(std::string_view text) {
  int depth = 0, deepest = 0;
  for (char c : text) {
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    deepest = std::max(deepest, depth);
  }
  return deepest <= 64;
}

Result<Grammar> schema_grammar(std::string_view text) {
  const auto schema = shallow(text) ? nlohmann::ordered_json::parse(text, nullptr, false) : nlohmann::ordered_json();
  if (schema.is_discarded()) return Status(StatusCode::kInvalidArgument, "no JSON");
  return json_schema_grammar(schema);
}

std::shared_ptr<const TokenTrie> trie() {
  static const std::shared_ptr<const TokenTrie> made = [] {
    std::vector<std::pair<std::string, int32_t>> tokens;
    for (int32_t byte = 0; byte < 256; ++byte) tokens.emplace_back(std::string(1, char(byte)), byte);
    for (const char *word : {"\": ", "{\"", "\"}", "ab", "  ", "12", "true", "\",\"", "\xc3\xa9"})
      tokens.emplace_back(word, int32_t(tokens.size()));
    return TokenTrie::of(std::move(tokens), 300);
  }();
  return made;
}

// The token that comes next is always one of the mask, and one of the mask may always come.
void follow(const std::shared_ptr<CompiledGrammar> &grammar) {
  Matcher matcher(grammar, {299});
  for (int step = 0; step < 24 && !matcher.finished(); ++step) {
    auto mask = matcher.mask();
    if (!mask.ok()) return;
    int32_t id = 299;
    for (int32_t i = 0; i < 299; ++i) {
      const int32_t other = (i * 37 + step * 101) % 299;
      if ((*mask)[size_t(other) / 32] >> (other % 32) & 1) id = other;
    }
    const bool may = (*mask)[size_t(id) / 32] >> (id % 32) & 1;
    const Status status = matcher.accept(id);
    if (status.code() == StatusCode::kExhausted) return;
    if (status.ok() != may) __builtin_trap();
    if (!may) return;
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || size > 4096) return 0;
  const std::string_view text(reinterpret_cast<const char *>(data) + 1, size - 1);
  static constexpr Result<Grammar> (*kParsers[])(std::string_view) = {gbnf_grammar, lark_grammar, regex_grammar,
                                                                     schema_grammar};
  Result<Grammar> grammar = kParsers[data[0] % 4](text);
  if (!grammar.ok()) return 0;
  auto compiled = CompiledGrammar::create(std::move(*grammar), trie());
  if (compiled.ok()) follow(*compiled);
  return 0;
}
