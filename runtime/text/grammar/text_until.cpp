#include "runtime/text/grammar/text_until.h"

#include <vector>

namespace llmrt::grammar {

namespace {

// The search for `mark`, as Knuth, Morris and Pratt do it, written as an expression. `first` is its first character;
// after one, a prefix of the rest has been seen. Then either `first` comes again, or a character that leads back to
// the start, or the text ends.
struct Search {
  NodeId start;  // back at the start, any number of times
  NodeId opened; // `first`, and it again after a prefix, any number of times
  NodeId prefix; // of the rest of the mark
};

Search search(Grammar &grammar, std::string_view mark) {
  const uint32_t first = uint8_t(mark[0]);
  std::vector<NodeId> prefixes, ways_out;
  for (size_t i = 1; i < mark.size(); ++i) {
    const NodeId prefix = grammar.literal(mark.substr(1, i - 1));
    prefixes.push_back(prefix);
    const uint32_t next = uint8_t(mark[i]);
    ways_out.push_back(grammar.sequence({prefix, grammar.chars(CharSet({{first, first}, {next, next}}).complement())}));
  }
  const NodeId begin = grammar.literal(mark.substr(0, 1));
  const NodeId prefix = grammar.choice(prefixes);
  const NodeId opened =
      grammar.sequence({begin, grammar.repeat(grammar.sequence({prefix, begin}), 0, kUnbounded)});
  const NodeId other = grammar.chars(CharSet({{first, first}}).complement());
  const NodeId away = grammar.sequence({opened, grammar.choice(ways_out)});
  return {grammar.repeat(grammar.choice({other, away}), 0, kUnbounded), opened, prefix};
}

} // namespace

NodeId text_until(Grammar &grammar, std::string_view mark) {
  const Search parts = search(grammar, mark);
  return grammar.sequence({parts.start, parts.opened, grammar.literal(mark.substr(1))});
}

NodeId text_without(Grammar &grammar, std::string_view mark) {
  const Search parts = search(grammar, mark);
  return grammar.sequence({parts.start, grammar.optional(grammar.sequence({parts.opened, parts.prefix}))});
}

} // namespace llmrt::grammar
