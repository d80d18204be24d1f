// gpu, scf, arith, math and memref to NVVM and LLVM, over MLIR's patterns. Its own convert-gpu-to-nvvm makes calls of
// libdevice of roots, rounding and signs; LLVM has intrinsics for them, each one instruction, hence a conversion of our
// own.
#include "codegen/cuda/Cuda.h"
#include "codegen/gpu/ops/Chip.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/Module.h"

namespace llmc::cuda {

using namespace mlir;

// Workgroups that are to fit on a multiprocessor side by side. ptxas by itself goes for more and spills registers for
// it; this leaves 128 registers to a thread of the largest workgroups.
static constexpr int32_t kResidentGroups = 4;

// Bare pointers need a shape that is known; a buffer's is not, and nothing after this looks at it. The memory is the
// device's own, which loads are cheaper from when the compiler knows.
static void makePointers(gpu::GPUFuncOp function) {
  auto space = gpu::AddressSpaceAttr::get(function.getContext(), gpu::AddressSpace::Global);
  FunctionType type = function.getFunctionType();
  llvm::SmallVector<Type> inputs(type.getInputs());
  for (auto [i, input] : llvm::enumerate(inputs)) {
    input = MemRefType::get({1}, cast<MemRefType>(input).getElementType(), MemRefLayoutAttrInterface{}, space);
    function.getArgument(unsigned(i)).setType(input);
  }
  function.setFunctionType(FunctionType::get(function.getContext(), inputs, type.getResults()));
}

static LogicalResult convert(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  LowerToLLVMOptions options(context);
  options.overrideIndexBitwidth(32);
  options.useBarePtrCallConv = true;
  LLVMTypeConverter types(context, options);
  configureGpuToNVVMTypeConverter(types);
  RewritePatternSet patterns(context);
  populateGpuToNVVMConversionPatterns(types, patterns);
  populateMathToLLVMConversionPatterns(types, patterns, /*approximateLog1p=*/false, /*benefit=*/10);
  arith::populateArithToLLVMConversionPatterns(types, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(types, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalDialect<NVVM::NVVMDialect>();
  target.addLegalOp<gpu::GPUModuleOp>();
  return applyFullConversion(module, target, std::move(patterns));
}

llvm::Expected<std::unique_ptr<llvm::Module>> lowerToNvvm(gpu::GPUModuleOp module, llvm::LLVMContext &context) {
  auto problem = [](llvm::StringRef what) {
    return llvm::createStringError("lowering a kernel to NVVM failed in " + what + "; the diagnostics say where");
  };
  auto parent = module->getParentOfType<ModuleOp>();
  for (auto function : module.getOps<gpu::GPUFuncOp>())
    chip::lowerPlainly(function, [](Operation *) { return false; });
  PassManager before(module.getContext());
  before.enableVerifier(false);
  before.addPass(createCanonicalizerPass());
  before.addPass(createCSEPass());
  if (failed(before.run(parent))) return problem("canonicalization");
  for (auto function : module.getOps<gpu::GPUFuncOp>()) makePointers(function);

  PassManager branches(module.getContext());
  branches.enableVerifier(false);
  branches.addPass(createSCFToControlFlowPass());
  if (failed(branches.run(parent))) return problem("control flow");
  if (failed(convert(module))) return problem("conversion");
  Builder b(module.getContext());
  module.walk([&](LLVM::LLVMFuncOp function) {
    function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), b.getI32IntegerAttr(kResidentGroups));
  });
  PassManager after(module.getContext());
  after.addPass(createReconcileUnrealizedCastsPass());
  if (failed(after.run(parent))) return problem("its casts");
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernel");
  if (!code) return problem("translation to LLVM IR");
  return code;
}

} // namespace llmc::cuda
