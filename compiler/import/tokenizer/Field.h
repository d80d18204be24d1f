// A value of the parsed file with the path to it, so that every error can say where.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace llmc::tokenizer {

class Field {
public:
  Field(const nlohmann::json &value, std::string path) : value(&value), path(std::move(path)) {}

  const nlohmann::json &json() const { return *value; }
  bool isNull() const { return value->is_null(); }
  llvm::Error fail(const llvm::Twine &message) const;

  // Members of an object; at() wants it there, find() gives none where it is missing or null.
  llvm::Expected<Field> at(llvm::StringRef key) const;
  llvm::Expected<std::optional<Field>> find(llvm::StringRef key) const;
  llvm::Expected<std::vector<Field>> elements() const; // of an array

  llvm::Expected<std::string> string() const;
  llvm::Expected<uint32_t> integer(uint32_t most) const;
  llvm::Expected<double> number() const;
  llvm::Expected<bool> boolean() const;
  llvm::Expected<std::string> character() const; // a string of one code point

  // The same of a member; the second form where it may be missing.
  llvm::Expected<std::vector<Field>> elements(llvm::StringRef key) const;
  llvm::Expected<std::string> string(llvm::StringRef key) const;
  llvm::Expected<std::string> string(llvm::StringRef key, llvm::StringRef otherwise) const;
  llvm::Expected<bool> boolean(llvm::StringRef key) const;
  llvm::Expected<bool> boolean(llvm::StringRef key, bool otherwise) const;
  llvm::Expected<uint32_t> integer(llvm::StringRef key, uint32_t most) const;

private:
  llvm::Error typeError(llvm::StringRef wanted) const;
  const nlohmann::json *value;
  std::string path;
};

} // namespace llmc::tokenizer
