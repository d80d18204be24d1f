// The pipelines of the phases, and the names of all passes.
#include "passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void llmc::buildFusionPipeline(OpPassManager &manager) {
  manager.addPass(createCSEPass()); // importers may write a norm once for each of its readers
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createFuseMemory()); // a tensor of the checkpoint that is read in part is read in part
  manager.addPass(createFuseHorizontal());
  manager.addPass(createFuseNormLinear());
  manager.addPass(createFuseEpilogue());
  manager.addPass(createFuseMemory());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createVerifyFused());
}

void llmc::buildQuantizationPipeline(OpPassManager &manager, const QuantizationOptions &options) {
  QuantizeLinearOptions quantize;
  quantize.scheme = options.scheme;
  quantize.activations = options.activations;
  quantize.element = options.element;
  manager.addPass(createQuantizeLinear(quantize));
  VerifyQuantizedOptions verify;
  verify.scheme = options.scheme;
  verify.activations = options.activations;
  manager.addPass(createVerifyQuantized(verify));
}

void llmc::buildPagingPipeline(OpPassManager &manager, const std::string &element) {
  PageAttentionOptions page;
  page.element = element;
  manager.addPass(createPageAttention(page));
  manager.addPass(createVerifyPaged());
}

void llmc::registerPasses() {
  registerLlmcPasses();
  PassPipelineRegistration<>("fuse", "the phase `fused`", buildFusionPipeline);
}
