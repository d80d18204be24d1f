#include "compiler/import/tokenizer/Tokenizer.h"

#include "compiler/import/Json.h"
#include "compiler/import/tokenizer/Tables.h"

#include <memory>

namespace llmc {

using tokenizer::Field;
using tokenizer::Tables;

namespace {

using Part = llvm::Error (*)(const Field &, Tables &);

llvm::Error importPart(const Field &root, llvm::StringRef key, Part part, Tables &tables) {
  const nlohmann::json null;
  auto field = root.find(key);
  if (!field) return field.takeError();
  return part(*field ? **field : Field(null, key.str()), tables);
}

llvm::Error importAll(const Field &root, Tables &tables) {
  auto version = root.string("version", "1.0");
  if (!version) return version.takeError();
  if (*version != "1.0") return root.fail("unsupported: the version \"" + printable(*version) + "\"");
  auto model = root.at("model");
  if (!model) return model.takeError();
  if (llvm::Error error = tokenizer::importModel(*model, tables)) return error;
  struct Row {
    llvm::StringRef key;
    Part part;
  };
  for (const Row &row : {Row{"normalizer", tokenizer::importNormalizer},
                         Row{"pre_tokenizer", tokenizer::importPreTokenizer},
                         Row{"post_processor", tokenizer::importPostProcessor},
                         Row{"decoder", tokenizer::importDecoder}, Row{"added_tokens", tokenizer::importAddedTokens}})
    if (llvm::Error error = importPart(root, row.key, row.part, tables)) return error;
  return llvm::Error::success();
}

} // namespace

llvm::Expected<std::function<TokenizerOffset(flatbuffers::FlatBufferBuilder &)>>
compileTokenizer(llvm::StringRef json) {
  auto parsed = parseJsonObject(json, "tokenizer.json");
  if (!parsed) return parsed.takeError();
  auto tables = std::make_shared<Tables>();
  tables->text = json;
  if (llvm::Error error = importAll(Field(*parsed, ""), *tables)) return std::move(error);
  tables->text = "";
  return [tables](flatbuffers::FlatBufferBuilder &builder) { return tables->write(builder); };
}

llvm::Expected<TokenizerOffset> buildTokenizer(llvm::StringRef json, flatbuffers::FlatBufferBuilder &builder) {
  auto write = compileTokenizer(json);
  if (!write) return write.takeError();
  return (*write)(builder);
}

} // namespace llmc
