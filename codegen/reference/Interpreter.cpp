#include "codegen/reference/Step.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/TypeSwitch.h"

#include <numeric>

namespace llmc::reference {

llvm::Error failure(mlir::Operation *op, const llvm::Twine &what) {
  return llvm::createStringError("the interpreter cannot run " + op->getName().getStringRef() + ": " + what);
}

Element elementOf(mlir::Type type) {
  if (type.isBF16())
    return Element::BF16;
  return type.isF16() ? Element::F16 : Element::F32;
}

Step::Step(ReadRows readRows, llvm::ArrayRef<std::vector<int32_t>> sequences, const EvaluateOptions &options)
    : readRows_(readRows), options_(options), starts_{0} {
  for (const std::vector<int32_t> &sequence : sequences) {
    tokens_.insert(tokens_.end(), sequence.begin(), sequence.end());
    positions_.resize(tokens_.size());
    std::iota(positions_.begin() + starts_.back(), positions_.end(), 0);
    starts_.push_back(int64_t(tokens_.size()));
    if (options.ropeLengths.empty())
      options_.ropeLengths.push_back(int64_t(sequence.size()));
  }
}

llvm::Expected<Matrix> Step::evaluate(mlir::Operation &op) {
  using Result = llvm::Expected<Matrix>;
  return llvm::TypeSwitch<mlir::Operation *, Result>(&op)
      .Case([&](llm::EmbedOp op) { return embed(op); })
      .Case([&](llm::SelectRowsOp op) { return selectRows(op); })
      .Case([&](llm::NormOp op) { return norm(op); })
      .Case([&](llm::LinearOp op) { return linear(op); })
      .Case([&](llm::ActivationOp op) -> Result {
        auto kind = Activation(op.getKind());
        return map(op.getInput(), [kind](double x) { return activation(kind, x); });
      })
      .Case([&](llm::AddOp op) -> Result {
        return zip(op.getLhs(), op.getRhs(), [](double x, double y) { return x + y; });
      })
      .Case([&](llm::MulOp op) -> Result {
        return zip(op.getLhs(), op.getRhs(), [](double x, double y) { return x * y; });
      })
      .Case([&](llm::ScaleOp op) -> Result {
        double factor = op.getFactor().convertToDouble();
        return map(op.getInput(), [factor](double x) { return x * factor; });
      })
      .Case([&](llm::SliceOp op) -> Result { return slice(op); })
      .Case([&](llm::RopeOp op) -> Result { return rope(op); })
      .Case([&](llm::AttentionOp op) { return attention(op); })
      .Case([&](llm::PagedAttentionOp op) { return pagedAttention(op); })
      .Default([](mlir::Operation *op) -> Result { return failure(op, "it has no meaning here"); });
}

llvm::Error Step::run(mlir::Operation &op) {
  if (auto write = llvm::dyn_cast<llm::CacheWriteOp>(op))
    return cacheWrite(write);
  llvm::Expected<Matrix> result = evaluate(op);
  if (!result)
    return result.takeError();
  values_[op.getResult(0)] = std::move(*result);
  return llvm::Error::success();
}

llvm::Expected<Matrix> evaluate(mlir::ModuleOp module, ReadRows readRows,
                                llvm::ArrayRef<std::vector<int32_t>> sequences, const EvaluateOptions &options) {
  auto step = llvm::dyn_cast_or_null<mlir::func::FuncOp>(llm::lookupStep(module));
  if (!step || !step.getBody().hasOneBlock())
    return llvm::createStringError("the module has no function @step of one block");
  if (!options.ropeLengths.empty() && options.ropeLengths.size() != sequences.size())
    return llvm::createStringError("there must be a rope length for each sequence");
  Step state(readRows, sequences, options);
  mlir::Block &body = step.getBody().front();
  for (mlir::Operation &op : body.without_terminator())
    if (llvm::Error error = state.run(op))
      return error;
  mlir::Operation *results = body.getTerminator();
  if (options.result >= results->getNumOperands())
    return llvm::createStringError("@step has no result " + llvm::Twine(options.result));
  return state.take(results->getOperand(options.result));
}

} // namespace llmc::reference
