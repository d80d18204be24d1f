#include "compiler/import/tokenizer/Field.h"

#include "compiler/import/Json.h"
#include "runtime/text/normal/utf8.h"

namespace llmc::tokenizer {

llvm::Error Field::fail(const llvm::Twine &message) const {
  return importError(path.empty() ? "tokenizer.json" : "tokenizer.json: " + path, message);
}

llvm::Error Field::typeError(llvm::StringRef wanted) const {
  return fail("expected " + wanted + ", found " + llvm::Twine(value->type_name()));
}

llvm::Expected<std::optional<Field>> Field::find(llvm::StringRef key) const {
  if (!value->is_object()) return typeError("an object");
  auto found = value->find(key.str());
  if (found == value->end() || found->is_null()) return std::nullopt;
  return Field(*found, path.empty() ? key.str() : path + "." + key.str());
}

llvm::Expected<Field> Field::at(llvm::StringRef key) const {
  auto found = find(key);
  if (!found) return found.takeError();
  if (!*found) return fail("\"" + key + "\" is missing");
  return **found;
}

llvm::Expected<std::vector<Field>> Field::elements() const {
  if (!value->is_array()) return typeError("an array");
  std::vector<Field> out;
  for (size_t i = 0; i < value->size(); ++i) out.emplace_back((*value)[i], path + "[" + std::to_string(i) + "]");
  return out;
}

llvm::Expected<std::string> Field::string() const {
  if (!value->is_string()) return typeError("a string");
  return value->get_ref<const std::string &>();
}

llvm::Expected<uint32_t> Field::integer(uint32_t most) const {
  if (!value->is_number_unsigned()) return typeError("a whole number");
  if (value->get<uint64_t>() > most) return fail("is more than " + llvm::Twine(most));
  return uint32_t(value->get<uint64_t>());
}

llvm::Expected<double> Field::number() const {
  if (!value->is_number()) return typeError("a number");
  return value->get<double>();
}

llvm::Expected<bool> Field::boolean() const {
  if (!value->is_boolean()) return typeError("true or false");
  return value->get<bool>();
}

llvm::Expected<std::string> Field::character() const {
  auto text = string();
  if (!text) return text;
  if (text->empty() || llmrt::utf8_first(*text).length != text->size()) return fail("must be one character");
  return text;
}

llvm::Expected<std::vector<Field>> Field::elements(llvm::StringRef key) const {
  auto field = at(key);
  if (!field) return field.takeError();
  return field->elements();
}

llvm::Expected<std::string> Field::string(llvm::StringRef key) const {
  auto field = at(key);
  if (!field) return field.takeError();
  return field->string();
}

llvm::Expected<std::string> Field::string(llvm::StringRef key, llvm::StringRef otherwise) const {
  auto field = find(key);
  if (!field) return field.takeError();
  return *field ? (*field)->string() : otherwise.str();
}

llvm::Expected<bool> Field::boolean(llvm::StringRef key) const {
  auto field = at(key);
  if (!field) return field.takeError();
  return field->boolean();
}

llvm::Expected<bool> Field::boolean(llvm::StringRef key, bool otherwise) const {
  auto field = find(key);
  if (!field) return field.takeError();
  return *field ? (*field)->boolean() : otherwise;
}

llvm::Expected<uint32_t> Field::integer(llvm::StringRef key, uint32_t most) const {
  auto field = at(key);
  if (!field) return field.takeError();
  return field->integer(most);
}

} // namespace llmc::tokenizer
