// Typed access to a config.json. Nothing in it is trusted: every field is checked for its type and range.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace llmc::models {

// Reads fields of one JSON object. A field that is null counts as absent, as in transformers. The first wrong field
// is kept as the reader's problem and a harmless value within the range is returned, so that a family reads all its
// fields in a row and asks once: takeError().
class ConfigReader {
public:
  // `config` must outlive the reader.
  explicit ConfigReader(const nlohmann::json &config);

  bool has(llvm::StringRef field) const; // there and not null
  bool isNull(llvm::StringRef field) const; // there, and null

  // Without a fallback the field is required. Bounds are inclusive.
  int64_t integer(llvm::StringRef field, int64_t low, int64_t high, std::optional<int64_t> fallback = std::nullopt);
  double number(llvm::StringRef field, double low, double high, std::optional<double> fallback = std::nullopt);
  bool boolean(llvm::StringRef field, bool fallback);
  // One of `allowed`; the error lists them.
  std::string choice(llvm::StringRef field, llvm::ArrayRef<llvm::StringRef> allowed, llvm::StringRef fallback);
  std::optional<std::vector<std::string>> choices(llvm::StringRef field, llvm::ArrayRef<llvm::StringRef> allowed,
                                                  int64_t count);
  // The first of `fields` that is there as an object that is not empty: a reader of it that reports to this one (which
  // must outlive it). None is there: nothing.
  std::optional<ConfigReader> firstObject(llvm::ArrayRef<llvm::StringRef> fields);
  // Do some of its fields hold objects themselves?
  bool isNested() const;

  // The field changes the output and only `neutral` (or absence) is supported.
  void onlySupports(llvm::StringRef field, const nlohmann::json &neutral, llvm::StringRef why);
  // "config.json: "field" is <value>; <rest>", unless there is a problem already.
  void refuse(llvm::StringRef field, const llvm::Twine &rest);

  bool failed() const { return !problem().empty(); }
  llvm::Error takeError(); // success if nothing was wrong

private:
  ConfigReader(const nlohmann::json &object, std::string path, ConfigReader &parent);
  const nlohmann::json *find(llvm::StringRef field) const; // null where absent or null
  std::string &problem() { return root_ ? root_->problem() : problem_; }
  const std::string &problem() const { return root_ ? root_->problem() : problem_; }
  void missing(llvm::StringRef field, const llvm::Twine &rest);

  const nlohmann::json &object_;
  std::string path_; // "rope_scaling." in a nested object
  ConfigReader *root_ = nullptr;
  std::string problem_;
};

// A value as an error message shows it: its type, and short values in full.
std::string describe(const nlohmann::json &value);

} // namespace llmc::models
