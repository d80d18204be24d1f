// llmc-opt: passes by name over IR in text, for tests and for looking inside.
#include "codegen/cuda/Cuda.h"
#include "codegen/gpu/ops/Chip.h"
#include "codegen/lowering/Lowering.h"
#include "dialects/exec/Exec.h"
#include "passes/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  llmc::exec::registerDialects(registry);
  registry.insert<llmc::chip::ChipDialect, mlir::gpu::GPUDialect, mlir::memref::MemRefDialect, mlir::scf::SCFDialect>();
  llmc::registerPasses();
  mlir::registerPass(llmc::createLowerToExecPass);
  mlir::registerPass(llmc::createPlanMemoryPass);
  mlir::registerPass(llmc::chip::createLowerChipPlainPass);
  mlir::registerPass(llmc::cuda::createLowerGpuToNvvmPass);
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "llmc-opt: passes of llmc by name\n", registry));
}
