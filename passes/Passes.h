// The passes of llmc and the pipelines of its phases. Each pass is described in Passes.td.
#pragma once

#include "dialects/llm/Llm.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <string>

namespace mlir {
class OpPassManager;
}

namespace llmc {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

struct QuantizationOptions {
  std::string scheme = "none";
  std::string activations = "int8"; // of quantized linears
  std::string element;              // "f32", "bf16", "f16"; empty: as imported
};

// Each takes what the phase before left and ends with the phase's verifier. They work on the module.
void buildFusionPipeline(mlir::OpPassManager &manager);
void buildQuantizationPipeline(mlir::OpPassManager &manager, const QuantizationOptions &options);
// `element` of the cache: "f32", "bf16" or "f16".
void buildPagingPipeline(mlir::OpPassManager &manager, const std::string &element);

// All passes by flag, and the fusion pipeline as `fuse`.
void registerPasses();

} // namespace llmc
