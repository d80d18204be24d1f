#include "codegen/reference/Epilogue.h"
#include "codegen/reference/Step.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

namespace llmc::reference {
namespace {

using Function = double (*)(double, double, double, int);

double compare(double x, double y, double, int predicate) {
  using mlir::arith::CmpFPredicate;
  bool unordered = std::isnan(x) || std::isnan(y);
  switch (CmpFPredicate(predicate)) {
  case CmpFPredicate::OEQ:
    return x == y;
  case CmpFPredicate::OGT:
    return x > y;
  case CmpFPredicate::OGE:
    return x >= y;
  case CmpFPredicate::OLT:
    return x < y;
  case CmpFPredicate::OLE:
    return x <= y;
  case CmpFPredicate::ONE:
    return !unordered && x != y;
  case CmpFPredicate::UNE:
    return x != y;
  case CmpFPredicate::UNO:
    return unordered;
  case CmpFPredicate::ORD:
    return !unordered;
  default:
    return std::nan("");
  }
}

Function functionOf(llvm::StringRef name) {
  return llvm::StringSwitch<Function>(name)
      .Case("arith.addf", [](double x, double y, double, int) { return x + y; })
      .Case("arith.subf", [](double x, double y, double, int) { return x - y; })
      .Case("arith.mulf", [](double x, double y, double, int) { return x * y; })
      .Case("arith.divf", [](double x, double y, double, int) { return x / y; })
      .Case("arith.negf", [](double x, double, double, int) { return -x; })
      .Case("arith.maximumf", [](double x, double y, double, int) { return x > y ? x : y; })
      .Case("arith.maxnumf", [](double x, double y, double, int) { return std::fmax(x, y); })
      .Case("arith.minimumf", [](double x, double y, double, int) { return x < y ? x : y; })
      .Case("arith.minnumf", [](double x, double y, double, int) { return std::fmin(x, y); })
      .Case("arith.select", [](double c, double x, double y, int) { return c != 0 ? x : y; })
      .Case("arith.cmpf", compare)
      .Case("math.fma", [](double x, double y, double z, int) { return x * y + z; })
      .Case("math.absf", [](double x, double, double, int) { return std::fabs(x); })
      .Case("math.exp", [](double x, double, double, int) { return std::exp(x); })
      .Case("math.tanh", [](double x, double, double, int) { return std::tanh(x); })
      .Case("math.erf", [](double x, double, double, int) { return std::erf(x); })
      .Case("math.sqrt", [](double x, double, double, int) { return std::sqrt(x); })
      .Case("llm.scalar_activation",
            [](double x, double, double, int kind) { return activation(Activation(kind), x); })
      .Default(nullptr);
}

} // namespace

llvm::Expected<Epilogue::Instruction> Epilogue::decode(mlir::Operation &op) {
  if (auto constant = llvm::dyn_cast<mlir::arith::ConstantOp>(op)) {
    if (auto number = llvm::dyn_cast<mlir::FloatAttr>(constant.getValue()))
      return Instruction{.function = nullptr, .constant = number.getValueAsDouble()};
    if (auto number = llvm::dyn_cast<mlir::IntegerAttr>(constant.getValue()))
      return Instruction{.function = nullptr, .constant = number.getValue().isZero() ? 0.0 : 1.0};
  }
  Instruction result{.function = functionOf(op.getName().getStringRef())};
  if (auto cmp = llvm::dyn_cast<mlir::arith::CmpFOp>(op))
    result.immediate = int(cmp.getPredicate());
  if (auto act = llvm::dyn_cast<llm::ScalarActivationOp>(op))
    result.immediate = int(act.getKind());
  if (!result.function || op.getNumOperands() > 3 || op.getNumResults() != 1)
    return failure(&op, "it is not known inside an epilogue");
  return result;
}

llvm::Expected<Epilogue> Epilogue::make(mlir::Region &region) {
  Epilogue result;
  result.slots_.resize(1);
  if (region.empty())
    return result;
  mlir::Block &block = region.front();
  llvm::DenseMap<mlir::Value, unsigned> slots;
  for (mlir::BlockArgument argument : block.getArguments())
    slots[argument] = argument.getArgNumber();
  result.arguments_ = block.getNumArguments();
  for (mlir::Operation &op : block.without_terminator()) {
    llvm::Expected<Instruction> instruction = decode(op);
    if (!instruction)
      return instruction.takeError();
    for (unsigned i = 0; i < op.getNumOperands(); ++i)
      instruction->operands[i] = slots.lookup(op.getOperand(i));
    slots[op.getResult(0)] = result.arguments_ + result.instructions_.size();
    result.instructions_.push_back(*instruction);
  }
  result.result_ = slots.lookup(block.getTerminator()->getOperand(0));
  result.slots_.resize(result.arguments_ + result.instructions_.size());
  return result;
}

double Epilogue::run(llvm::ArrayRef<double> arguments) {
  std::copy_n(arguments.begin(), arguments_, slots_.begin());
  for (size_t i = 0; i < instructions_.size(); ++i) {
    const Instruction &in = instructions_[i];
    slots_[arguments_ + i] = in.function ? in.function(slots_[in.operands[0]], slots_[in.operands[1]],
                                                       slots_[in.operands[2]], in.immediate)
                                         : in.constant;
  }
  return slots_[result_];
}

} // namespace llmc::reference
