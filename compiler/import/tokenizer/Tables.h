// The tokenizer's tables while they are made: what the parts of the importer fill and write() puts into the artifact.
#pragma once

#include "compiler/import/tokenizer/CharSet.h"
#include "compiler/import/tokenizer/Field.h"
#include "compiler/import/tokenizer/Regex.h"
#include "runtime/schema/tokenizer_generated.h"

#include <map>
#include <string>
#include <vector>

namespace llmc::tokenizer {

struct NormalizerStep {
  llmrt::schema::NormalizerOp op;
  uint32_t a = 0, b = 0;
  std::string text = {}, content = {};
  uint32_t c = 0;
};

struct PreTokenizerStep {
  llmrt::schema::PreTokenizerOp op;
  uint32_t a = 0;
  std::string text = {}, content = {};
  llmrt::schema::SplitBehavior behavior = llmrt::schema::SplitBehavior::Isolated;
  bool invert = false;
};

struct DecoderStep {
  llmrt::schema::DecoderOp op;
  uint32_t a = 0, b = 0;
  std::string text = {}, content = {};
};

struct Pattern {
  std::vector<llmrt::schema::PatternInstruction> program;
  std::string source;
};

struct ModelTables {
  llmrt::schema::ModelKind kind = llmrt::schema::ModelKind::Bpe;
  std::map<std::string, uint32_t> ids;         // the model's vocabulary
  uint32_t vocabularySize = 0;                 // entries in the file
  std::vector<std::string> spellings;          // by id
  std::vector<uint8_t> present;                // by id
  std::vector<double> scores;                  // by id; Unigram
  std::vector<llmrt::schema::Merge> merges;    // in no order
  int32_t unknown = -1;
  bool fuseUnknown = false, byteFallback = false, ignoreMerges = false;
  std::string prefix, suffix;
  uint32_t maxWordChars = 0;
  double unknownScore = 0;
};

struct AddedToken {
  uint32_t id = 0;
  std::string content, decoded;
  bool special = false, singleWord = false, leftStrip = false, rightStrip = false, normalized = false, hidden = false;
};

class Tables {
public:
  uint32_t addClass(const CharSet &set);
  uint32_t addLowercaseMap();
  llvm::Expected<uint32_t> addPattern(llvm::StringRef source, WordChars word, const Field &where);

  flatbuffers::Offset<llmrt::schema::Tokenizer> write(flatbuffers::FlatBufferBuilder &builder) const;

  llvm::StringRef text; // of the file, while it is imported
  ModelTables model;
  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> preTokenizer;
  std::vector<DecoderStep> decoder;
  std::vector<int32_t> templateIds;
  std::vector<AddedToken> addedTokens; // sorted by id
  bool needsNormalForms = false, needsCompatibility = false;
  int32_t wordClass = -1, spaceClass = -1;

private:
  std::vector<CharSet> classes;
  std::map<std::vector<CharSet::Range>, uint32_t> classIndices;
  std::vector<std::vector<llmrt::schema::CharMapping>> maps;
  std::vector<Pattern> patterns;
  std::map<std::pair<std::string, bool>, uint32_t> patternIndices;
};

// Parts of tokenizer.json; `field` is the part's value, null included.
llvm::Error importModel(const Field &field, Tables &tables);
llvm::Error importNormalizer(const Field &field, Tables &tables);
llvm::Error importPreTokenizer(const Field &field, Tables &tables);
llvm::Error importPostProcessor(const Field &field, Tables &tables);
llvm::Error importDecoder(const Field &field, Tables &tables);
llvm::Error importAddedTokens(const Field &field, Tables &tables); // after all the others

// {"String": s} or {"Regex": s}.
struct TextOrPattern {
  bool isPattern = false;
  std::string text;     // the string
  uint32_t pattern = 0; // or the pattern's index
};
llvm::Expected<TextOrPattern> importTextOrPattern(const Field &field, Tables &tables);

// {"pattern": what, "content": by} of normalizers and decoders.
struct Replacement {
  TextOrPattern what;
  std::string by;
};
llvm::Expected<Replacement> importReplacement(const Field &field, Tables &tables);

flatbuffers::Offset<llmrt::schema::NormalForms> writeNormalForms(flatbuffers::FlatBufferBuilder &builder,
                                                                 bool compatibility);
flatbuffers::Offset<llmrt::schema::Vocabulary> writeVocabulary(flatbuffers::FlatBufferBuilder &builder,
                                                               const ModelTables &model);
flatbuffers::Offset<llmrt::schema::TokenModel> writeModel(flatbuffers::FlatBufferBuilder &builder,
                                                          const ModelTables &model);
flatbuffers::Offset<llmrt::schema::Trie> writeTrie(flatbuffers::FlatBufferBuilder &builder,
                                                   const std::vector<AddedToken> &tokens, bool normalized);

} // namespace llmc::tokenizer
