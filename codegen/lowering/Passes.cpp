// The lowering as passes, for llmc-opt.
#include "codegen/lowering/Lowering.h"
#include "dialects/exec/Exec.h"

namespace llmc {
namespace {

struct LowerToExec : mlir::PassWrapper<LowerToExec, mlir::OperationPass<mlir::ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerToExec)
  LowerToExec() = default;
  LowerToExec(const LowerToExec &other) : PassWrapper(other) {}
  llvm::StringRef getArgument() const final { return "lower-to-exec"; }
  llvm::StringRef getDescription() const final { return "Turns a paged @step into a program of dispatches"; }
  void getDependentDialects(mlir::DialectRegistry &registry) const final { exec::registerDialects(registry); }
  void runOnOperation() final {
    LoweringOptions options;
    options.candidates = candidates;
    if (mlir::failed(lowerToExec(getOperation(), options))) signalPassFailure();
  }

  Option<bool> candidates{*this, "candidates", llvm::cl::desc("leave the best of each row of logits, as GPUs do"),
                          llvm::cl::init(false)};
};

struct PlanMemory : mlir::PassWrapper<PlanMemory, mlir::OperationPass<mlir::ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanMemory)
  llvm::StringRef getArgument() const final { return "plan-memory"; }
  llvm::StringRef getDescription() const final { return "Gives every buffer of the program its place in the arena"; }
  void runOnOperation() final {
    if (mlir::failed(planMemory(getOperation()))) signalPassFailure();
  }
};

} // namespace

std::unique_ptr<mlir::Pass> createLowerToExecPass() { return std::make_unique<LowerToExec>(); }
std::unique_ptr<mlir::Pass> createPlanMemoryPass() { return std::make_unique<PlanMemory>(); }

} // namespace llmc
