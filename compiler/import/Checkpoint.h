// A checkpoint: where the numbers of a model come from. Files are mapped and read tile by tile, never copied whole.
#pragma once

#include "models/Family.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>
#include <memory>
#include <optional>
#include <string>

namespace llmc {

enum class ElementType { F32, F16, BF16 };

struct TensorInfo {
  std::string name;
  ElementType element = ElementType::F32;
  std::vector<int64_t> shape;
};

// The tensors of a checkpoint. readRows() may be called by several threads at once.
class TensorSource {
public:
  virtual ~TensorSource() = default;
  virtual const TensorInfo *find(llvm::StringRef name) const = 0;
  virtual std::vector<std::string> names() const = 0;
  // What to say of a name that find() does not know: "is missing", or "has type I8; ...".
  virtual std::string whyMissing(llvm::StringRef name) const { return "is missing"; }
  // Rows [first, first + count) of a matrix (a vector counts as one column a row, or, for shape [n], as n rows of 1)
  // as float32, row-major, `columns` values each. `transpose`: the tensor is stored [columns, rows]. 
  virtual llvm::Error readRows(const TensorInfo &tensor, int64_t first, int64_t count, bool transpose,
                               llvm::MutableArrayRef<float> out) const = 0;
};

// A model's folder (or one of the files CONVENTIONS names) as the importer sees it.
struct Checkpoint {
  std::string name;   // of the folder; the artifact's default name starts with it
  std::string folder; // where its files stand; of a bare config, the folder it stands in
  nlohmann::json config, generationConfig, tokenizerConfig; // null where the file is missing
  std::optional<std::string> tokenizerJson;   // the file's text
  std::optional<std::string> chatTemplate;    // chat_template.jinja, or tokenizer_config.json's default one
  std::vector<std::pair<std::string, std::string>> namedChatTemplates; // where tokenizer_config.json has a list
  std::unique_ptr<TensorSource> tensors;      // null when weights are made up
};

// Reads everything but the numbers. `path` is a folder, a .safetensors file, a model.safetensors.index.json or, where
// no weights are needed, one config file. `needWeights` false (random weights): the model files may be missing.
llvm::Expected<Checkpoint> openCheckpoint(llvm::StringRef path, bool needWeights);

// Made-up weights (docs/random-weights.md): a function of (seed, tensor name, index) alone.
std::unique_ptr<TensorSource> makeRandomTensors(llvm::ArrayRef<models::TensorSpec> specs, uint64_t seed,
                                                double initializerRange, ElementType element);

// Every expected tensor must be there with its shape; a missing, extra-large or misshapen one is named. Tensors that
// nothing expects are left alone, as Hugging Face's loader does (old checkpoints carry buffers).
llvm::Error checkTensors(llvm::ArrayRef<models::TensorSpec> specs, const TensorSource &tensors);

// Writes the tensors as model.safetensors beside config.json and the tokenizer's files into `folder`, which is made if
// it is not there. All files appear under their names at the end or, on an error such as a full disk, none does.
llvm::Error exportWeights(const Checkpoint &checkpoint, llvm::ArrayRef<models::TensorSpec> specs,
                          const TensorSource &tensors, llvm::StringRef folder);

} // namespace llmc
