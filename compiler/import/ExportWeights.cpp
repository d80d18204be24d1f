#include "compiler/import/Elements.h"
#include "compiler/import/Json.h"
#include "compiler/import/OutputFolder.h"
#include "compiler/import/TensorReader.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/Path.h"

#include <algorithm>

namespace llmc {
namespace {

namespace fs = llvm::sys::fs;
using nlohmann::json;

constexpr int64_t kChunk = 1 << 18; // values converted and written at a time
constexpr const char *kTokenizerFiles[] = {"tokenizer.json", "tokenizer_config.json", "tokenizer.model",
                                           "special_tokens_map.json", "added_tokens.json", "vocab.json",
                                           "merges.txt", "chat_template.jinja"};

std::string pathIn(llvm::StringRef folder, llvm::StringRef name) {
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

int64_t elementCount(const TensorInfo &tensor) {
  int64_t count = 1;
  for (int64_t size : tensor.shape) count *= size;
  return count;
}

std::vector<const TensorInfo *> sortedTensors(llvm::ArrayRef<models::TensorSpec> specs, const TensorSource &source) {
  std::vector<const TensorInfo *> tensors;
  for (const models::TensorSpec &spec : specs) tensors.push_back(source.find(spec.name));
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorInfo *a, const TensorInfo *b) { return a->name < b->name; });
  tensors.erase(std::unique(tensors.begin(), tensors.end()), tensors.end());
  return tensors;
}

// Names are in order, as nlohmann's objects are, and so are the bytes.
std::string headerText(llvm::ArrayRef<const TensorInfo *> tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}}; // transformers asks for the format
  int64_t offset = 0;
  for (const TensorInfo *tensor : tensors) {
    int64_t end = offset + elementCount(*tensor) * elementBytes(tensor->element);
    header[tensor->name] = {
        {"dtype", safetensorsName(tensor->element)}, {"shape", tensor->shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append(-text.size() % 8, ' '); // so that the numbers are aligned
  return text;
}

llvm::Error writeTensor(const TensorInfo &tensor, const TensorSource &source, OutputFolder &output,
                        llvm::raw_ostream &stream) {
  int64_t rows = tensor.shape.empty() ? 1 : tensor.shape.front();
  int64_t columns = rows ? elementCount(tensor) / rows : 0;
  if (columns == 0) return llvm::Error::success();
  int64_t step = std::max<int64_t>(1, kChunk / columns);
  std::vector<float> values;
  std::vector<char> bytes;
  for (int64_t first = 0; first < rows && !output.hasFailed(); first += step) {
    int64_t count = std::min(step, rows - first);
    values.resize(count * columns);
    bytes.resize(values.size() * elementBytes(tensor.element));
    if (llvm::Error error = source.readRows(tensor, first, count, /*transpose=*/false, values)) return error;
    encodeElements(tensor.element, values, bytes.data());
    stream.write(bytes.data(), bytes.size());
  }
  return llvm::Error::success();
}

llvm::Error writeSafetensors(llvm::ArrayRef<const TensorInfo *> tensors, const TensorSource &source,
                             OutputFolder &output) {
  auto stream = output.start("model.safetensors");
  if (!stream) return stream.takeError();
  std::string header = headerText(tensors);
  char length[8];
  llvm::support::endian::write64le(length, header.size());
  (*stream)->write(length, sizeof(length));
  **stream << header;
  for (const TensorInfo *tensor : tensors) {
    if (output.hasFailed()) break;
    if (llvm::Error error = writeTensor(*tensor, source, output, **stream))
      return llvm::joinErrors(std::move(error), output.finish());
  }
  return output.finish();
}

llvm::Error copyTokenizer(llvm::StringRef from, OutputFolder &output) {
  for (const char *name : kTokenizerFiles) {
    auto text = readTextFile(pathIn(from, name), kMaxTokenizerBytes);
    if (!text) return text.takeError();
    if (!*text) continue;
    if (llvm::Error error = output.write(name, **text)) return error;
  }
  return llvm::Error::success();
}

} // namespace

llvm::Error exportWeights(const Checkpoint &checkpoint, llvm::ArrayRef<models::TensorSpec> specs,
                          const TensorSource &tensors, llvm::StringRef folder) {
  if (llvm::Error error = checkTensors(specs, tensors)) return error;
  // A model's own weights must not be replaced by made-up ones.
  if (!checkpoint.folder.empty() && fs::equivalent(checkpoint.folder, folder))
    return importError(folder, "is the model's own folder; choose another with -o");
  auto output = OutputFolder::open(folder);
  if (!output) return output.takeError();
  if (llvm::Error error = output->write("config.json", checkpoint.config.dump(2) + "\n")) return error;
  if (!checkpoint.generationConfig.is_null())
    if (llvm::Error error = output->write("generation_config.json", checkpoint.generationConfig.dump(2) + "\n"))
      return error;
  if (!checkpoint.folder.empty())
    if (llvm::Error error = copyTokenizer(checkpoint.folder, *output)) return error;
  if (llvm::Error error = writeSafetensors(sortedTensors(specs, tensors), tensors, *output)) return error;
  return output->commit();
}

} // namespace llmc
