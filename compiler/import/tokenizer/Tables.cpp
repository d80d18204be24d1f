#include "compiler/import/tokenizer/Tables.h"

#include "llvm/ADT/STLExtras.h"

namespace llmc::tokenizer {

namespace schema = llmrt::schema;
using Builder = flatbuffers::FlatBufferBuilder;

namespace {
flatbuffers::Offset<flatbuffers::Vector<uint8_t>> writeBytes(Builder &builder, const std::string &text) {
  return builder.CreateVector(reinterpret_cast<const uint8_t *>(text.data()), text.size());
}
} // namespace

uint32_t Tables::addClass(const CharSet &set) {
  auto [found, isNew] = classIndices.try_emplace(set.ranges(), uint32_t(classes.size()));
  if (isNew) classes.push_back(set);
  return found->second;
}

uint32_t Tables::addLowercaseMap() {
  if (!maps.empty()) return 0; // the only map there is
  maps.emplace_back();
  for (const LowercaseMapping &row : lowercaseMappings()) maps[0].emplace_back(row.from, row.first, row.second);
  return 0;
}

llvm::Expected<uint32_t> Tables::addPattern(llvm::StringRef source, WordChars word, const Field &where) {
  auto key = std::make_pair(source.str(), word == WordChars::Rust);
  if (auto found = patternIndices.find(key); found != patternIndices.end()) return found->second;
  auto program = compileRegex(source, word, [this](const CharSet &set) { return addClass(set); });
  if (!program) return where.fail("regular expression: " + llvm::toString(program.takeError()));
  patterns.push_back({std::move(*program), source.str()});
  return patternIndices[key] = uint32_t(patterns.size() - 1);
}

llvm::Expected<TextOrPattern> importTextOrPattern(const Field &field, Tables &tables) {
  TextOrPattern out;
  auto text = field.find("String");
  if (!text) return text.takeError();
  if (*text) {
    auto string = (*text)->string();
    if (!string) return string.takeError();
    out.text = std::move(*string);
    if (!out.text.empty()) return out;
  }
  // An empty string matches where an empty expression does: everywhere.
  std::string source;
  if (!*text) {
    auto regex = field.string("Regex");
    if (!regex) return regex.takeError();
    source = std::move(*regex);
  }
  auto pattern = tables.addPattern(source, WordChars::Oniguruma, field);
  if (!pattern) return pattern.takeError();
  out.isPattern = true;
  out.pattern = *pattern;
  return out;
}

llvm::Expected<Replacement> importReplacement(const Field &field, Tables &tables) {
  auto pattern = field.at("pattern");
  if (!pattern) return pattern.takeError();
  auto what = importTextOrPattern(*pattern, tables);
  if (!what) return what.takeError();
  auto by = field.string("content");
  if (!by) return by.takeError();
  return Replacement{std::move(*what), std::move(*by)};
}

flatbuffers::Offset<schema::Tokenizer> Tables::write(Builder &builder) const {
  auto vocabulary = writeVocabulary(builder, model);
  auto tokenModel = writeModel(builder, model);

  std::vector<flatbuffers::Offset<schema::AddedToken>> added;
  for (const AddedToken &token : addedTokens) {
    uint8_t flags = 0;
    auto flag = [&](bool on, schema::AddedFlags bit) { flags |= on ? uint8_t(bit) : 0; };
    flag(token.special, schema::AddedFlags::Special);
    flag(token.singleWord, schema::AddedFlags::SingleWord);
    flag(token.leftStrip, schema::AddedFlags::LeftStrip);
    flag(token.rightStrip, schema::AddedFlags::RightStrip);
    flag(token.normalized, schema::AddedFlags::Normalized);
    auto content = writeBytes(builder, token.content), decoded = writeBytes(builder, token.decoded);
    added.push_back(schema::CreateAddedToken(builder, int32_t(token.id), schema::AddedFlags(flags), content, decoded,
                                             token.hidden));
  }
  std::vector<uint32_t> byText(addedTokens.size());
  for (uint32_t i = 0; i < byText.size(); ++i) byText[i] = i;
  llvm::sort(byText, [&](uint32_t a, uint32_t b) { return addedTokens[a].content < addedTokens[b].content; });
  auto rawTrie = writeTrie(builder, addedTokens, /*normalized=*/false);
  auto normalizedTrie = writeTrie(builder, addedTokens, /*normalized=*/true);

  std::vector<flatbuffers::Offset<schema::CharClass>> classTables;
  for (const CharSet &set : classes) {
    std::vector<schema::CharRange> ranges;
    for (const auto &[first, last] : set.ranges()) ranges.emplace_back(first, last);
    classTables.push_back(schema::CreateCharClass(builder, builder.CreateVectorOfStructs(ranges)));
  }
  std::vector<flatbuffers::Offset<schema::CharMap>> mapTables;
  for (const auto &rows : maps)
    mapTables.push_back(schema::CreateCharMap(builder, builder.CreateVectorOfStructs(rows)));
  std::vector<flatbuffers::Offset<schema::TextPattern>> patternTables;
  for (const Pattern &p : patterns) {
    auto source = builder.CreateString(p.source);
    patternTables.push_back(schema::CreateTextPattern(builder, builder.CreateVectorOfStructs(p.program), source));
  }
  flatbuffers::Offset<schema::NormalForms> forms;
  if (needsNormalForms) forms = writeNormalForms(builder, needsCompatibility);

  std::vector<flatbuffers::Offset<schema::NormalizerStep>> normalizerSteps;
  for (const NormalizerStep &s : normalizer) {
    auto text = writeBytes(builder, s.text), content = writeBytes(builder, s.content);
    normalizerSteps.push_back(schema::CreateNormalizerStep(builder, s.op, s.a, s.b, s.c, text, content));
  }
  std::vector<flatbuffers::Offset<schema::PreTokenizerStep>> preTokenizerSteps;
  for (const PreTokenizerStep &s : preTokenizer) {
    auto text = writeBytes(builder, s.text), content = writeBytes(builder, s.content);
    preTokenizerSteps.push_back(
        schema::CreatePreTokenizerStep(builder, s.op, s.a, text, content, s.behavior, s.invert));
  }
  std::vector<flatbuffers::Offset<schema::DecoderStep>> decoderSteps;
  for (const DecoderStep &s : decoder) {
    auto text = writeBytes(builder, s.text), content = writeBytes(builder, s.content);
    decoderSteps.push_back(schema::CreateDecoderStep(builder, s.op, s.a, s.b, text, content));
  }
  const char *kinds[] = {"bpe", "wordpiece", "unigram"};
  auto kind = builder.CreateString(kinds[size_t(model.kind)]);
  auto addedVector = builder.CreateVector(added);
  auto byTextVector = builder.CreateVector(byText);
  auto classVector = builder.CreateVector(classTables);
  auto mapVector = builder.CreateVector(mapTables);
  auto patternVector = builder.CreateVector(patternTables);
  auto normalizerVector = builder.CreateVector(normalizerSteps);
  auto preTokenizerVector = builder.CreateVector(preTokenizerSteps);
  auto decoderVector = builder.CreateVector(decoderSteps);
  auto templateVector = builder.CreateVector(templateIds);
  return schema::CreateTokenizer(builder, kind, vocabulary, tokenModel, addedVector, byTextVector, rawTrie,
                                 normalizedTrie, classVector, mapVector, forms, patternVector, normalizerVector,
                                 preTokenizerVector, decoderVector, templateVector, wordClass, spaceClass);
}

} // namespace llmc::tokenizer
