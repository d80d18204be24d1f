// A model family: from config.json to operations of the llm dialect. One file a family and one row of the registry
// (Registry.cpp); nothing else knows a family's name.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace llmc::models {

// What a tensor of the checkpoint is for; made-up weights follow it.
enum class TensorRole { Weight, Bias, NormWeight };

// A tensor the family expects, under the name and shape it has in a Hugging Face checkpoint.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
  TensorRole role = TensorRole::Weight;
};

// What a family's importer hands back. The module holds llm.weight ops and one func.func @step(!llm.batch) -> (logits,
// hidden states); its attributes "llm.*" carry what the artifact's Model table needs (see importModel in Registry.h).
struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<TensorSpec> tensors;
};

struct Family {
  const char *name;                     // "llama"
  std::vector<const char *> modelTypes; // config.json's model_type
  std::vector<const char *> architectures; // the class names it accepts
  const char *notes;                    // a line for `llmc families`
  // Errors name the config's field and what is supported instead. A field that changes the output and is not
  // honoured is an error, never ignored.
  llvm::Expected<ImportedModel> (*import)(mlir::MLIRContext &context, const nlohmann::json &config);
};

} // namespace llmc::models
