#include "runtime/text/pre_tokenizer.h"

#include "runtime/text/normal/bytes.h"
#include "runtime/text/normal/normalizer.h"
#include "runtime/text/normal/pattern.h"
#include "runtime/text/normal/utf8.h"

#include <algorithm>

namespace llmrt {

using schema::PreTokenizerOp;
using schema::PreTokenizerStep;
using schema::SplitBehavior;

namespace {

struct Cut {
  size_t begin, end;
  bool match;
};

// Matches and what lies between them, covering the piece.
void cover(size_t size, const std::vector<Span> &matches, bool invert, std::vector<Cut> &cuts) {
  size_t from = 0;
  for (const Span &m : matches) {
    if (from != m.begin) cuts.push_back({from, m.begin, invert});
    cuts.push_back({m.begin, m.end, !invert});
    from = m.end;
  }
  if (from != size) cuts.push_back({from, size, invert});
}

void find_text(std::string_view piece, std::string_view what, std::vector<Span> &matches) {
  for (size_t at = piece.find(what); at != std::string_view::npos; at = piece.find(what, at + what.size()))
    matches.push_back({at, at + what.size()});
}

void find_class(std::string_view piece, uint32_t char_class, const CharClasses &classes, std::vector<Span> &matches) {
  for (size_t i = 0; i < piece.size();) {
    const Utf8Char c = utf8_first(piece.substr(i));
    if (classes.contains(char_class, c.point)) matches.push_back({i, i + c.length});
    i += c.length;
  }
}

void find_lengths(std::string_view piece, uint32_t length, std::vector<Span> &matches) {
  size_t begin = 0;
  uint32_t count = 0;
  for (size_t i = 0; i < piece.size();) {
    i += utf8_first(piece.substr(i)).length;
    if (++count < length && i < piece.size()) continue;
    matches.push_back({begin, i});
    begin = i;
    count = 0;
  }
}

// The library's rules for joining neighbours. They look at the one cut before: of two matches in a row the second stays
// alone, unless like is joined with like (contiguous).
std::vector<Cut> merge_previous(const std::vector<Cut> &cuts, bool contiguous) {
  std::vector<Cut> out;
  bool previous = false;
  for (const Cut &c : cuts) {
    const bool join = contiguous ? c.match == previous : c.match && !previous;
    if (join && !out.empty()) out.back().end = c.end;
    else out.push_back(c);
    previous = c.match;
  }
  return out;
}

std::vector<Cut> merge_next(const std::vector<Cut> &cuts) {
  std::vector<Cut> out;
  bool previous = false;
  for (size_t i = cuts.size(); i > 0; --i) {
    const Cut &c = cuts[i - 1];
    if (c.match && !previous && !out.empty()) out.back().begin = c.begin;
    else out.push_back(c);
    previous = c.match;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

class Splitter {
public:
  Splitter(const schema::Tokenizer &tables, const CharClasses &classes, const PreTokenizerStep &step)
      : classes_(classes), step_(step) {
    if (step.op() == PreTokenizerOp::SplitPattern) matcher_.emplace_back(*tables.patterns()->Get(step.a()), classes);
  }

  Status split(PieceList &list) {
    std::vector<Piece> out;
    out.reserve(list.pieces.size() * 2);
    for (const Piece &piece : list.pieces)
      if (Status s = split_piece(list.text, piece, out); !s.ok()) return s;
    list.pieces = std::move(out);
    return ok_status();
  }

private:
  Status split_piece(const std::string &text, const Piece &piece, std::vector<Piece> &out) {
    const std::string_view view(text.data() + piece.begin, piece.end - piece.begin);
    matches_.clear();
    cuts_.clear();
    switch (step_.op()) {
    case PreTokenizerOp::SplitPattern:
      if (Status s = matcher_[0].find_all(view, matches_); !s.ok()) return s;
      break;
    case PreTokenizerOp::SplitText: find_text(view, bytes_of(step_.text()), matches_); break;
    case PreTokenizerOp::SplitClass: find_class(view, step_.a(), classes_, matches_); break;
    default: find_lengths(view, step_.a(), matches_);
    }
    cover(view.size(), matches_, step_.invert(), cuts_);
    const SplitBehavior behavior = step_.behavior();
    if (behavior == SplitBehavior::Contiguous) cuts_ = merge_previous(cuts_, true);
    if (behavior == SplitBehavior::MergedWithPrevious) cuts_ = merge_previous(cuts_, false);
    if (behavior == SplitBehavior::MergedWithNext) cuts_ = merge_next(cuts_);
    for (const Cut &c : cuts_) {
      if (c.begin == c.end || (behavior == SplitBehavior::Removed && c.match)) continue;
      out.push_back({piece.begin + c.begin, piece.begin + c.end, piece.first && c.begin == 0});
    }
    return ok_status();
  }

  const CharClasses &classes_;
  const PreTokenizerStep &step_;
  std::vector<PatternMatcher> matcher_; // one or none
  std::vector<Span> matches_;
  std::vector<Cut> cuts_;
};

std::string rewrite_piece(const PreTokenizerStep &step, std::string_view piece, bool first) {
  const std::string_view content = bytes_of(step.content());
  switch (step.op()) {
  case PreTokenizerOp::Replace: return replace_all(piece, bytes_of(step.text()), content);
  case PreTokenizerOp::ByteLevel: return bytes_to_chars(piece);
  default:
    if (piece.substr(0, content.size()) == content || (step.op() == PreTokenizerOp::PrefixFirst && !first))
      return std::string(piece);
    return std::string(content).append(piece);
  }
}

void rewrite(const PreTokenizerStep &step, PieceList &list) {
  PieceList out;
  out.text.reserve(list.text.size() + list.text.size() / 4);
  out.pieces.reserve(list.pieces.size());
  for (const Piece &piece : list.pieces) {
    const std::string_view view(list.text.data() + piece.begin, piece.end - piece.begin);
    const size_t begin = out.text.size();
    out.text += rewrite_piece(step, view, piece.first);
    if (out.text.size() > begin) out.pieces.push_back({begin, out.text.size(), piece.first});
  }
  list = std::move(out);
}

} // namespace

Status pre_tokenize(const schema::Tokenizer &tables, const CharClasses &classes, PieceList &list) {
  if (!tables.pre_tokenizer()) return ok_status();
  for (const PreTokenizerStep *step : *tables.pre_tokenizer()) {
    if (step->op() >= PreTokenizerOp::Replace) {
      rewrite(*step, list);
      continue;
    }
    if (Status s = Splitter(tables, classes, *step).split(list); !s.ok()) return s;
  }
  return ok_status();
}

} // namespace llmrt
