#include "compiler/import/SafetensorsHeader.h"
#include "compiler/import/Json.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"

#include <algorithm>
#include <limits>

namespace llmc {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000; // the reference reader's limit
constexpr size_t kMaxRank = 16;

// Takes the header apart as it is read, so that memory follows what the header says and not a tree of it. `field` is
// the place inside a tensor's object.
class HeaderReader : public nlohmann::json_sax<json> {
public:
  std::vector<SafetensorsEntry> entries;
  std::string reason;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t &) override { return unexpected("a fraction"); }
  bool binary(binary_t &) override { return unexpected("binary data"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t &value) override;
  bool start_object(size_t) override;
  bool key(string_t &name) override;
  bool end_object() override;
  bool start_array(size_t) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string &, const json::exception &) override {
    return fail("its header is not JSON at byte " + std::to_string(position + 8));
  }

private:
  enum class Place { Start, Top, Metadata, Tensor, End };
  enum class Field { None, Dtype, Shape, Offsets };

  bool fail(std::string why) {
    reason = std::move(why);
    return false;
  }
  bool unexpected(llvm::StringRef found) {
    std::string where = place_ == Place::Start ? "" : " in '" + printable(name_) + "'";
    return fail("its header has " + found.str() + where + " where none may be");
  }
  bool finishTensor();

  Place place_ = Place::Start;
  Field field_ = Field::None;
  bool inArray_ = false;
  unsigned seen_ = 0; // bits of the fields that this tensor has had
  std::string name_;
  SafetensorsEntry entry_;
  std::vector<uint64_t> offsets_;
  llvm::StringSet<> names_;
};

bool HeaderReader::start_object(size_t) {
  if (place_ == Place::Start) {
    place_ = Place::Top;
    return true;
  }
  if (place_ != Place::Top || inArray_) return unexpected("an object");
  if (name_ == "__metadata__") {
    place_ = Place::Metadata;
    return true;
  }
  place_ = Place::Tensor;
  field_ = Field::None;
  seen_ = 0;
  entry_ = {};
  entry_.name = name_;
  offsets_.clear();
  return true;
}

bool HeaderReader::key(string_t &name) {
  if (place_ == Place::Metadata) return true;
  if (place_ == Place::Top) {
    name_ = name;
    return names_.insert(name).second || fail("its header has tensor '" + printable(name) + "' twice");
  }
  field_ = llvm::StringSwitch<Field>(name)
               .Case("dtype", Field::Dtype)
               .Case("shape", Field::Shape)
               .Case("data_offsets", Field::Offsets)
               .Default(Field::None);
  if (field_ == Field::None) return unexpected("the field '" + printable(name) + "'");
  unsigned bit = 1u << int(field_);
  if (seen_ & bit) return unexpected("'" + printable(name) + "' twice");
  seen_ |= bit;
  return true;
}

bool HeaderReader::string(string_t &value) {
  if (place_ == Place::Metadata) return true;
  if (place_ != Place::Tensor || field_ != Field::Dtype) return unexpected("a string");
  entry_.dtype = value;
  return true;
}

bool HeaderReader::start_array(size_t) {
  if (place_ != Place::Tensor || inArray_ || (field_ != Field::Shape && field_ != Field::Offsets))
    return unexpected("an array");
  return inArray_ = true;
}

bool HeaderReader::end_array() {
  inArray_ = false;
  return true;
}

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  if (!inArray_) return unexpected("a number");
  if (value > uint64_t(std::numeric_limits<int64_t>::max())) return unexpected("a number above 2^63");
  if (field_ == Field::Offsets) {
    offsets_.push_back(value);
    return offsets_.size() <= 2 || unexpected("more than two data_offsets");
  }
  entry_.shape.push_back(int64_t(value));
  return entry_.shape.size() <= kMaxRank || unexpected("more than " + std::to_string(kMaxRank) + " dimensions");
}

