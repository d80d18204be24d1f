#include "compiler/import/tokenizer/Scores.h"
#include "compiler/import/tokenizer/Tables.h"

#include "llvm/ADT/STLExtras.h"

#include <cstdio>

namespace llmc::tokenizer {

using llmrt::schema::ModelKind;

namespace {

constexpr uint32_t maxId = (1u << 24) - 1; // the largest vocabularies of today have 2^18 entries

// Ids in a file may have gaps, but not absurd ones: tables are as long as the largest id.
llvm::Error placeToken(const Field &field, const std::string &token, uint32_t id, ModelTables &model) {
  if (id >= model.spellings.size()) {
    model.spellings.resize(id + 1);
    model.present.resize(id + 1);
  }
  if (model.present[id]) return field.fail("two tokens have the id " + llvm::Twine(id));
  model.present[id] = 1;
  model.spellings[id] = token;
  model.ids[token] = id;
  return llvm::Error::success();
}

llvm::Error importVocabulary(const Field &field, ModelTables &model) {
  if (!field.json().is_object()) return field.fail("expected an object of tokens and ids");
  uint32_t most = uint32_t(std::min<uint64_t>(maxId, uint64_t(field.json().size()) * 16 + 65536));
  for (const auto &[token, value] : field.json().items()) {
    auto id = Field(value, "model.vocab, a token's id").integer(most);
    if (!id) return id.takeError();
    if (llvm::Error error = placeToken(field, token, *id, model)) return error;
  }
  model.vocabularySize = uint32_t(field.json().size());
  return llvm::Error::success();
}

llvm::Expected<std::pair<std::string, std::string>> importMergePair(const Field &field) {
  if (field.json().is_string()) {
    llvm::StringRef text = field.json().get_ref<const std::string &>();
    auto [left, right] = text.split(' ');
    if (text.count(' ') != 1) return field.fail("expected two tokens and one space between them");
    return std::make_pair(left.str(), right.str());
  }
  auto elements = field.elements();
  if (!elements) return elements.takeError();
  if (elements->size() != 2) return field.fail("expected two tokens");
  auto left = (*elements)[0].string(), right = (*elements)[1].string();
  if (!left) return left.takeError();
  if (!right) return right.takeError();
  return std::make_pair(*left, *right);
}

llvm::Error importMerges(const Field &field, ModelTables &model) {
  auto elements = field.elements();
  if (!elements) return elements.takeError();
  std::map<std::pair<uint32_t, uint32_t>, llmrt::schema::Merge> merges;
  uint32_t rank = 0;
  for (const Field &element : *elements) {
    bool isComment = element.json().is_string() &&
                     llvm::StringRef(element.json().get_ref<const std::string &>()).starts_with("#version");
    if (isComment) continue;
    auto pair = importMergePair(element);
    if (!pair) return pair.takeError();
    auto id = [&](const std::string &token) {
      auto found = model.ids.find(token);
      return found == model.ids.end() ? -1 : int64_t(found->second);
    };
    if (pair->second.size() < model.prefix.size()) return element.fail("the second token lacks the subword prefix");
    int64_t left = id(pair->first), right = id(pair->second);
    int64_t result = id(pair->first + pair->second.substr(model.prefix.size()));
    if (left < 0 || right < 0 || result < 0) return element.fail("a token of the merge is not in the vocabulary");
    // A pair that is given twice has its last rank.
    merges[{uint32_t(left), uint32_t(right)}] =
        llmrt::schema::Merge(uint32_t(left), uint32_t(right), rank++, uint32_t(result));
  }
  for (const auto &[pair, merge] : merges) model.merges.push_back(merge);
  return llvm::Error::success();
}

int32_t unknownId(const std::string &token, const ModelTables &model) {
  auto found = model.ids.find(token);
  return found == model.ids.end() ? -2 : int32_t(found->second);
}

llvm::Error importBpe(const Field &field, ModelTables &model) {
  model.kind = ModelKind::Bpe;
  auto prefix = field.string("continuing_subword_prefix", ""), suffix = field.string("end_of_word_suffix", "");
  auto fuse = field.boolean("fuse_unk", false), bytes = field.boolean("byte_fallback", false),
       ignore = field.boolean("ignore_merges", false);
  for (auto *text : {&prefix, &suffix})
    if (!*text) return text->takeError();
  for (auto *flag : {&fuse, &bytes, &ignore})
    if (!*flag) return flag->takeError();
  model.prefix = *prefix;
  model.suffix = *suffix;
  model.fuseUnknown = *fuse;
  model.byteFallback = *bytes;
  model.ignoreMerges = *ignore;
  auto vocabulary = field.at("vocab"), merges = field.at("merges");
  if (!vocabulary) return vocabulary.takeError();
  if (!merges) return merges.takeError();
  if (llvm::Error error = importVocabulary(*vocabulary, model)) return error;
  if (llvm::Error error = importMerges(*merges, model)) return error;
  auto unknown = field.find("unk_token");
  if (!unknown) return unknown.takeError();
  if (!*unknown) return llvm::Error::success();
  auto token = (*unknown)->string();
  if (!token) return token.takeError();
  model.unknown = unknownId(*token, model);
  return llvm::Error::success();
}

llvm::Error importWordPiece(const Field &field, ModelTables &model) {
  model.kind = ModelKind::WordPiece;
  auto prefix = field.string("continuing_subword_prefix", "##"), unknown = field.string("unk_token", "[UNK]");
  if (!prefix) return prefix.takeError();
  if (!unknown) return unknown.takeError();
  auto most = field.find("max_input_chars_per_word");
  if (!most) return most.takeError();
  model.maxWordChars = 100;
  if (*most) {
    auto value = (*most)->integer(1 << 20);
    if (!value) return value.takeError();
    model.maxWordChars = *value;
  }
  model.prefix = *prefix;
  auto vocabulary = field.at("vocab");
  if (!vocabulary) return vocabulary.takeError();
  if (llvm::Error error = importVocabulary(*vocabulary, model)) return error;
  model.unknown = unknownId(*unknown, model);
  return llvm::Error::success();
}

llvm::Error importUnigram(const Field &field, llvm::StringRef text, ModelTables &model) {
  model.kind = ModelKind::Unigram;
  model.fuseUnknown = true;
  auto bytes = field.boolean("byte_fallback", false);
  if (!bytes) return bytes.takeError();
  model.byteFallback = *bytes;
  auto vocabulary = field.at("vocab");
  if (!vocabulary) return vocabulary.takeError();
  auto entries = vocabulary->elements();
  if (!entries) return entries.takeError();
  if (entries->size() > maxId) return vocabulary->fail("too many tokens");
  for (const Field &entry : *entries) {
    auto pair = entry.elements();
    if (!pair) return pair.takeError();
    if (pair->size() != 2) return entry.fail("expected a token and its score");
    auto token = (*pair)[0].string();
    auto score = (*pair)[1].number();
    if (!token) return token.takeError();
    if (!score) return score.takeError();
    if (llvm::Error error = placeToken(*vocabulary, *token, uint32_t(model.spellings.size()), model)) return error;
  }
  model.scores = readScores(text);
  // A repeated key, say a second "vocab", leaves one of two in the parsed file.
  if (model.scores.size() != entries->size()) return vocabulary->fail("the file has it twice");
  double lowest = std::numeric_limits<double>::infinity();
  for (double score : model.scores) lowest = std::min(lowest, score);
  model.vocabularySize = uint32_t(entries->size());
  model.unknownScore = lowest - 10.0; // the library's penalty
  auto unknown = field.find("unk_id");
  if (!unknown) return unknown.takeError();
  if (!*unknown) {
    model.unknown = -2;
    return llvm::Error::success();
  }
  if (model.spellings.empty()) return field.fail("no tokens");
  auto id = (*unknown)->integer(uint32_t(model.spellings.size() - 1));
  if (!id) return id.takeError();
  model.unknown = int32_t(*id);
  return llvm::Error::success();
}

// Old files do not name the kind.
std::string guessKind(const nlohmann::json &model) {
  if (!model.is_object()) return "";
  if (model.contains("merges")) return "BPE";
  auto vocabulary = model.find("vocab");
  if (vocabulary != model.end() && vocabulary->is_array()) return "Unigram";
  return model.contains("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

} // namespace

llvm::Error importModel(const Field &field, Tables &tables) {
  auto type = field.string("type", guessKind(field.json()));
  if (!type) return type.takeError();
  if (*type == "BPE") return importBpe(field, tables.model);
  if (*type == "WordPiece") return importWordPiece(field, tables.model);
  if (*type == "Unigram") return importUnigram(field, tables.text, tables.model);
  return field.fail("unsupported: the model \"" + *type + "\"");
}

} // namespace llmc::tokenizer
