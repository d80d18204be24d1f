// All kernels of a program for one tier: describe, emit, compile, link, and the table in front.
#include "codegen/cpu/Compile.h"
#include "codegen/cpu/DescribedKernel.h"
#include "runtime/abi/kernel.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/Support/MathExtras.h"

namespace llmc::codegen {

using namespace mlir;
using cpu::DescribedKernel;
using cpu::KernelInfo;

namespace {

std::string symbolOf(const DescribedKernel &kernel, size_t variant) {
  return "k_" + kernel.idText() + "_" + std::to_string(variant);
}

void emitAll(ModuleOp module, const std::vector<DescribedKernel> &kernels, const CpuTier &tier) {
  for (const DescribedKernel &kernel : kernels)
    for (auto [i, variant] : llvm::enumerate(kernel.info.variants))
      cpu::emitVariant(module, kernel, variant, symbolOf(kernel, i), tier);
}

// Builds the table's arrays.
class Table {
public:
  std::vector<llmrt_kernel_entry> entries;
  std::vector<llmrt_operand> operands;
  std::vector<llmrt_constraint> constraints;
  std::vector<llmrt_term> terms;

  llmrt_expression expression(const cpu::Expression &source) {
    llmrt_expression result{uint32_t(terms.size()), uint32_t(source.terms().size())};
    for (const cpu::Expression::Term &term : source.terms()) {
      // The table wants the used scalars first.
      llmrt_term out{term.coefficient, {-1, -1, -1}, 0};
      int used = 0;
      for (int16_t scalar : term.scalars)
        if (scalar >= 0) out.scalars[used++] = scalar;
      terms.push_back(out);
    }
    return result;
  }

  void add(const DescribedKernel &kernel) {
    const KernelInfo &info = kernel.info;
    llmrt_kernel_entry entry = {};
    std::copy(kernel.id.begin(), kernel.id.end(), entry.id);
    entry.items = expression(info.items);
    entry.scratch = expression(info.scratch);
    entry.first_operand = operands.size();
    entry.operand_count = info.operands.size();
    for (const cpu::OperandInfo &o : info.operands)
      operands.push_back({o.access, o.alignment, expression(o.extent), expression(o.maximum)});
    entry.first_constraint = constraints.size();
    entry.constraint_count = info.constraints.size();
    for (const cpu::Expression &c : info.constraints) constraints.push_back({expression(c)});
    entry.scalar_count = info.scalarCount;
    entry.grain = info.grain;
    for (const cpu::VariantInfo &variant : info.variants) {
      entry.first_rows = variant.firstRows;
      entry.last_rows = variant.lastRows;
      entries.push_back(entry);
    }
  }
};

template <typename T> void append(std::vector<char> &bytes, const std::vector<T> &values) {
  const char *data = reinterpret_cast<const char *>(values.data());
  bytes.insert(bytes.end(), data, data + values.size() * sizeof(T));
}

std::vector<char> layOut(Table &table, const cpu::Image &image, const CpuTier &tier) {
  llmrt_code_header header = {};
  std::copy_n(LLMRT_CODE_MAGIC, 8, header.magic);
  header.abi_version = LLMRT_ABI_VERSION;
  header.architecture = tier.architecture;
  header.kernel_count = table.entries.size();
  header.operand_count = table.operands.size();
  header.constraint_count = table.constraints.size();
  header.term_count = table.terms.size();
  header.features = tier.features;
  header.code_bytes = image.code.size();
  uint64_t tableBytes = sizeof(header) + table.entries.size() * sizeof(llmrt_kernel_entry) +
                        table.operands.size() * sizeof(llmrt_operand) +
                        table.constraints.size() * sizeof(llmrt_constraint) + table.terms.size() * sizeof(llmrt_term);
  // arm64 addresses constants by 4 KB page: the image keeps its alignment.
  header.code_offset = llvm::alignTo(tableBytes, 4096);
  for (llmrt_kernel_entry &entry : table.entries) entry.entry += header.code_offset;

  std::vector<char> bytes;
  append(bytes, std::vector<llmrt_code_header>{header});
  append(bytes, table.entries);
  append(bytes, table.operands);
  append(bytes, table.constraints);
  append(bytes, table.terms);
  bytes.resize(header.code_offset);
  bytes.insert(bytes.end(), image.code.begin(), image.code.end());
  return bytes;
}

// Entries come out in the order of the kernels and their variants; the image's symbols say where each lies.
llvm::Error placeEntries(Table &table, const std::vector<DescribedKernel> &kernels, const cpu::Image &image) {
  std::map<std::string, const cpu::Image::Symbol *> symbols;
  for (const cpu::Image::Symbol &symbol : image.symbols) symbols[symbol.name] = &symbol;
  size_t next = 0;
  for (const DescribedKernel &kernel : kernels)
    for (size_t variant = 0; variant < kernel.info.variants.size(); ++variant) {
      auto found = symbols.find(symbolOf(kernel, variant));
      if (found == symbols.end())
        return llvm::createStringError("the linked image lacks " + symbolOf(kernel, variant));
      table.entries[next].entry = found->second->offset;
      table.entries[next++].code_bytes = found->second->bytes;
    }
  return llvm::Error::success();
}

} // namespace

void loadCodegenDialects(MLIRContext &context) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, math::MathDialect, scf::SCFDialect,
                      vector::VectorDialect, LLVM::LLVMDialect, cf::ControlFlowDialect, ub::UBDialect>();
  registerBuiltinDialectTranslation(context);
  registerLLVMDialectTranslation(context);
}

llvm::Expected<CodeSegment> buildCpuSegment(llvm::ArrayRef<exec::KernelOp> kernels, const CpuTier &tier) {
  if (kernels.empty()) return llvm::createStringError("a program without kernels has no code segment");
  auto described = cpu::describeKernels(kernels, tier);
  if (!described) return described.takeError();
  MLIRContext *context = kernels.front()->getContext();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(context));
  emitAll(*module, *described, tier);
  if (llvm::Error error = cpu::lowerToLlvm(*module)) return std::move(error);
  auto object = cpu::compileToObject(*module, tier);
  if (!object) return object.takeError();
  auto image = cpu::linkImage(*object, tier);
  if (!image) return image.takeError();
  Table table;
  for (const DescribedKernel &kernel : *described) table.add(kernel);
  if (llvm::Error error = placeEntries(table, *described, *image)) return std::move(error);
  return CodeSegment{tier.name, layOut(table, *image, tier)};
}

} // namespace llmc::codegen
