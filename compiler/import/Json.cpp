#include "compiler/import/Json.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

namespace llmc {
namespace {

using nlohmann::json;

// Only the place and the reason of a syntax error: nlohmann tells them to a SAX handler alone.
struct ErrorFinder : nlohmann::json_sax<json> {
  std::string reason;
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t &) override { return true; }
  bool string(string_t &) override { return true; }
  bool binary(binary_t &) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t &) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string &, const json::exception &error) override {
    llvm::StringRef text = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..."
    size_t colon = text.find(": ");
    reason = "byte " + std::to_string(position) + ": " +
             printable(colon == llvm::StringRef::npos ? text : text.substr(colon + 2));
    return false;
  }
};

// Depth of nesting as the brackets outside strings tell it; right for every text that is JSON.
bool isTooDeep(llvm::StringRef text) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\') ++i;
      else if (c == '"') inString = false;
      continue;
    }
    if (c == '"') inString = true;
    else if ((c == '{' || c == '[') && ++depth > kMaxJsonDepth) return true;
    else if (c == '}' || c == ']') --depth;
  }
  return false;
}

} // namespace

llvm::Error importError(const llvm::Twine &what, const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), what + ": " + message);
}

std::string printable(llvm::StringRef name) {
  std::string out;
  for (char c : name.take_front(200)) {
    if (c >= 0x20 && c < 0x7f) out += c;
    else out += "\\x" + llvm::toHex(llvm::StringRef(&c, 1), /*LowerCase=*/true);
  }
  return name.size() > 200 ? out + "..." : out;
}

llvm::Expected<std::optional<std::string>> readTextFile(llvm::StringRef path, uint64_t limit) {
  llvm::sys::fs::file_status status;
  if (std::error_code error = llvm::sys::fs::status(path, status)) {
    if (error == std::errc::no_such_file_or_directory) return std::nullopt;
    return importError(path, error.message());
  }
  if (status.type() != llvm::sys::fs::file_type::regular_file) return importError(path, "is not a regular file");
  if (status.getSize() > limit)
    return importError(path, llvm::Twine(status.getSize()) + " bytes is more than the " + llvm::Twine(limit) +
                                 " that such a file may have");
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer) return importError(path, buffer.getError().message());
  return (*buffer)->getBuffer().str();
}

llvm::Expected<json> parseJsonObject(llvm::StringRef text, llvm::StringRef what) {
  if (isTooDeep(text))
    return importError(what, "JSON nested more than " + llvm::Twine(kMaxJsonDepth) + " deep; no real file is");
  json value = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    ErrorFinder finder;
    json::sax_parse(text.begin(), text.end(), &finder);
    return importError(what, "not JSON: " + finder.reason + "; is the file whole?");
  }
  if (!value.is_object()) return importError(what, "must be a JSON object, found " + llvm::Twine(value.type_name()));
  return value;
}

llvm::Expected<json> readJsonObject(llvm::StringRef path, uint64_t limit) {
  auto text = readTextFile(path, limit);
  if (!text) return text.takeError();
  if (!*text) return json();
  return parseJsonObject(**text, path);
}

} // namespace llmc
