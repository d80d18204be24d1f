// gpu, scf, arith, math and memref to SPIR-V. MLIR's own convert-gpu-to-spirv has neither math nor memory shared by a
// workgroup as a function's attribution, hence a conversion of our own over the same patterns.
#include "codegen/vulkan/ChipToSpirv.h"
#include "codegen/vulkan/MatrixToSpirv.h"
#include "codegen/vulkan/Vulkan.h"

#include "mlir/Conversion/ArithToSPIRV/ArithToSPIRV.h"
#include "mlir/Conversion/FuncToSPIRV/FuncToSPIRV.h"
#include "mlir/Conversion/GPUToSPIRV/GPUToSPIRV.h"
#include "mlir/Conversion/MathToSPIRV/MathToSPIRV.h"
#include "mlir/Conversion/MemRefToSPIRV/MemRefToSPIRV.h"
#include "mlir/Conversion/SCFToSPIRV/SCFToSPIRV.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
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
#include "runtime/abi/kernel.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"

namespace llmc::vulkan {

using namespace mlir;

namespace {

spirv::TargetEnvAttr targetEnv(MLIRContext *context, uint64_t features, spirv::Version version) {
  llvm::SmallVector<spirv::Capability> capabilities = {spirv::Capability::Shader};
  // Int16 is what the conversion asks for; the modules have no arithmetic on 16 bits and do not declare it.
  if (features & LLMRT_FEATURE_STORAGE16)
    capabilities.append({spirv::Capability::StorageBuffer16BitAccess, spirv::Capability::Int16});
  llvm::SmallVector<spirv::Extension> extensions;
  if (features & LLMRT_FEATURE_INT_DOT) {
    capabilities.append({spirv::Capability::DotProduct, spirv::Capability::DotProductInput4x8BitPacked});
    extensions.push_back(spirv::Extension::SPV_KHR_integer_dot_product);
  }
  if (features & LLMRT_FEATURE_SUBGROUP_SHUFFLE)
    capabilities.append({spirv::Capability::GroupNonUniform, spirv::Capability::GroupNonUniformShuffle});
  if (features & LLMRT_FEATURE_MATRIX_BF16) {
    capabilities.append({spirv::Capability::CooperativeMatrixKHR, spirv::Capability::BFloat16TypeKHR,
                         spirv::Capability::BFloat16CooperativeMatrixKHR, spirv::Capability::VulkanMemoryModel});
    extensions.append({spirv::Extension::SPV_KHR_cooperative_matrix, spirv::Extension::SPV_KHR_bfloat16});
  }
  auto triple = spirv::VerCapExtAttr::get(version, capabilities, extensions, context);
  return spirv::TargetEnvAttr::get(triple, spirv::getDefaultResourceLimits(context), spirv::ClientAPI::Vulkan);
}

constexpr int64_t kWorkgroupBytes = 16384; // that every device has (maxComputeSharedMemorySize)

int64_t workgroupBytes(mlir::gpu::GPUFuncOp function) {
  int64_t words = 0;
  for (BlockArgument memory : function.getWorkgroupAttributions())
    words += cast<MemRefType>(memory.getType()).getNumElements();
  return (words + matrixWords(function, function.getKnownBlockSize()->front())) * 4;
}

bool hasProducts(mlir::gpu::GPUFuncOp function) {
  return function.walk([](chip::MmaOp) { return WalkResult::interrupt(); }).wasInterrupted();
}

// Attributions become allocations, which the patterns know.
void allocateSharedMemory(mlir::gpu::GPUFuncOp function) {
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
  auto shared = dyn_cast_or_null<mlir::gpu::AddressSpaceAttr>(space);
  return shared && shared.getValue() == mlir::gpu::AddressSpace::Workgroup ? spirv::StorageClass::Workgroup
                                                                     : spirv::mapMemorySpaceToVulkanStorageClass(space);
}

LogicalResult convert(mlir::gpu::GPUModuleOp module, spirv::TargetEnvAttr env) {
  MLIRContext *context = module.getContext();
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
  target->addIllegalOp<mlir::gpu::GPUModuleOp>();
  target->addLegalOp<chip::MmaOp>(); // lowerMatrices()
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

// Atomics write halves of words, or count between barriers, and order nothing else. MLIR has them acquire and release without
// saying what memory, which Vulkan forbids (VUID-StandaloneSpirv-MemorySemantics-10870).
void relaxAtomics(spirv::ModuleOp module) {
  module.walk([](Operation *op) {
    llvm::TypeSwitch<Operation *>(op).Case<spirv::AtomicAndOp, spirv::AtomicOrOp, spirv::AtomicIAddOp>(
        [](auto atomic) { atomic.setSemantics(spirv::MemorySemantics::None); });
  });
}

// What the module says it is: SPIR-V 1.3, whose drivers know by extensions what later versions have. Values of 16 bits are
// loaded, stored and converted, which StorageBuffer16BitAccess allows without Int16. That matrices are of bf16, and what
// the built-in SubgroupId needs, is not deduced.
void declare(spirv::ModuleOp module) {
  spirv::VerCapExtAttr found = *module.getVceTriple();
  llvm::SmallSetVector<spirv::Capability, 16> capabilities;
  capabilities.insert_range(found.getCapabilities());
  capabilities.remove(spirv::Capability::Int16);
  llvm::SmallSetVector<spirv::Extension, 4> extensions;
  extensions.insert_range(found.getExtensions());
  if (capabilities.contains(spirv::Capability::DotProduct))
    extensions.insert(spirv::Extension::SPV_KHR_integer_dot_product);
  if (capabilities.contains(spirv::Capability::CooperativeMatrixKHR)) {
    capabilities.insert(spirv::Capability::BFloat16CooperativeMatrixKHR);
    capabilities.insert(spirv::Capability::GroupNonUniform);
    capabilities.insert(spirv::Capability::VulkanMemoryModel);
    extensions.insert(spirv::Extension::SPV_KHR_bfloat16);
    extensions.insert(spirv::Extension::SPV_KHR_vulkan_memory_model);
  }
  module.setVceTripleAttr(spirv::VerCapExtAttr::get(spirv::Version::V_1_3, capabilities.getArrayRef(),
                                                    extensions.getArrayRef(), module.getContext()));
}

llvm::Error problem(llvm::StringRef what) {
  return llvm::createStringError("lowering a kernel to SPIR-V failed in " + what + "; the diagnostics say where");
}

} // namespace

llvm::Expected<std::vector<char>> lowerToBytes(mlir::gpu::GPUModuleOp module, uint64_t features) {
  MLIRContext *context = module.getContext();
  bool plainProducts = false;
  int64_t threads = 0;
  spirv::TargetEnvAttr env = targetEnv(context, features, spirv::Version::V_1_3);
  for (auto function : module.getOps<mlir::gpu::GPUFuncOp>()) {
    threads = function.getKnownBlockSize()->front();
    bool products = hasProducts(function);
    lowerChip(function, features);
    plainProducts |= products && !hasProducts(function);
    if (int64_t bytes = workgroupBytes(function); bytes > kWorkgroupBytes)
      return llvm::createStringError("a kernel's workgroup has " + std::to_string(bytes) + " bytes of memory; every device has " +
                                     std::to_string(kWorkgroupBytes));
    allocateSharedMemory(function);
    function->setAttr(spirv::getEntryPointABIAttrName(),
                      spirv::getEntryPointABIAttr(context, *function.getKnownBlockSize()));
  }
  module->setAttr(spirv::getTargetEnvAttrName(), env);
  auto parent = module->getParentOfType<ModuleOp>();
  PassManager before(context);
  before.enableVerifier(false);
  before.addPass(createCanonicalizerPass());
  before.addPass(createCSEPass());
  if (failed(before.run(parent))) return problem("canonicalization");
  if (failed(convert(module, env))) return problem("conversion");

  PassManager interface(context, spirv::ModuleOp::getOperationName(), PassManager::Nesting::Explicit);
  interface.addPass(spirv::createSPIRVLowerABIAttributesPass());
  PassManager last(context, spirv::ModuleOp::getOperationName(), PassManager::Nesting::Explicit);
  last.addPass(spirv::createSPIRVUpdateVCEPass());
  std::vector<char> bytes;
  for (auto lowered : parent.getOps<spirv::ModuleOp>()) {
    lowerMatrices(lowered, threads);
    if (failed(interface.run(lowered))) return problem("its interface");
    // The pass knows dot products of 1.6 only; an interface of 1.4 and later would name the buffers too.
    lowered->setAttr(spirv::getTargetEnvAttrName(), targetEnv(context, features, spirv::Version::V_1_6));
    if (failed(last.run(lowered))) return problem("its capabilities");
    forbidContraction(lowered);
    relaxAtomics(lowered);
    if (plainProducts) forbidUnrolling(lowered);
    declare(lowered);
    llvm::SmallVector<uint32_t> words;
    if (failed(spirv::serialize(lowered, words, spirv::SerializationOptions()))) return problem("serialization");
    const char *first = reinterpret_cast<const char *>(words.data());
    bytes.assign(first, first + words.size() * sizeof(uint32_t));
  }
  return bytes;
}

} // namespace llmc::vulkan
