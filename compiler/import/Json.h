// JSON from files that nobody vouches for: limited in size and depth, no exceptions, errors with a position.
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace llmc {

constexpr uint64_t kMaxConfigBytes = 64ull << 20;     // config.json and its like
constexpr uint64_t kMaxTokenizerBytes = 256ull << 20; // tokenizer.json; the largest real ones are 35 MB
constexpr int kMaxJsonDepth = 64;

// "what: message", with which every error of this folder is made.
llvm::Error importError(const llvm::Twine &what, const llvm::Twine &message);

// Control characters and what is not ASCII come out as \xNN, long names are cut: for names from files in messages.
std::string printable(llvm::StringRef name);

// The text of a regular file of at most `limit` bytes; none where there is no such file.
llvm::Expected<std::optional<std::string>> readTextFile(llvm::StringRef path, uint64_t limit);

// `what` names the text in errors, usually its path. The value is an object.
llvm::Expected<nlohmann::json> parseJsonObject(llvm::StringRef text, llvm::StringRef what);

// Both at once; null where there is no such file.
llvm::Expected<nlohmann::json> readJsonObject(llvm::StringRef path, uint64_t limit);

} // namespace llmc
