#include "compiler/import/tokenizer/Tables.h"

namespace llmc::tokenizer {

using llmrt::schema::DecoderOp;

namespace {

llvm::Error importReplace(const Field &field, Tables &tables) {
  auto replace = importReplacement(field, tables);
  if (!replace) return replace.takeError();
  DecoderOp op = replace->what.isPattern ? DecoderOp::ReplacePattern : DecoderOp::ReplaceText;
  tables.decoder.push_back({op, replace->what.pattern, 0, replace->what.text, replace->by});
  return llvm::Error::success();
}

llvm::Error importStrip(const Field &field, Tables &tables) {
  auto contentField = field.at("content");
  if (!contentField) return contentField.takeError();
  auto content = contentField->character();
  auto start = field.integer("start", 1 << 30), stop = field.integer("stop", 1 << 30);
  if (!content) return content.takeError();
  if (!start) return start.takeError();
  if (!stop) return stop.takeError();
  tables.decoder.push_back({DecoderOp::Strip, *start, *stop, *content});
  return llvm::Error::success();
}

llvm::Error importMetaspace(const Field &field, Tables &tables) {
  auto replacementField = field.at("replacement");
  if (!replacementField) return replacementField.takeError();
  auto replacement = replacementField->character();
  auto scheme = field.string("prepend_scheme", "always");
  auto prefix = field.boolean("add_prefix_space", true);
  if (!replacement) return replacement.takeError();
  if (!scheme) return scheme.takeError();
  if (!prefix) return prefix.takeError();
  bool drops = *prefix && *scheme != "never";
  tables.decoder.push_back({DecoderOp::Metaspace, drops, 0, *replacement});
  return llvm::Error::success();
}

llvm::Error importWordPiece(const Field &field, Tables &tables) {
  auto prefix = field.string("prefix");
  auto cleanup = field.boolean("cleanup");
  if (!prefix) return prefix.takeError();
  if (!cleanup) return cleanup.takeError();
  tables.decoder.push_back({DecoderOp::WordPiece, *cleanup, 0, *prefix});
  return llvm::Error::success();
}

llvm::Error importBpeSuffix(const Field &field, Tables &tables) {
  auto suffix = field.string("suffix");
  if (!suffix) return suffix.takeError();
  if (suffix->empty()) return field.fail("unsupported: an empty suffix");
  tables.decoder.push_back({DecoderOp::BpeSuffix, 0, 0, *suffix});
  return llvm::Error::success();
}

llvm::Error importCtc(const Field &field, Tables &tables) {
  auto padding = field.string("pad_token"), delimiter = field.string("word_delimiter_token");
  auto cleanup = field.boolean("cleanup");
  if (!padding) return padding.takeError();
  if (!delimiter) return delimiter.takeError();
  if (!cleanup) return cleanup.takeError();
  tables.decoder.push_back({DecoderOp::Ctc, *cleanup, 0, *padding, *delimiter});
  return llvm::Error::success();
}

llvm::Error importOne(const Field &field, Tables &tables) {
  auto type = field.string("type");
  if (!type) return type.takeError();
  if (*type == "Sequence") {
    auto elements = field.elements("decoders");
    if (!elements) return elements.takeError();
    for (const Field &element : *elements)
      if (llvm::Error error = importOne(element, tables)) return error;
    return llvm::Error::success();
  }
  if (*type == "Replace") return importReplace(field, tables);
  if (*type == "Strip") return importStrip(field, tables);
  if (*type == "Metaspace") return importMetaspace(field, tables);
  if (*type == "WordPiece") return importWordPiece(field, tables);
  if (*type == "BPEDecoder") return importBpeSuffix(field, tables);
  if (*type == "CTC") return importCtc(field, tables);
  if (*type == "ByteLevel") tables.decoder.push_back({DecoderOp::ByteLevel});
  else if (*type == "ByteFallback") tables.decoder.push_back({DecoderOp::ByteFallback});
  else if (*type == "Fuse") tables.decoder.push_back({DecoderOp::Fuse});
  else return field.fail("unsupported: the decoder \"" + *type + "\"");
  return llvm::Error::success();
}

} // namespace

llvm::Error importDecoder(const Field &field, Tables &tables) {
  if (!field.isNull()) return importOne(field, tables);
  tables.decoder.push_back({DecoderOp::JoinWithSpaces});
  return llvm::Error::success();
}

} // namespace llmc::tokenizer