bool HeaderReader::end_object() {
  switch (place_) {
  case Place::Metadata: place_ = Place::Top; return true;
  case Place::Tensor: place_ = Place::Top; return finishTensor();
  default: place_ = Place::End; return true;
  }
}

bool HeaderReader::finishTensor() {
  unsigned all = 1u << int(Field::Dtype) | 1u << int(Field::Shape) | 1u << int(Field::Offsets);
  if (seen_ != all || offsets_.size() != 2)
    return fail("its header lacks dtype, shape or two data_offsets of '" + printable(name_) + "'");
  entry_.begin = offsets_[0];
  entry_.end = offsets_[1];
  entries.push_back(std::move(entry_));
  return true;
}

// Bytes an element of the format's types; 0 for types that are newer than this reader.
uint64_t bytesOf(llvm::StringRef dtype) {
  return llvm::StringSwitch<uint64_t>(dtype)
      .Cases({"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"}, 1)
      .Cases({"I16", "U16", "F16", "BF16"}, 2)
      .Cases({"I32", "U32", "F32"}, 4)
      .Cases({"I64", "U64", "F64", "C64"}, 8)
      .Default(0);
}

bool shapeFits(const SafetensorsEntry &entry) {
  uint64_t bytes = bytesOf(entry.dtype);
  if (bytes == 0) return true;
  bool empty = std::find(entry.shape.begin(), entry.shape.end(), 0) != entry.shape.end();
  for (int64_t size : entry.shape)
    if (!empty && __builtin_mul_overflow(bytes, uint64_t(size), &bytes)) return false;
  return entry.end - entry.begin == (empty ? 0 : bytes);
}

// Makes the offsets the file's and checks them. `data` is where the tensors' bytes start.
llvm::Error checkLayout(std::vector<SafetensorsEntry> &entries, uint64_t data, uint64_t fileBytes,
                        llvm::StringRef what) {
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry &a, const SafetensorsEntry &b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t expected = 0, available = fileBytes - data;
  for (SafetensorsEntry &entry : entries) {
    std::string name = "'" + printable(entry.name) + "'";
    if (entry.end < entry.begin) return importError(what, "the bytes of " + name + " end before they begin");
    if (entry.end > available)
      return importError(what, name + " ends " + llvm::Twine(entry.end - available) +
                                   " bytes behind the end of the file; was it downloaded to its end?");
    if (entry.begin != expected)
      return importError(what, "the bytes of " + name + (entry.begin < expected ? " overlap" : " leave a hole behind") +
                                   " those before them");
    if (!shapeFits(entry))
      return importError(what, name + " has " + llvm::Twine(entry.end - entry.begin) +
                                   " bytes, which its shape and type " + printable(entry.dtype) + " do not need");
    expected = entry.end;
    entry.begin += data;
    entry.end += data;
  }
  if (expected != available)
    return importError(what, llvm::Twine(available - expected) + " bytes at the end of the file belong to no tensor");
  return llvm::Error::success();
}

} // namespace

llvm::Expected<std::vector<SafetensorsEntry>> parseSafetensorsHeader(llvm::StringRef file, llvm::StringRef what) {
  if (file.starts_with("version https://git-lfs"))
    return importError(what, "is a pointer of Git LFS, not the file itself; fetch it with 'git lfs pull'");
  if (file.size() < 8) return importError(what, "is too short for a safetensors file");
  uint64_t length = llvm::support::endian::read64le(file.data());
  if (length > kMaxHeaderBytes) return importError(what, "is not a safetensors file, or its header is damaged");
  if (length > file.size() - 8)
    return importError(what, "ends inside its header; was it downloaded to its end?");
  llvm::StringRef header = file.substr(8, length);
  if (!header.starts_with("{")) return importError(what, "is not a safetensors file: no header at byte 8");

  HeaderReader reader;
  if (!json::sax_parse(header.begin(), header.end(), &reader)) return importError(what, reader.reason);
  if (llvm::Error error = checkLayout(reader.entries, 8 + length, file.size(), what)) return std::move(error);
  return std::move(reader.entries);
}

} // namespace llmc
