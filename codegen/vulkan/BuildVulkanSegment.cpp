// All kernels of a program as SPIR-V modules, with the table in front.
#include "codegen/Codegen.h"
#include "codegen/gpu/GpuKernel.h"
#include "codegen/vulkan/Vulkan.h"

#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"

#include <algorithm>

namespace llmc::codegen {

using namespace mlir;

void loadVulkanDialects(MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, mlir::gpu::GPUDialect, math::MathDialect, memref::MemRefDialect,
                      scf::SCFDialect, spirv::SPIRVDialect>();
}

std::string vulkanRefusal(exec::KernelOp kernel) { return gpu::refusal(kernel); }

static llvm::Error addModule(std::vector<char> &code, cpu::SegmentTable &table, const cpu::DescribedKernel &kernel,
                             size_t variant, size_t entry) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(exec::KernelOp(kernel.op).getContext()));
  std::string symbol = cpu::kernelSymbol(kernel, variant);
  auto words = vulkan::lowerToSpirv(gpu::emitKernel(*module, kernel.op, kernel.info, variant, "main"));
  if (!words)
    return llvm::joinErrors(llvm::createStringError("kernel '" + exec::KernelOp(kernel.op).getSymName() + "'"),
                            words.takeError());
  table.entries[entry].entry = uint32_t(code.size());
  table.entries[entry].code_bytes = uint32_t(words->size() * 4);
  const char *bytes = reinterpret_cast<const char *>(words->data());
  code.insert(code.end(), bytes, bytes + words->size() * 4);
  return llvm::Error::success();
}

llvm::Expected<CodeSegment> buildVulkanSegment(llvm::ArrayRef<exec::KernelOp> kernels) {
  std::vector<cpu::DescribedKernel> all;
  for (exec::KernelOp op : kernels) {
    if (std::string what = gpu::refusal(op); !what.empty())
      return llvm::createStringError("--target vulkan does not have " + what + " yet (kernel '" + op.getSymName() +
                                     "')");
    all.push_back({op, kernelId(op), gpu::describe(op)});
  }
  // By id, so that the segment does not depend on the order of the program.
  std::sort(all.begin(), all.end(), [](const auto &a, const auto &b) { return a.id < b.id; });
  cpu::SegmentTable table;
  for (const cpu::DescribedKernel &kernel : all) table.add(kernel);
  std::vector<char> code;
  size_t entry = 0;
  for (const cpu::DescribedKernel &kernel : all)
    for (size_t variant = 0; variant < kernel.info.variants.size(); ++variant)
      if (llvm::Error error = addModule(code, table, kernel, variant, entry++)) return std::move(error);
  return CodeSegment{"vulkan", "spirv", table.layOut(LLMRT_ARCH_SPIRV, 0, code)};
}

} // namespace llmc::codegen
