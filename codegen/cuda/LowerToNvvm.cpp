// gpu, scf, arith, math and memref to NVVM and LLVM, over MLIR's patterns. Its own convert-gpu-to-nvvm makes calls of
// libdevice of roots, rounding and signs; LLVM has intrinsics for them, each one instruction, hence a conversion of our
// own.
#include "codegen/cuda/ChipToNvvm.h"
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
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"

namespace llmc::cuda {

using namespace mlir;

// Workgroups that are to fit on a multiprocessor side by side. ptxas by itself goes for more and spills registers for
// it; four leave 128 registers to a thread of the largest workgroups. Of those with more memory of their own there are as
// many as every chip has room for, the least having 64 KB and some taking 1 KB more than asked for; their threads may have
// more registers.
static int32_t residentGroups(mlir::gpu::GPUFuncOp function) {
  constexpr int64_t kMost = 4, kMemory = 64 * 1024, kExtra = 1024;
  int64_t bytes = kExtra;
  for (BlockArgument memory : function.getWorkgroupAttributions())
    bytes += cast<MemRefType>(memory.getType()).getNumElements() * 4;
  return int32_t(std::clamp<int64_t>(kMemory / bytes, 1, kMost));
}

// Copies of 16 bytes and what a warpgroup multiplies begin at addresses that are multiples of 16; left alone, memory is
// aligned to its words, and an assembler may lay it out so.
static void alignSharedMemory(mlir::gpu::GPUFuncOp function) {
  Builder b(function.getContext());
  for (unsigned i = 0; i < function.getNumWorkgroupAttributions(); ++i)
    function.setWorkgroupAttributionAttr(i, LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(16));
}

// Bare pointers need a shape that is known; a buffer's is not, and nothing after this looks at it. The memory is the
// device's own, which loads are cheaper from when the compiler knows.
static void makePointers(mlir::gpu::GPUFuncOp function) {
  auto space = mlir::gpu::AddressSpaceAttr::get(function.getContext(), mlir::gpu::AddressSpace::Global);
  FunctionType type = function.getFunctionType();
  llvm::SmallVector<Type> inputs(type.getInputs());
  for (auto [i, input] : llvm::enumerate(inputs)) {
    if (!isa<MemRefType>(input)) continue;
    input = MemRefType::get({1}, cast<MemRefType>(input).getElementType(), MemRefLayoutAttrInterface{}, space);
    function.getArgument(unsigned(i)).setType(input);
  }
  function.setFunctionType(FunctionType::get(function.getContext(), inputs, type.getResults()));
}

static LogicalResult convert(mlir::gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  LowerToLLVMOptions options(context);
  options.overrideIndexBitwidth(32);
  options.useBarePtrCallConv = true;
  LLVMTypeConverter types(context, options);
  configureGpuToNVVMTypeConverter(types);
  RewritePatternSet patterns(context);
  populateChipToNvvmPatterns(types, patterns);
  populateGpuToNVVMConversionPatterns(types, patterns);
  populateMathToLLVMConversionPatterns(types, patterns, /*approximateLog1p=*/false, /*benefit=*/10);
  arith::populateArithToLLVMConversionPatterns(types, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(types, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalDialect<NVVM::NVVMDialect>();
  target.addLegalOp<mlir::gpu::GPUModuleOp>();
  return applyFullConversion(module, target, std::move(patterns));
}

static llvm::Error toNvvm(mlir::gpu::GPUModuleOp module, llvm::StringRef virtualChip) {
  auto problem = [](llvm::StringRef what) {
    return llvm::createStringError("lowering a kernel to NVVM failed in " + what + "; the diagnostics say where");
  };
  auto parent = module->getParentOfType<ModuleOp>();
  for (auto function : module.getOps<mlir::gpu::GPUFuncOp>())
    chip::lowerPlainly(function, [&](Operation *op) { return hasInstruction(virtualChip, op); });
  PassManager before(module.getContext());
  before.enableVerifier(false);
  before.addPass(createCanonicalizerPass());
  before.addPass(createCSEPass());
  if (failed(before.run(parent))) return problem("canonicalization");
  int32_t groups = 1;
  for (auto function : module.getOps<mlir::gpu::GPUFuncOp>()) {
    makePointers(function);
    alignSharedMemory(function);
    groups = residentGroups(function);
  }

  PassManager branches(module.getContext());
  branches.enableVerifier(false);
  branches.addPass(createSCFToControlFlowPass());
  if (failed(branches.run(parent))) return problem("control flow");
  if (failed(convert(module))) return problem("conversion");
  Builder b(module.getContext());
  module.walk([&](LLVM::LLVMFuncOp function) {
    function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), b.getI32IntegerAttr(groups));
  });
  PassManager after(module.getContext());
  after.addPass(createReconcileUnrealizedCastsPass());
  if (failed(after.run(parent))) return problem("its casts");
  return llvm::Error::success();
}

// What a warpgroup does together is reached by all its threads or by none, which MLIR has no way to say of assembly: no
// optimization may put it under a condition that threads differ in.
static void keepTogether(llvm::Module &code) {
  for (llvm::Function &function : code)
    for (llvm::Instruction &instruction : llvm::instructions(function)) {
      auto *call = dyn_cast<llvm::CallInst>(&instruction);
      auto *assembly = call ? dyn_cast<llvm::InlineAsm>(call->getCalledOperand()) : nullptr;
      if (assembly && assembly->hasSideEffects()) call->setConvergent();
    }
}

llvm::Expected<std::unique_ptr<llvm::Module>> lowerToNvvm(mlir::gpu::GPUModuleOp module, llvm::StringRef virtualChip,
                                                          llvm::LLVMContext &context) {
  if (llvm::Error error = toNvvm(module, virtualChip)) return std::move(error);
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "kernel");
  if (!code) return llvm::createStringError("translation of a kernel to LLVM IR failed; the diagnostics say where");
  keepTogether(*code);
  return code;
}

namespace {

struct LowerGpuToNvvm : PassWrapper<LowerGpuToNvvm, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerGpuToNvvm)
  LowerGpuToNvvm() = default;
  LowerGpuToNvvm(const LowerGpuToNvvm &other) : PassWrapper(other) {}
  llvm::StringRef getArgument() const final { return "lower-gpu-to-nvvm"; }
  llvm::StringRef getDescription() const final { return "Makes of GPU kernels what LLVM makes PTX of"; }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, cf::ControlFlowDialect, LLVM::LLVMDialect, math::MathDialect,
                    memref::MemRefDialect, NVVM::NVVMDialect, scf::SCFDialect>();
  }
  void runOnOperation() final {
    for (auto module : llvm::make_early_inc_range(getOperation().getOps<mlir::gpu::GPUModuleOp>()))
      if (llvm::Error error = toNvvm(module, chip)) {
        getOperation().emitError(llvm::toString(std::move(error)));
        return signalPassFailure();
      }
  }

  Option<std::string> chip{*this, "chip", llvm::cl::desc("sm_75, sm_80"), llvm::cl::init("sm_80")};
};

} // namespace

std::unique_ptr<Pass> createLowerGpuToNvvmPass() { return std::make_unique<LowerGpuToNvvm>(); }

} // namespace llmc::cuda
