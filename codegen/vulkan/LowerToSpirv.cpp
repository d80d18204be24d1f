// gpu, scf, arith, math and memref to SPIR-V. MLIR's own convert-gpu-to-spirv has neither math nor memory shared by a
// workgroup as a function's attribution, hence a conversion of our own over the same patterns.
#include "codegen/gpu/ops/Chip.h"
#include "codegen/vulkan/Vulkan.h"

#include "mlir/Conversion/ArithToSPIRV/ArithToSPIRV.h"
#include "mlir/Conversion/FuncToSPIRV/FuncToSPIRV.h"
#include "mlir/Conversion/GPUToSPIRV/GPUToSPIRV.h"
#include "mlir/Conversion/MathToSPIRV/MathToSPIRV.h"
#include "mlir/Conversion/MemRefToSPIRV/MemRefToSPIRV.h"
#include "mlir/Conversion/SCFToSPIRV/SCFToSPIRV.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/Dialect/SPIRV/IR/TargetAndABI.h"
#include "mlir/Dialect/SPIRV/Transforms/Passes.h"
#include "mlir/Dialect/SPIRV/Transforms/SPIRVConversion.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/SPIRV/Serialization.h"
#include "mlir/Transforms/Passes.h"

namespace llmc::vulkan {

using namespace mlir;

namespace {

spirv::TargetEnvAttr targetEnv(MLIRContext *context) {
  auto triple = spirv::VerCapExtAttr::get(spirv::Version::V_1_3, {spirv::Capability::Shader},
                                          llvm::ArrayRef<spirv::Extension>(), context);
  return spirv::TargetEnvAttr::get(triple, spirv::getDefaultResourceLimits(context), spirv::ClientAPI::Vulkan);
}

// Attributions become allocations, which the patterns know.
void allocateSharedMemory(gpu::GPUFuncOp function) {
  OpBuilder b = OpBuilder::atBlockBegin(&function.getBody().front());
  while (function.getNumWorkgroupAttributions() > 0) {
    unsigned index = function.getFunctionType().getNumInputs();
    BlockArgument memory = function.getBody().getArgument(index);
    Value allocated = memref::AllocOp::create(b, function.getLoc(), cast<MemRefType>(memory.getType()));
    memory.replaceAllUsesWith(allocated);
    function.getBody().eraseArgument(index);
    unsigned left = function.getNumWorkgroupAttributions() - 1;
    function->setAttr(function.getNumWorkgroupAttributionsAttrName(), b.getI64IntegerAttr(left));
  }
}

std::optional<spirv::StorageClass> storageClass(Attribute space) {
  auto shared = dyn_cast_or_null<gpu::AddressSpaceAttr>(space);
  return shared && shared.getValue() == gpu::AddressSpace::Workgroup ? spirv::StorageClass::Workgroup
                                                                     : spirv::mapMemorySpaceToVulkanStorageClass(space);
}

LogicalResult convert(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  spirv::TargetEnvAttr env = targetEnv(context);
  spirv::MemorySpaceToStorageClassConverter spaces(storageClass);
  spirv::convertMemRefTypesAndAttrs(module, spaces);
  SPIRVTypeConverter types(env);
  RewritePatternSet patterns(context);
  ScfToSPIRVContext loops;
  populateGPUToSPIRVPatterns(types, patterns);
  populateSCFToSPIRVPatterns(types, loops, patterns);
  arith::populateArithToSPIRVPatterns(types, patterns);
  populateMathToSPIRVPatterns(types, patterns);
  populateMemRefToSPIRVPatterns(types, patterns);
  populateFuncToSPIRVPatterns(types, patterns);
  populateBuiltinFuncToSPIRVPatterns(types, patterns);
  std::unique_ptr<ConversionTarget> target = SPIRVConversionTarget::get(env);
  target->addIllegalOp<gpu::GPUModuleOp>();
  return applyFullConversion(module, *target, std::move(patterns));
}

// Lavapipe unrolls what stands for matrix products and then compiles it for minutes.
void forbidUnrolling(spirv::ModuleOp module) {
  module.walk([](spirv::LoopOp loop) { loop.setLoopControl(spirv::LoopControl::DontUnroll); });
}

// Products and sums stay apart: a device that fuses them would change the bits.
void forbidContraction(spirv::ModuleOp module) {
  Builder b(module.getContext());
  module.walk([&](Operation *op) {
    if (isa<spirv::FAddOp, spirv::FSubOp, spirv::FMulOp, spirv::FDivOp, spirv::FNegateOp>(op))
      op->setAttr("no_contraction", b.getUnitAttr());
  });
}

} // namespace

llvm::Expected<llvm::SmallVector<uint32_t, 0>> lowerToSpirv(gpu::GPUModuleOp module) {
  auto problem = [](llvm::StringRef what) {
    return llvm::createStringError("lowering a kernel to SPIR-V failed in " + what + "; the diagnostics say where");
  };
  MLIRContext *context = module.getContext();
  bool matrices = module.walk([](chip::MmaOp) { return WalkResult::interrupt(); }).wasInterrupted();
  for (auto function : module.getOps<gpu::GPUFuncOp>()) {
    chip::lowerPlainly(function, [](Operation *) { return false; });
    allocateSharedMemory(function);
    llvm::ArrayRef<int32_t> threads = *function.getKnownBlockSize();
    function->setAttr(spirv::getEntryPointABIAttrName(), spirv::getEntryPointABIAttr(context, threads));
  }
  module->setAttr(spirv::getTargetEnvAttrName(), targetEnv(context));
  auto parent = module->getParentOfType<ModuleOp>();
  PassManager before(context);
  before.enableVerifier(false);
  before.addPass(createCanonicalizerPass());
  before.addPass(createCSEPass());
  if (failed(before.run(parent))) return problem("canonicalization");
  if (failed(convert(module))) return problem("conversion");

  PassManager after(context, spirv::ModuleOp::getOperationName(), PassManager::Nesting::Explicit);
  after.addPass(spirv::createSPIRVLowerABIAttributesPass());
  after.addPass(spirv::createSPIRVUpdateVCEPass());
  llvm::SmallVector<uint32_t, 0> words;
  for (auto lowered : parent.getOps<spirv::ModuleOp>()) {
    if (failed(after.run(lowered))) return problem("its last passes");
    forbidContraction(lowered);
    if (matrices) forbidUnrolling(lowered);
    llvm::SmallVector<uint32_t> binary;
    spirv::SerializationOptions options;
    if (failed(spirv::serialize(lowered, binary, options))) return problem("serialization");
    words.assign(binary.begin(), binary.end());
  }
  return words;
}

} // namespace llmc::vulkan
