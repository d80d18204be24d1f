#include "compiler/import/tokenizer/CharSet.h"

#include "llvm/ADT/ArrayRef.h"

#include <string>

namespace llmc::tokenizer {
namespace {

struct CharRange {
  uint32_t first, last;
};
struct CategoryRun {
  uint32_t first;
  uint8_t category;
};
struct LowercaseRow {
  uint32_t from, first, second;
};
struct ScriptRange {
  uint32_t first, last;
  uint8_t script;
};

#include "compiler/import/tokenizer/UnicodeTables.inc"

CharSet setOf(llvm::ArrayRef<CharRange> ranges) {
  CharSet out;
  for (const CharRange &r : ranges) out.add(r.first, r.last);
  return out;
}

// The categories whose short names start with `prefix`.
CharSet categories(llvm::StringRef prefix) {
  CharSet out;
  llvm::ArrayRef<CategoryRun> runs(categoryRuns);
  for (size_t i = 0; i < runs.size(); ++i) {
    uint32_t last = i + 1 < runs.size() ? runs[i + 1].first - 1 : kLastPoint;
    if (llvm::StringRef(categoryNames[runs[i].category]).starts_with(prefix)) out.add(runs[i].first, last);
  }
  return out;
}

CharSet united(std::initializer_list<CharSet> sets) {
  CharSet out;
  for (const CharSet &set : sets) out.add(set);
  return out;
}

CharSet alphabetic() { return united({categories("L"), categories("Nl"), setOf(otherAlphabetic)}); }

CharSet baseWord() { return united({alphabetic(), categories("M"), categories("Nd"), categories("Pc")}); }

std::string simplified(llvm::StringRef name) {
  std::string out;
  for (char c : name)
    if (c != '_' && c != '-' && c != ' ') out += llvm::toLower(c);
  return out;
}

struct LongName {
  llvm::StringLiteral name, category;
};

constexpr LongName longNames[] = {
    {"letter", "L"}, {"casedletter", "LC"}, {"lowercaseletter", "Ll"}, {"uppercaseletter", "Lu"},
    {"titlecaseletter", "Lt"}, {"modifierletter", "Lm"}, {"otherletter", "Lo"}, {"mark", "M"}, {"combiningmark", "M"},
    {"nonspacingmark", "Mn"}, {"spacingmark", "Mc"}, {"enclosingmark", "Me"}, {"number", "N"}, {"decimalnumber", "Nd"},
    {"digit", "Nd"}, {"letternumber", "Nl"}, {"othernumber", "No"}, {"punctuation", "P"},
    {"connectorpunctuation", "Pc"}, {"dashpunctuation", "Pd"}, {"openpunctuation", "Ps"}, {"closepunctuation", "Pe"},
    {"initialpunctuation", "Pi"}, {"finalpunctuation", "Pf"}, {"otherpunctuation", "Po"}, {"symbol", "S"},
    {"mathsymbol", "Sm"}, {"currencysymbol", "Sc"}, {"modifiersymbol", "Sk"}, {"othersymbol", "So"},
    {"separator", "Z"}, {"spaceseparator", "Zs"}, {"lineseparator", "Zl"}, {"paragraphseparator", "Zp"},
    {"other", "C"}, {"control", "Cc"}, {"cntrl", "Cc"}, {"format", "Cf"}, {"privateuse", "Co"}, {"surrogate", "Cs"},
    {"unassigned", "Cn"}};

std::optional<CharSet> findCategory(const std::string &name) {
  llvm::StringRef category = name;
  for (const LongName &row : longNames)
    if (row.name == category) category = row.category;
  if (category.equals_insensitive("LC")) return united({categories("Ll"), categories("Lu"), categories("Lt")});
  if (category.size() == 1 && llvm::StringRef("lmnpszc").contains_insensitive(category))
    return categories(category.upper());
  for (const char *known : categoryNames)
    if (category.equals_insensitive(known)) return categories(known);
  return std::nullopt;
}

std::optional<CharSet> findScript(const std::string &name) {
  for (size_t i = 0; i < std::size(scriptNames); ++i) {
    if (simplified(scriptNames[i]) != name) continue;
    CharSet out;
    for (const ScriptRange &r : scriptRanges)
      if (r.script == i) out.add(r.first, r.last);
    return out;
  }
  return std::nullopt;
}

} // namespace

CharSet whiteSpace() { return united({categories("Z"), CharSet::of({{9, 13}, {0x85, 0x85}})}); }
CharSet decimalDigits() { return categories("Nd"); }
CharSet onigurumaWord() {
  return united({baseWord(), CharSet::of({{0xb2, 0xb3}, {0xb9, 0xb9}, {0xbc, 0xbe}})});
}
CharSet rustWord() { return united({baseWord(), CharSet::of({{0x200c, 0x200d}})}); }
CharSet rustNumeric() { return setOf(rustNumericRanges); }
CharSet punctuation() { return setOf(punctuationRanges); }
CharSet bertRemoved() { return setOf(bertRemovedRanges); }
CharSet bertNonspacing() { return setOf(bertNonspacingRanges); }
CharSet combiningMarks() { return setOf(combiningMarkRanges); }
CharSet chineseChars() {
  return CharSet::of({{0x4e00, 0x9fff}, {0x3400, 0x4dbf}, {0x20000, 0x2a6df}, {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f},
                      {0x2b920, 0x2ceaf}, {0xf900, 0xfaff}, {0x2f800, 0x2fa1f}});
}

CharSet graphemeExtending() { return setOf(graphemeExtendingRanges); }
CharSet graphemePrepending() {
  return CharSet::of({{0x600, 0x605}, {0x6dd, 0x6dd}, {0x70f, 0x70f}, {0x890, 0x891}, {0x8e2, 0x8e2}, {0xd4e, 0xd4e},
                      {0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x111c2, 0x111c3}, {0x113d1, 0x113d1},
                      {0x1193f, 0x1193f}, {0x11941, 0x11941}, {0x11a84, 0x11a89}, {0x11d46, 0x11d46},
                      {0x11f02, 0x11f02}});
}
CharSet graphemeControl() {
  CharSet others = united({graphemeExtending(), graphemePrepending()});
  CharSet all = united({categories("Cc"), categories("Cf"), categories("Zl"), categories("Zp")});
  return all.intersected(others.inverted());
}

std::vector<LowercaseMapping> lowercaseMappings() {
  std::vector<LowercaseMapping> out;
  for (const LowercaseRow &row : lowercaseRows) out.push_back({row.from, row.first, row.second});
  return out;
}

std::optional<CharSet> findProperty(llvm::StringRef given) {
  std::string name = simplified(given);
  if (name == "any") return CharSet::all();
  if (name == "ascii") return CharSet::of({{0, 0x7f}});
  if (name == "alphabetic" || name == "alpha") return alphabetic();
  if (name == "alnum") return united({alphabetic(), decimalDigits()});
  if (name == "space" || name == "whitespace") return whiteSpace();
  if (name == "blank") return united({categories("Zs"), CharSet::one(9)});
  if (name == "word") return onigurumaWord();
  if (name == "punct") return united({categories("P"), categories("S")});
  if (name == "xdigit") return CharSet::of({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
  if (auto set = findCategory(name)) return set;
  return findScript(name);
}

} // namespace llmc::tokenizer
