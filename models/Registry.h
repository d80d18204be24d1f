// The families that exist, and the one way to import a model.
#pragma once

#include "models/Family.h"

namespace llmc::models {

const std::vector<Family> &families();

// Picks the family by model_type (or architectures) and imports. An unknown one is an error that lists what there is.
// Sets on the module: llm.family, llm.vocabulary (i64), llm.max_positions (i64), llm.positions_are_bounded (bool),
// llm.uses_rope_length (bool), llm.dtype ("float32" | "bfloat16" | "float16": the config's), llm.layers (i64),
// llm.initializer_range (f64).
llvm::Expected<ImportedModel> importModel(mlir::MLIRContext &context, const nlohmann::json &config);

} // namespace llmc::models
