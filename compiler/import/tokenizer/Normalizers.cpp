#include "compiler/import/tokenizer/Tables.h"

#include "llvm/Support/Base64.h"

namespace llmc::tokenizer {

using llmrt::schema::NormalizerOp;

namespace {

void addNormalForm(NormalizerOp op, Tables &tables) {
  tables.needsNormalForms = true;
  tables.needsCompatibility |= op == NormalizerOp::Nfkc || op == NormalizerOp::Nfkd;
  tables.normalizer.push_back({op});
}

void addRemove(const CharSet &set, Tables &tables) {
  tables.normalizer.push_back({NormalizerOp::Remove, tables.addClass(set)});
}

void addMapToSpace(const CharSet &set, Tables &tables) {
  tables.normalizer.push_back({NormalizerOp::MapClass, tables.addClass(set), 0, "", " "});
}

void addLowercase(Tables &tables) { tables.normalizer.push_back({NormalizerOp::Map, tables.addLowercaseMap()}); }

llvm::Error importBert(const Field &field, Tables &tables) {
  auto clean = field.boolean("clean_text"), chinese = field.boolean("handle_chinese_chars"),
       lowercase = field.boolean("lowercase");
  if (!clean) return clean.takeError();
  if (!chinese) return chinese.takeError();
  if (!lowercase) return lowercase.takeError();
  auto accents = field.boolean("strip_accents", *lowercase);
  if (!accents) return accents.takeError();
  if (*clean) {
    addRemove(bertRemoved(), tables);
    addMapToSpace(whiteSpace(), tables);
  }
  if (*chinese) tables.normalizer.push_back({NormalizerOp::Surround, tables.addClass(chineseChars()), 0, "", " "});
  if (*accents) {
    addNormalForm(NormalizerOp::Nfd, tables);
    addRemove(bertNonspacing(), tables);
  }
  if (*lowercase) addLowercase(tables);
  return llvm::Error::success();
}

llvm::Error importStrip(const Field &field, Tables &tables) {
  auto left = field.boolean("strip_left"), right = field.boolean("strip_right");
  if (!left) return left.takeError();
  if (!right) return right.takeError();
  uint32_t sides = (*left ? 1 : 0) + (*right ? 2 : 0);
  if (sides) tables.normalizer.push_back({NormalizerOp::Strip, tables.addClass(whiteSpace()), sides});
  return llvm::Error::success();
}

// The normalizer of neural machine translation in SentencePiece.
void addNmt(Tables &tables) {
  addRemove(CharSet::of({{1, 8}, {0xb, 0xb}, {0xe, 0x1f}, {0x7f, 0x7f}, {0x8f, 0x8f}, {0x9f, 0x9f}}), tables);
  addMapToSpace(CharSet::of({{9, 10}, {0xc, 0xd}, {0x1680, 0x1680}, {0x200b, 0x200f}, {0x2028, 0x2029},
                             {0x2581, 0x2581}, {0xfeff, 0xfeff}, {0xfffd, 0xfffd}}),
                tables);
}

llvm::Error importReplace(const Field &field, Tables &tables) {
  auto replace = importReplacement(field, tables);
  if (!replace) return replace.takeError();
  NormalizerOp op = replace->what.isPattern ? NormalizerOp::ReplacePattern : NormalizerOp::ReplaceText;
  tables.normalizer.push_back({op, replace->what.pattern, 0, replace->what.text, replace->by});
  return llvm::Error::success();
}

llvm::Error importPrecompiled(const Field &field, Tables &tables) {
  auto encoded = field.string("precompiled_charsmap");
  if (!encoded) return encoded.takeError();
  std::vector<char> bytes;
  if (llvm::Error error = llvm::decodeBase64(*encoded, bytes)) {
    llvm::consumeError(std::move(error));
    return field.fail("precompiled_charsmap is not base64");
  }
  // Four bytes with the size of the trie, the trie, the strings.
  uint32_t trie = 0;
  for (size_t i = 0; i < 4 && bytes.size() >= 4; ++i) trie |= uint32_t(uint8_t(bytes[i])) << (8 * i);
  if (bytes.size() < 4 || trie % 4 != 0 || trie > bytes.size() - 4)
    return field.fail("precompiled_charsmap is damaged: its trie does not fit in");
  tables.normalizer.push_back({NormalizerOp::Precompiled, tables.addClass(graphemeExtending()),
                               tables.addClass(graphemeControl()), std::string(bytes.begin(), bytes.end()), "",
                               tables.addClass(graphemePrepending())});
  return llvm::Error::success();
}

llvm::Error importSequence(const Field &field, Tables &tables) {
  auto elements = field.elements("normalizers");
  if (!elements) return elements.takeError();
  for (const Field &element : *elements)
    if (llvm::Error error = importNormalizer(element, tables)) return error;
  return llvm::Error::success();
}

} // namespace

llvm::Error importNormalizer(const Field &field, Tables &tables) {
  if (field.isNull()) return llvm::Error::success();
  auto type = field.string("type");
  if (!type) return type.takeError();
  if (*type == "Sequence") return importSequence(field, tables);
  if (*type == "BertNormalizer" || *type == "Bert") return importBert(field, tables);
  if (*type == "Strip" || *type == "StripNormalizer") return importStrip(field, tables);
  if (*type == "Replace") return importReplace(field, tables);
  if (*type == "Precompiled") return importPrecompiled(field, tables);
  if (*type == "Prepend") {
    auto content = field.string("prepend");
    if (!content) return content.takeError();
    tables.normalizer.push_back({NormalizerOp::Prepend, 0, 0, "", *content});
    return llvm::Error::success();
  }
  if (*type == "NFC") addNormalForm(NormalizerOp::Nfc, tables);
  else if (*type == "NFD") addNormalForm(NormalizerOp::Nfd, tables);
  else if (*type == "NFKC") addNormalForm(NormalizerOp::Nfkc, tables);
  else if (*type == "NFKD") addNormalForm(NormalizerOp::Nfkd, tables);
  else if (*type == "Lowercase") addLowercase(tables);
  else if (*type == "StripAccents") addRemove(combiningMarks(), tables);
  else if (*type == "Nmt") addNmt(tables);
  else if (*type == "ByteLevel") tables.normalizer.push_back({NormalizerOp::ByteLevel});
  else return field.fail("unsupported: the normalizer \"" + *type + "\"");
  return llvm::Error::success();
}

} // namespace llmc::tokenizer
