#include "compiler/import/tokenizer/Tables.h"

namespace llmc::tokenizer {

using llmrt::schema::PreTokenizerOp;
using llmrt::schema::SplitBehavior;

namespace {

// GPT-2's pattern, which ByteLevel uses where it is not told otherwise.
constexpr llvm::StringLiteral byteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

llvm::Expected<SplitBehavior> importBehavior(const Field &field) {
  auto name = field.string();
  if (!name) return name.takeError();
  for (auto behavior : llmrt::schema::EnumValuesSplitBehavior())
    if (*name == llmrt::schema::EnumNameSplitBehavior(behavior)) return behavior;
  return field.fail("unknown behavior \"" + *name + "\"");
}

void addSplitClass(const CharSet &set, SplitBehavior behavior, Tables &tables) {
  tables.preTokenizer.push_back({PreTokenizerOp::SplitClass, tables.addClass(set), "", "", behavior});
}

llvm::Error importByteLevel(const Field &field, Tables &tables) {
  auto prefix = field.boolean("add_prefix_space"), regex = field.boolean("use_regex", true);
  if (!prefix) return prefix.takeError();
  if (!regex) return regex.takeError();
  if (*prefix) tables.preTokenizer.push_back({PreTokenizerOp::Prefix, 0, "", " "});
  if (*regex) {
    auto pattern = tables.addPattern(byteLevelPattern, WordChars::Oniguruma, field);
    if (!pattern) return pattern.takeError();
    tables.preTokenizer.push_back({PreTokenizerOp::SplitPattern, *pattern});
  }
  tables.preTokenizer.push_back({PreTokenizerOp::ByteLevel});
  return llvm::Error::success();
}

llvm::Error importMetaspace(const Field &field, Tables &tables) {
  auto replacementField = field.at("replacement");
  if (!replacementField) return replacementField.takeError();
  auto replacement = replacementField->character();
  if (!replacement) return replacement.takeError();
  auto scheme = field.string("prepend_scheme", "always");
  if (!scheme) return scheme.takeError();
  auto prefix = field.boolean("add_prefix_space", true), split = field.boolean("split", true);
  if (!prefix) return prefix.takeError();
  if (!split) return split.takeError();
  if (!*prefix) {
    auto given = field.find("prepend_scheme");
    if (given && *given && *scheme != "never") return field.fail("add_prefix_space contradicts prepend_scheme");
    if (!given) return given.takeError();
    scheme = std::string("never");
  }
  tables.preTokenizer.push_back({PreTokenizerOp::Replace, 0, " ", *replacement});
  if (*scheme == "always") tables.preTokenizer.push_back({PreTokenizerOp::Prefix, 0, "", *replacement});
  else if (*scheme == "first") tables.preTokenizer.push_back({PreTokenizerOp::PrefixFirst, 0, "", *replacement});
  else if (*scheme != "never") return field.fail("unknown prepend_scheme \"" + *scheme + "\"");
  if (*split)
    tables.preTokenizer.push_back({PreTokenizerOp::SplitText, 0, *replacement, "", SplitBehavior::MergedWithNext});
  return llvm::Error::success();
}

llvm::Error importSplit(const Field &field, Tables &tables) {
  auto patternField = field.at("pattern"), behaviorField = field.at("behavior");
  if (!patternField) return patternField.takeError();
  if (!behaviorField) return behaviorField.takeError();
  auto pattern = importTextOrPattern(*patternField, tables);
  if (!pattern) return pattern.takeError();
  auto behavior = importBehavior(*behaviorField);
  if (!behavior) return behavior.takeError();
  auto invert = field.boolean("invert");
  if (!invert) return invert.takeError();
  PreTokenizerOp op = pattern->isPattern ? PreTokenizerOp::SplitPattern : PreTokenizerOp::SplitText;
  tables.preTokenizer.push_back({op, pattern->pattern, pattern->text, "", *behavior, *invert});
  return llvm::Error::success();
}

llvm::Error importWhitespace(const Field &field, Tables &tables) {
  auto pattern = tables.addPattern(R"(\w+|[^\w\s]+)", WordChars::Rust, field);
  if (!pattern) return pattern.takeError();
  tables.preTokenizer.push_back({PreTokenizerOp::SplitPattern, *pattern, "", "", SplitBehavior::Removed, true});
  return llvm::Error::success();
}

llvm::Error importPunctuation(const Field &field, Tables &tables) {
  auto behaviorField = field.find("behavior");
  if (!behaviorField) return behaviorField.takeError();
  SplitBehavior behavior = SplitBehavior::Isolated;
  if (*behaviorField) {
    auto given = importBehavior(**behaviorField);
    if (!given) return given.takeError();
    behavior = *given;
  }
  addSplitClass(punctuation(), behavior, tables);
  return llvm::Error::success();
}

llvm::Error importDigits(const Field &field, Tables &tables) {
  auto individual = field.boolean("individual_digits");
  if (!individual) return individual.takeError();
  addSplitClass(rustNumeric(), *individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous, tables);
  return llvm::Error::success();
}

llvm::Error importDelimiter(const Field &field, Tables &tables) {
  auto delimiterField = field.at("delimiter");
  if (!delimiterField) return delimiterField.takeError();
  auto delimiter = delimiterField->character();
  if (!delimiter) return delimiter.takeError();
  tables.preTokenizer.push_back({PreTokenizerOp::SplitText, 0, *delimiter, "", SplitBehavior::Removed});
  return llvm::Error::success();
}

llvm::Error importFixedLength(const Field &field, Tables &tables) {
  auto lengthField = field.find("length");
  if (!lengthField) return lengthField.takeError();
  uint32_t length = 5;
  if (*lengthField) {
    auto given = (*lengthField)->integer(1 << 30);
    if (!given) return given.takeError();
    length = *given;
  }
  if (length == 0) return field.fail("a length of 0");
  tables.preTokenizer.push_back({PreTokenizerOp::SplitLength, length});
  return llvm::Error::success();
}

llvm::Error importSequence(const Field &field, Tables &tables) {
  auto elements = field.elements("pretokenizers");
  if (!elements) return elements.takeError();
  for (const Field &element : *elements)
    if (llvm::Error error = importPreTokenizer(element, tables)) return error;
  return llvm::Error::success();
}

} // namespace

llvm::Error importPreTokenizer(const Field &field, Tables &tables) {
  if (field.isNull()) return llvm::Error::success();
  auto type = field.string("type");
  if (!type) return type.takeError();
  if (*type == "Sequence") return importSequence(field, tables);
  if (*type == "ByteLevel") return importByteLevel(field, tables);
  if (*type == "Metaspace") return importMetaspace(field, tables);
  if (*type == "Split") return importSplit(field, tables);
  if (*type == "Punctuation") return importPunctuation(field, tables);
  if (*type == "Digits") return importDigits(field, tables);
  if (*type == "Delimiter" || *type == "CharDelimiterSplit") return importDelimiter(field, tables);
  if (*type == "FixedLength") return importFixedLength(field, tables);
  if (*type == "Whitespace") return importWhitespace(field, tables);
  if (*type == "WhitespaceSplit") {
    addSplitClass(whiteSpace(), SplitBehavior::Removed, tables);
    return llvm::Error::success();
  }
  if (*type == "BertPreTokenizer") {
    addSplitClass(whiteSpace(), SplitBehavior::Removed, tables);
    addSplitClass(punctuation(), SplitBehavior::Isolated, tables);
    return llvm::Error::success();
  }
  return field.fail("unsupported: the pre-tokenizer \"" + *type + "\"");
}

} // namespace llmc::tokenizer
