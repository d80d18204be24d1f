#include "compiler/import/tokenizer/Tables.h"

#include "runtime/text/normal/normalizer.h"
#include "llvm/ADT/STLExtras.h"

#include <set>

namespace llmc::tokenizer {

namespace schema = llmrt::schema;

namespace {

constexpr uint32_t maxTokens = 1 << 20;
constexpr size_t maxBytes = 4096; // of one added token; bounds the work a position of a text takes

llvm::Expected<AddedToken> importToken(const Field &field) {
  AddedToken token;
  auto content = field.string("content");
  if (!content) return content.takeError();
  token.content = *content;
  if (token.content.size() > maxBytes) return field.fail("longer than 4096 bytes");
  struct Flag {
    llvm::StringRef key;
    bool &value;
  };
  for (const Flag &flag : {Flag{"special", token.special}, Flag{"single_word", token.singleWord},
                           Flag{"lstrip", token.leftStrip}, Flag{"rstrip", token.rightStrip}}) {
    auto value = field.boolean(flag.key, false);
    if (!value) return value.takeError();
    flag.value = *value;
  }
  auto normalized = field.boolean("normalized", !token.special);
  if (!normalized) return normalized.takeError();
  token.normalized = *normalized;
  return token;
}

bool isSame(const AddedToken &a, const AddedToken &b) {
  return a.content == b.content && a.special == b.special && a.singleWord == b.singleWord &&
         a.leftStrip == b.leftStrip && a.rightStrip == b.rightStrip && a.normalized == b.normalized;
}

// The runtime's own normalizer over the tables as they are so far.
class Normalizer {
public:
  explicit Normalizer(const Tables &tables) {
    builder.Finish(tables.write(builder));
    root = flatbuffers::GetRoot<schema::Tokenizer>(builder.GetBufferPointer());
    classes = llmrt::CharClasses(root->classes());
  }
  llvm::Expected<std::string> operator()(const std::string &text, const Field &field) const {
    auto out = llmrt::normalize(*root, classes, text);
    if (!out.ok()) return field.fail("cannot be normalized: " + llvm::Twine(out.status().message()));
    return std::move(out->text);
  }

private:
  flatbuffers::FlatBufferBuilder builder;
  const schema::Tokenizer *root;
  llmrt::CharClasses classes;
};

// The library gives ids by content, not by the file's "id": the model's, or the next after its vocabulary.
class AddedVocabulary {
public:
  explicit AddedVocabulary(Tables &tables) : tables(tables), nextId(tables.model.vocabularySize) {}

  llvm::Error add(const AddedToken &token, const Field &field) {
    if (token.content.empty()) return llvm::Error::success();
    auto known = idByContent.find(token.content);
    if (known != idByContent.end() && isSame(byId[known->second], token)) return llvm::Error::success();
    uint32_t id = known != idByContent.end() ? known->second : freshId(token.content);
    if (token.normalized && !tables.normalizer.empty()) {
      if (!normalizer) normalizer = std::make_unique<Normalizer>(tables);
      auto text = (*normalizer)(token.content, field);
      if (!text) return text.takeError();
      if (*text != token.content) normalizedText[id] = *text;
    }
    idByContent[token.content] = id;
    if (token.special) specials.insert(token.content);
    byId[id] = token;
    byId[id].id = id;
    return llvm::Error::success();
  }

  std::vector<AddedToken> finish() {
    std::vector<AddedToken> out;
    for (auto &[id, token] : byId) {
      auto text = normalizedText.find(id);
      token.decoded = text == normalizedText.end() ? token.content : text->second;
      token.hidden = specials.count(token.decoded) != 0;
      out.push_back(token);
    }
    return out;
  }

private:
  uint32_t freshId(const std::string &content) {
    auto found = tables.model.ids.find(content);
    return found == tables.model.ids.end() ? nextId++ : found->second;
  }

  Tables &tables;
  uint32_t nextId;
  std::unique_ptr<Normalizer> normalizer;
  std::map<std::string, uint32_t> idByContent;
  std::map<uint32_t, AddedToken> byId;
  std::map<uint32_t, std::string> normalizedText;
  std::set<std::string> specials;
};

} // namespace

llvm::Error importAddedTokens(const Field &field, Tables &tables) {
  if (field.isNull()) return llvm::Error::success();
  auto elements = field.elements();
  if (!elements) return elements.takeError();
  if (elements->size() > maxTokens) return field.fail("more than 2^20 tokens");
  AddedVocabulary vocabulary(tables);
  for (const Field &element : *elements) {
    auto token = importToken(element);
    if (!token) return token.takeError();
    if (llvm::Error error = vocabulary.add(*token, element)) return error;
  }
  tables.addedTokens = vocabulary.finish();
  auto any = [&](auto member) { return llvm::any_of(tables.addedTokens, member); };
  if (any([](const AddedToken &t) { return t.singleWord; })) tables.wordClass = int32_t(tables.addClass(rustWord()));
  if (any([](const AddedToken &t) { return t.leftStrip || t.rightStrip; }))
    tables.spaceClass = int32_t(tables.addClass(whiteSpace()));
  return llvm::Error::success();
}

namespace {

struct BuildNode {
  std::map<uint8_t, uint32_t> edges;
  int32_t added = -1;
};

} // namespace

flatbuffers::Offset<schema::Trie> writeTrie(flatbuffers::FlatBufferBuilder &builder,
                                            const std::vector<AddedToken> &tokens, bool normalized) {
  std::vector<BuildNode> nodes(1);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string &text = normalized ? tokens[i].decoded : tokens[i].content;
    if (tokens[i].normalized != normalized || text.empty()) continue;
    uint32_t node = 0;
    for (char c : text) {
      auto [edge, isNew] = nodes[node].edges.try_emplace(uint8_t(c), uint32_t(nodes.size()));
      node = edge->second;
      if (isNew) nodes.emplace_back();
    }
    if (nodes[node].added < 0) nodes[node].added = int32_t(i); // of equal texts the lowest id
  }
  if (nodes.size() == 1) return {};
  std::vector<schema::TrieNode> nodeTable;
  std::vector<schema::TrieEdge> edgeTable;
  for (const BuildNode &node : nodes) {
    nodeTable.emplace_back(uint32_t(edgeTable.size()), uint32_t(node.edges.size()), node.added);
    for (const auto &[byte, target] : node.edges) edgeTable.emplace_back(byte, target);
  }
  auto nodeVector = builder.CreateVectorOfStructs(nodeTable);
  auto edgeVector = builder.CreateVectorOfStructs(edgeTable);
  return schema::CreateTrie(builder, nodeVector, edgeVector);
}

} // namespace llmc::tokenizer
