#include "compiler/import/Safetensors.h"
#include "compiler/import/Elements.h"
#include "compiler/import/Json.h"
#include "compiler/import/SafetensorsHeader.h"
#include "compiler/import/TensorReader.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <algorithm>
#include <map>

namespace llmc {
namespace {

namespace fs = llvm::sys::fs;

struct StoredTensor : TensorInfo {
  const char *data = nullptr;
};

// The tensors of one or more files, which it keeps mapped.
class SafetensorsSource final : public TensorReader {
public:
  std::vector<std::string> names() const override {
    std::vector<std::string> result;
    for (const auto &entry : tensors_) result.push_back(entry.getKey().str());
    std::sort(result.begin(), result.end());
    return result;
  }

  std::string whyMissing(llvm::StringRef name) const override {
    for (llvm::StringRef candidate : {name, storedName(name)})
      if (auto found = otherTypes_.find(candidate); found != otherTypes_.end())
        return "has type " + printable(found->getValue()) + "; F32, F16 and BF16 are supported";
    return TensorReader::whyMissing(name);
  }

  void add(SafetensorsEntry entry, const char *file) {
    std::optional<ElementType> element = elementFromSafetensors(entry.dtype);
    if (!element) {
      otherTypes_[entry.name] = entry.dtype;
      return;
    }
    StoredTensor &tensor = tensors_[entry.name];
    static_cast<TensorInfo &>(tensor) = {std::move(entry.name), *element, std::move(entry.shape)};
    tensor.data = file + entry.begin;
  }

  void keep(fs::mapped_file_region mapping) { mappings_.push_back(std::move(mapping)); }

protected:
  const TensorInfo *lookUp(llvm::StringRef name) const override {
    auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->getValue();
  }

  bool hasPrefix(llvm::StringRef prefix) const override {
    for (const auto &entry : tensors_)
      if (entry.getKey().starts_with(prefix)) return true;
    return false;
  }

  void readSpan(const TensorInfo &tensor, int64_t begin, llvm::MutableArrayRef<float> out) const override {
    const auto &stored = static_cast<const StoredTensor &>(tensor);
    decodeElements(stored.element, stored.data + begin * elementBytes(stored.element), out);
  }

private:
  llvm::StringMap<StoredTensor> tensors_;
  llvm::StringMap<std::string> otherTypes_;
  std::vector<fs::mapped_file_region> mappings_;
};

llvm::Expected<fs::mapped_file_region> mapFile(llvm::StringRef path) {
  llvm::Expected<fs::file_t> file = fs::openNativeFileForRead(path);
  if (!file) return importError(path, llvm::toString(file.takeError()));
  fs::file_status status;
  std::error_code error = fs::status(*file, status);
  fs::mapped_file_region mapping;
  bool regular = !error && status.type() == fs::file_type::regular_file;
  if (regular && status.getSize() != 0)
    mapping = fs::mapped_file_region(*file, fs::mapped_file_region::readonly, status.getSize(), 0, error);
  (void)fs::closeFile(*file);
  if (error) return importError(path, error.message());
  if (!regular) return importError(path, "is not a regular file");
  return std::move(mapping);
}

llvm::StringRef bytesOf(const fs::mapped_file_region &mapping) {
  return mapping ? llvm::StringRef(mapping.const_data(), mapping.size()) : llvm::StringRef();
}

// What an index wants of one of its files.
llvm::Error addShard(SafetensorsSource &source, llvm::StringRef path, llvm::StringRef index,
                     llvm::ArrayRef<std::string> wanted) {
  auto mapping = mapFile(path);
  if (!mapping) return mapping.takeError();
  auto entries = parseSafetensorsHeader(bytesOf(*mapping), path);
  if (!entries) return entries.takeError();
  llvm::StringMap<SafetensorsEntry *> byName;
  for (SafetensorsEntry &entry : *entries) byName[entry.name] = &entry;
  for (const std::string &name : wanted) {
    auto found = byName.find(name);
    if (found == byName.end())
      return importError(path, "lacks tensor '" + printable(name) + "', which " + index + " says is in it");
    source.add(std::move(*found->getValue()), mapping->const_data());
  }
  source.keep(std::move(*mapping));
  return llvm::Error::success();
}

} // namespace

llvm::Expected<std::unique_ptr<TensorSource>> readSafetensors(llvm::StringRef file, llvm::StringRef what) {
  auto entries = parseSafetensorsHeader(file, what);
  if (!entries) return entries.takeError();
  auto source = std::make_unique<SafetensorsSource>();
  for (SafetensorsEntry &entry : *entries) source->add(std::move(entry), file.data());
  return source;
}

llvm::Expected<std::unique_ptr<TensorSource>> openSafetensors(llvm::StringRef path) {
  auto mapping = mapFile(path);
  if (!mapping) return mapping.takeError();
  auto entries = parseSafetensorsHeader(bytesOf(*mapping), path);
  if (!entries) return entries.takeError();
  auto source = std::make_unique<SafetensorsSource>();
  for (SafetensorsEntry &entry : *entries) source->add(std::move(entry), mapping->const_data());
  source->keep(std::move(*mapping));
  return source;
}

llvm::Expected<std::vector<std::pair<std::string, std::string>>> readSafetensorsIndex(const nlohmann::json &index,
                                                                                      llvm::StringRef what) {
  auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object() || map->empty())
    return importError(what, "must have an object 'weight_map' from tensors to files");
  std::vector<std::pair<std::string, std::string>> result;
  for (auto entry = map->begin(); entry != map->end(); ++entry) {
    const auto *file = entry->get_ptr<const std::string *>();
    // Beside the index and nowhere else: an index must not make us read other files.
    if (!file || file->empty() || *file == "." || *file == ".." || file->find('\0') != std::string::npos ||
        file->find_first_of("/\\") != std::string::npos)
      return importError(what,
                         "'" + printable(entry.key()) + "' must be mapped to the name of a file beside the index");
    result.emplace_back(entry.key(), *file);
  }
  return result;
}

llvm::Expected<std::unique_ptr<TensorSource>> openSafetensorsIndex(llvm::StringRef path) {
  auto index = readJsonObject(path, kMaxConfigBytes);
  if (!index) return index.takeError();
  if (index->is_null()) return importError(path, "no such file");
  auto pairs = readSafetensorsIndex(*index, path);
  if (!pairs) return pairs.takeError();
  std::map<std::string, std::vector<std::string>> shards;
  for (auto &[tensor, file] : *pairs) shards[file].push_back(std::move(tensor));
  auto source = std::make_unique<SafetensorsSource>();
  for (const auto &[file, tensors] : shards) {
    llvm::SmallString<128> shard(llvm::sys::path::parent_path(path));
    llvm::sys::path::append(shard, file);
    if (llvm::Error error = addShard(*source, shard, path, tensors)) return std::move(error);
  }
  return source;
}

} // namespace llmc
