#include "codegen/gpu/GpuSegment.h"

#include "codegen/gpu/GpuKernel.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cstring>

namespace llmc::gpu {

using namespace mlir;

namespace {

constexpr size_t kModuleAlignment = 16;

// By id, so that the segment does not depend on the order of the program.
llvm::Expected<std::vector<cpu::DescribedKernel>> describeAll(llvm::ArrayRef<exec::KernelOp> kernels,
                                                              const SegmentKind &kind) {
  std::vector<cpu::DescribedKernel> all;
  for (exec::KernelOp op : kernels) {
    if (std::string what = refusal(op); !what.empty())
      return llvm::createStringError("--target " + kind.target + " does not have " + what + " yet (kernel '" +
                                     op.getSymName() + "')");
    all.push_back({op, codegen::kernelId(op), describe(op, kind.matrixUnits)});
  }
  std::sort(all.begin(), all.end(), [](const auto &a, const auto &b) { return a.id < b.id; });
  return all;
}

llvm::Error addModule(std::vector<char> &code, llmrt_kernel_entry &entry, const cpu::DescribedKernel &kernel,
                      size_t variant, const SegmentKind &kind, LowerModule lower) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(exec::KernelOp(kernel.op).getContext()));
  auto bytes = lower(emitKernel(*module, kernel.op, kernel.info, variant, "main", kind.features, kind.matrixUnits));
  if (!bytes)
    return llvm::joinErrors(llvm::createStringError("kernel '" + exec::KernelOp(kernel.op).getSymName() + "'"),
                            bytes.takeError());
  code.resize(llvm::alignTo(code.size(), kModuleAlignment));
  entry.entry = uint32_t(code.size());
  entry.code_bytes = uint32_t(bytes->size());
  code.insert(code.end(), bytes->begin(), bytes->end());
  return llvm::Error::success();
}

} // namespace

llvm::Expected<codegen::CodeSegment> buildSegment(llvm::ArrayRef<exec::KernelOp> kernels, const SegmentKind &kind,
                                                  LowerModule lower) {
  auto all = describeAll(kernels, kind);
  if (!all) return all.takeError();
  cpu::SegmentTable table;
  for (const cpu::DescribedKernel &kernel : *all) table.add(kernel);
  std::vector<char> code;
  size_t entry = 0;
  for (const cpu::DescribedKernel &kernel : *all)
    for (size_t variant = 0; variant < kernel.info.variants.size(); ++variant)
      if (llvm::Error error = addModule(code, table.entries[entry++], kernel, variant, kind, lower))
        return std::move(error);
  return codegen::CodeSegment{kind.target, kind.tier, table.layOut(kind.architecture, kind.features, code)};
}

} // namespace llmc::gpu

bool llmc::codegen::haveSameKernels(const CodeSegment &a, const CodeSegment &b) {
  auto kernels = [](const CodeSegment &segment) {
    std::vector<char> bytes = segment.bytes;
    llmrt_code_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.features = 0;
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
  };
  return a.target == b.target && kernels(a) == kernels(b);
}
