#include "compiler/import/tokenizer/Tables.h"

namespace llmc::tokenizer {

namespace {

constexpr int32_t theText = -1;
constexpr uint32_t maxId = (1u << 26) - 1;
constexpr size_t maxTemplate = 65536;

// What a processor makes of one sequence: ids, and theText where the sequence goes.
using Template = std::vector<int32_t>;

llvm::Error addSpecial(const Field &piece, const Field &processor, Template &out) {
  auto name = piece.string("id");
  if (!name) return name.takeError();
  auto specials = processor.at("special_tokens");
  if (!specials) return specials.takeError();
  auto special = specials->at(*name);
  if (!special) return special.takeError();
  auto ids = special->elements("ids");
  if (!ids) return ids.takeError();
  for (const Field &id : *ids) {
    auto value = id.integer(maxId);
    if (!value) return value.takeError();
    out.push_back(int32_t(*value));
  }
  return llvm::Error::success();
}

llvm::Expected<Template> importTemplate(const Field &field) {
  auto pieces = field.elements("single");
  if (!pieces) return pieces.takeError();
  Template out;
  for (const Field &piece : *pieces) {
    auto sequence = piece.find("Sequence"), special = piece.find("SpecialToken");
    if (!sequence) return sequence.takeError();
    if (!special) return special.takeError();
    if (*sequence) {
      auto id = (*sequence)->string("id");
      if (!id) return id.takeError();
      if (*id != "A") return piece.fail("the template of one sequence can have only the sequence A");
      out.push_back(theText);
    } else if (*special) {
      if (llvm::Error error = addSpecial(**special, field, out)) return std::move(error);
    } else {
      return piece.fail("expected a Sequence or a SpecialToken");
    }
  }
  return out;
}

// ["<s>", 0]
llvm::Expected<int32_t> importTokenPair(const Field &field, llvm::StringRef key) {
  auto elements = field.elements(key);
  if (!elements) return elements.takeError();
  if (elements->size() != 2) return field.fail(key + ": expected a token and its id");
  auto id = (*elements)[1].integer(maxId);
  if (!id) return id.takeError();
  return int32_t(*id);
}

llvm::Error importOne(const Field &field, Template &result) {
  auto type = field.string("type");
  if (!type) return type.takeError();
  if (*type == "ByteLevel") return llvm::Error::success(); // offsets only
  if (*type == "Sequence") {
    auto list = field.at("processors");
    if (!list) return list.takeError();
    auto elements = list->elements();
    if (!elements) return elements.takeError();
    for (const Field &element : *elements)
      if (llvm::Error error = importOne(element, result)) return error;
    return llvm::Error::success();
  }
  if (*type != "TemplateProcessing" && *type != "RobertaProcessing" && *type != "BertProcessing")
    return field.fail("unsupported: the post-processor \"" + *type + "\"");
  if (result != Template{theText}) return field.fail("unsupported: two post-processors that add tokens, in a row");
  if (*type == "TemplateProcessing") {
    auto made = importTemplate(field);
    if (!made) return made.takeError();
    if (made->size() > maxTemplate) return field.fail("a template of more than 65536 tokens");
    result = std::move(*made);
    return llvm::Error::success();
  }
  auto begin = importTokenPair(field, "cls"), end = importTokenPair(field, "sep");
  if (!begin) return begin.takeError();
  if (!end) return end.takeError();
  result = {*begin, theText, *end};
  return llvm::Error::success();
}

} // namespace

llvm::Error importPostProcessor(const Field &field, Tables &tables) {
  Template result{theText};
  if (!field.isNull())
    if (llvm::Error error = importOne(field, result)) return error;
  // An empty list means the text's own ids; a template that leaves the text out altogether is a mistake.
  if (result.empty()) return field.fail("the template has neither the text nor a token");
  if (result != Template{theText}) tables.templateIds = std::move(result);
  return llvm::Error::success();
}

} // namespace llmc::tokenizer
