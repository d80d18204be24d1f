// The syntax tree of a regular expression, and its parser.
#pragma once

#include "compiler/import/tokenizer/Regex.h"

#include <memory>
#include <optional>

namespace llmc::tokenizer {

constexpr uint32_t kNoLimit = 0xffffffff;

struct RegexNode {
  enum class Kind { Empty, Set, Concat, Alternate, Repeat, Atomic, Look, Assert };
  enum class Mode { Greedy, Lazy, Possessive };

  Kind kind = Kind::Empty;
  CharSet set;                                     // Set
  std::vector<std::unique_ptr<RegexNode>> children; // Concat, Alternate; one of Repeat, Atomic, Look
  uint32_t least = 0, most = 0;                    // Repeat
  Mode mode = Mode::Greedy;                        // Repeat
  bool behind = false, negated = false;            // Look
  llmrt::schema::PatternOp assertion{};            // Assert

  bool canBeEmpty() const;
  std::optional<uint32_t> width() const; // in characters, where all its matches have the same
};

class RegexParser {
public:
  RegexParser(llvm::StringRef source, WordChars word);
  llvm::Expected<std::unique_ptr<RegexNode>> parse();

private:
  using Node = std::unique_ptr<RegexNode>;
  using ExpectedNode = llvm::Expected<Node>;
  struct Flags {
    bool ignoreCase = false, dotAll = false, extended = false;
  };

  ExpectedNode parseAlternation();
  ExpectedNode parseSequence();
  ExpectedNode parseQuantified();
  ExpectedNode parseAtom();
  ExpectedNode parseLiteral(uint32_t point);
  ExpectedNode parseGroup();
  ExpectedNode parseOptions();
  ExpectedNode parseBody(RegexNode::Kind kind, bool behind, bool negated);
  ExpectedNode parseEscape();
  llvm::Expected<bool> parseQuantifier(Node &atom);
  bool parseBounds(uint32_t &least, uint32_t &most);
  llvm::Expected<CharSet> parseClass();
  llvm::Error parseClassItems(CharSet &items, bool &intersects);
  llvm::Expected<CharSet> parseClassItem(std::optional<uint32_t> &single);
  llvm::Expected<std::optional<CharSet>> parseSetEscape();
  llvm::Expected<CharSet> parseProperty(bool negated);
  llvm::Expected<uint32_t> parseCharEscape();
  std::optional<CharSet> parsePosixBracket();
  void skipExtended();

  bool atEnd() const { return at >= points.size(); }
  uint32_t peek(size_t ahead = 0) const { return at + ahead < points.size() ? points[at + ahead] : 0; }
  bool take(uint32_t point);
  bool take(llvm::StringRef ascii);
  bool looksAt(llvm::StringRef ascii) const;
  llvm::Error fail(const llvm::Twine &what) const;
  Node setNode(CharSet set) const;

  std::vector<uint32_t> points;
  size_t at = 0;
  unsigned depth = 0;
  WordChars word;
  Flags flags;
  bool wellFormed = true; // UTF-8
};

} // namespace llmc::tokenizer
