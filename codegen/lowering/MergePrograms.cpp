// The programs of several targets in one module.
#include "codegen/lowering/KernelTable.h"
#include "codegen/lowering/Lowering.h"
#include "codegen/lowering/StepLowering.h"

namespace llmc {
namespace {

constexpr llvm::StringLiteral kSuffix = ".gpu"; // of what comes in

class Merger {
public:
  Merger(mlir::ModuleOp into, mlir::ModuleOp from)
      : into(into), from(from), first(*into.getOps<exec::ProgramOp>().begin()), symbols(into), table(first) {}

  llvm::LogicalResult run() {
    if (mlir::failed(checkCacheGroups())) return mlir::failure();
    for (auto weight : from.getOps<llm::WeightOp>()) addWeight(weight);
    for (auto buffer : from.getOps<exec::BufferOp>()) buffers[buffer.getSymName()] = addRenamed(buffer);
    for (auto kernel : into.getOps<exec::KernelOp>()) table.add(kernel);
    for (auto kernel : from.getOps<exec::KernelOp>())
      kernels[kernel.getSymName()] = table.get(KernelTable::nameOf(kernel.getSymName()), kernel.getKind(),
                                               kernel.getConfig(), &kernel.getEpilogue());
    for (auto program : from.getOps<exec::ProgramOp>()) addProgram(program);
    return mlir::success();
  }

private:
  // A sequence's pages are the same whatever runs it.
  llvm::LogicalResult checkCacheGroups() {
    auto own = into.getOps<llm::CacheGroupOp>(), other = from.getOps<llm::CacheGroupOp>();
    if (std::distance(own.begin(), own.end()) != std::distance(other.begin(), other.end()))
      return from.emitError("has another number of cache groups than the program of the other targets");
    for (llm::CacheGroupOp group : other) {
      auto same = symbols.lookup<llm::CacheGroupOp>(group.getSymName());
      if (!same || same->getAttrDictionary() != group->getAttrDictionary())
        return group.emitOpError("is not the same for all targets");
    }
    return mlir::success();
  }

  // A copy before the first program; returns its name.
  template <typename Op> std::string addRenamed(Op op) {
    auto copy = llvm::cast<Op>(op->clone());
    copy.setSymName((op.getSymName() + kSuffix).str());
    return symbols.insert(copy, mlir::Block::iterator(first)).str();
  }

  // Bytes that are the same are in the artifact once.
  void addWeight(llm::WeightOp weight) {
    auto own = symbols.lookup<llm::WeightOp>(weight.getSymName());
    weights[weight.getSymName()] = own && sameWeight(own, weight) ? weight.getSymName().str() : addRenamed(weight);
  }

  mlir::Attribute renamed(exec::OperandAttr operand) {
    llvm::StringRef kind = operand.getKind();
    if (kind != "buffer" && kind != "weight") return operand;
    const std::string &name = (kind == "buffer" ? buffers : weights).find(operand.getName())->second;
    return exec::OperandAttr::get(into.getContext(), kind, name, operand.getGroup(), operand.getOffset());
  }

  void addProgram(exec::ProgramOp program) {
    auto copy = llvm::cast<exec::ProgramOp>(program->clone());
    mlir::Builder builder(into.getContext());
    copy.setSymName((program.getSymName() + kSuffix).str());
    copy.setLogits(buffers.lookup(program.getLogits()));
    if (auto hidden = program.getHidden()) copy.setHidden(buffers.lookup(*hidden));
    if (auto best = program.getCandidates()) copy.setCandidates(buffers.lookup(*best));
    for (auto dispatch : copy.getBody().getOps<exec::DispatchOp>()) {
      dispatch.setKernelAttr(kernels.lookup(dispatch.getKernel()));
      llvm::SmallVector<mlir::Attribute> operands;
      for (auto operand : dispatch.getOperands().getAsRange<exec::OperandAttr>()) operands.push_back(renamed(operand));
      dispatch.setOperandsAttr(builder.getArrayAttr(operands));
    }
    symbols.insert(copy);
  }

  mlir::ModuleOp into, from;
  exec::ProgramOp first;
  mlir::SymbolTable symbols;
  KernelTable table;
  llvm::StringMap<std::string> buffers, weights; // of `from`: their names in `into`
  llvm::StringMap<mlir::FlatSymbolRefAttr> kernels;
};

} // namespace

llvm::LogicalResult mergePrograms(mlir::ModuleOp into, mlir::ModuleOp from) { return Merger(into, from).run(); }

} // namespace llmc
