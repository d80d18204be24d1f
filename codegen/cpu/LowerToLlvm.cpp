#include "codegen/cpu/Compile.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Transforms/Passes.h"

namespace llmc::cpu {

using namespace mlir;

llvm::Error lowerToLlvm(ModuleOp module) {
  PassManager manager(module.getContext());
  // Kernels are large and already verified op by op; a verifier after each pass doubles the time.
  manager.enableVerifier(false);
  // Folding goes once over them: LLVM does the rest, and the code is the same.
  GreedyRewriteConfig once;
  once.setMaxIterations(1).setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  manager.addPass(createCanonicalizerPass(once));
  manager.addPass(createCSEPass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  if (failed(manager.run(module)))
    return llvm::createStringError("lowering the kernels to LLVM failed; the diagnostics above say where");
  return llvm::Error::success();
}

} // namespace llmc::cpu
