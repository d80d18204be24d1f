#include "runtime/text/added_tokens.h"

#include "runtime/text/normal/bytes.h"
#include "runtime/text/normal/utf8.h"

#include <algorithm>

namespace llmrt {

using schema::AddedFlags;

namespace {

struct Match {
  size_t end = 0;
  int32_t added = -1;
};

const schema::TrieEdge *find_edge(const schema::Trie &trie, const schema::TrieNode &node, uint32_t byte) {
  uint32_t low = node.first_edge(), high = node.first_edge() + node.edge_count();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const schema::TrieEdge *edge = trie.edges()->Get(middle);
    if (edge->byte() == byte) return edge;
    if (byte < edge->byte()) high = middle;
    else low = middle + 1;
  }
  return nullptr;
}

Match longest_at(const schema::Trie &trie, std::string_view text, size_t begin) {
  Match best;
  uint32_t node = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    const schema::TrieEdge *edge = find_edge(trie, *trie.nodes()->Get(node), static_cast<unsigned char>(text[i]));
    if (!edge) break;
    node = edge->target();
    const int32_t added = trie.nodes()->Get(node)->added();
    if (added >= 0) best = {i + 1, added};
  }
  return best;
}

bool has(const schema::AddedToken &token, AddedFlags flag) {
  return (static_cast<uint8_t>(token.flags()) & static_cast<uint8_t>(flag)) != 0;
}

class Finder {
public:
  Finder(const schema::Tokenizer &tables, const CharClasses &classes, std::string_view text)
      : classes_(classes), text_(text), word_(tables.word_class()), space_(tables.space_class()) {}

  bool is_word_alone(size_t begin, size_t end) const {
    const bool left = begin > 0 && in(word_, utf8_previous(text_, begin));
    return !left && !(end < text_.size() && in(word_, end));
  }
  size_t left_of_space(size_t begin) const {
    while (begin > 0) {
      const size_t previous = utf8_previous(text_, begin);
      if (!in(space_, previous)) break;
      begin = previous;
    }
    return begin;
  }
  size_t right_of_space(size_t end) const {
    while (end < text_.size() && in(space_, end)) end += utf8_first(text_.substr(end)).length;
    return end;
  }

private:
  bool in(int32_t char_class, size_t at) const {
    return char_class >= 0 &&
           classes_.contains(static_cast<uint32_t>(char_class), utf8_first(text_.substr(at)).point);
  }
  const CharClasses &classes_;
  std::string_view text_;
  int32_t word_, space_;
};

} // namespace

void find_added_tokens(const schema::Tokenizer &tables, const schema::Trie *trie, const CharClasses &classes,
                       std::string_view text, std::vector<Section> &sections) {
  const Finder finder(tables, classes, text);
  size_t done = 0; // text before it is in a section
  for (size_t i = 0; trie && i < text.size();) {
    const Match match = longest_at(*trie, text, i);
    if (match.added < 0) {
      ++i;
      continue;
    }
    const schema::AddedToken &token = *tables.added_tokens()->Get(static_cast<uint32_t>(match.added));
    size_t begin = i, end = match.end;
    i = match.end;
    if (has(token, AddedFlags::SingleWord) && !finder.is_word_alone(begin, end)) continue;
    if (has(token, AddedFlags::LeftStrip)) begin = std::max(finder.left_of_space(begin), done);
    if (has(token, AddedFlags::RightStrip)) end = finder.right_of_space(end);
    if (done < begin) sections.push_back({done, begin, -1});
    sections.push_back({begin, end, token.id()});
    done = end;
  }
  if (done < text.size()) sections.push_back({done, text.size(), -1});
}

const schema::AddedToken *find_added(const schema::Tokenizer &tables, int32_t id) {
  if (!tables.added_tokens()) return nullptr;
  uint32_t low = 0, high = tables.added_tokens()->size();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const schema::AddedToken *token = tables.added_tokens()->Get(middle);
    if (token->id() == id) return token;
    if (id < token->id()) high = middle;
    else low = middle + 1;
  }
  return nullptr;
}

const schema::AddedToken *find_added(const schema::Tokenizer &tables, std::string_view content) {
  if (!tables.added_by_text()) return nullptr;
  uint32_t low = 0, high = tables.added_by_text()->size();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const schema::AddedToken *token = tables.added_tokens()->Get(tables.added_by_text()->Get(middle));
    const int order = content.compare(bytes_of(token->content()));
    if (order == 0) return token;
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return nullptr;
}

} // namespace llmrt
