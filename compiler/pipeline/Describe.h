// What the artifact tells the runtime about a model, from the checkpoint's files and the module's attributes.
#pragma once

#include "compiler/emit/Metadata.h"
#include "compiler/import/Checkpoint.h"
#include "compiler/pipeline/Options.h"
#include "compiler/pipeline/Progress.h"

namespace llmc {

// "float32", "bfloat16" or "float16": what matrices are stored as without a scheme.
std::string effectiveDtype(const CompileOptions &options, mlir::ModuleOp module);
// "f32", "bf16", "f16", "int8".
std::string effectiveKvElement(const CompileOptions &options, mlir::ModuleOp module);

// "int8", "bf16", "float": what the inputs of linears are rounded to, on the CPU or on GPUs.
std::string effectiveActivations(const CompileOptions &options, bool gpus);

// Errors: a length that a model with learned positions cannot have, ids outside the vocabulary.
llvm::Expected<ModelInfo> describeModel(const CompileOptions &options, const Checkpoint &checkpoint,
                                        const models::ImportedModel &model);

// The templates that parse, the default one under "default"; one that does not is a warning.
std::vector<std::pair<std::string, std::string>> parsedChatTemplates(const Checkpoint &checkpoint, Progress &progress);

} // namespace llmc
