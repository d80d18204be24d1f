#include "runtime/text/grammar/spelling.h"

#include <vector>

namespace llmrt::grammar {

std::string json_escaped(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  static constexpr std::string_view kShort = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
  std::string out;
  for (char c : text) {
    if (const size_t at = kShort.find(c); at != kShort.npos) out.append({'\\', kLetters[at]});
    else if (static_cast<unsigned char>(c) < 0x20) out.append("\\u00").append({kHex[c >> 4], kHex[c & 15]});
    else out += c;
  }
  return out;
}

NodeId spell_one_of(Grammar &grammar, const CharSet &set, Spelling spelling) {
  if (spelling == Spelling::kPlain) return grammar.chars(set);
  std::vector<NodeId> parts;
  CharSet plain = set;
  for (uint32_t point = 0; point <= '\\'; ++point) {
    const bool escaped = point < 0x20 || point == '"' || point == '\\';
    if (!escaped || !set.contains(point)) continue;
    parts.push_back(grammar.literal(json_escaped(std::string(1, char(point)))));
    plain.remove({{point, point}});
  }
  if (!plain.empty()) parts.push_back(grammar.chars(plain));
  return grammar.choice(parts);
}

NodeId spell_text(Grammar &grammar, std::string_view text, Spelling spelling) {
  return spelling == Spelling::kPlain ? grammar.literal(text) : grammar.literal(json_escaped(text));
}

} // namespace llmrt::grammar
