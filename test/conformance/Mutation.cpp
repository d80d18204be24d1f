#include "test/conformance/Mutation.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"

#include <functional>

namespace llmc::conformance {

using namespace mlir;

namespace {

// A change of one operation: what it is called, and how it is made.
struct Change {
  std::string text;
  std::function<void()> make;
};
using Changes = std::vector<Change>;

template <typename From, typename To> void swapOperator(Operation *op, Changes &changes) {
  if (!isa<From>(op)) return;
  changes.push_back({(From::getOperationName() + " -> " + To::getOperationName()).str(), [op] {
                       OpBuilder b(op);
                       Value other = To::create(b, op->getLoc(), op->getOperand(0), op->getOperand(1));
                       op->replaceAllUsesWith(ValueRange{other});
                       op->erase();
                     }});
}

void swapOperators(Operation *op, Changes &changes) {
  swapOperator<arith::AddFOp, arith::SubFOp>(op, changes);
  swapOperator<arith::SubFOp, arith::AddFOp>(op, changes);
  swapOperator<arith::MulFOp, arith::AddFOp>(op, changes);
  swapOperator<arith::DivFOp, arith::MulFOp>(op, changes);
  swapOperator<arith::MaximumFOp, arith::MinimumFOp>(op, changes);
  swapOperator<arith::MaxNumFOp, arith::MinNumFOp>(op, changes);
  swapOperator<arith::AddIOp, arith::SubIOp>(op, changes);
  swapOperator<arith::SubIOp, arith::AddIOp>(op, changes);
  swapOperator<arith::MulIOp, arith::AddIOp>(op, changes);
  swapOperator<arith::DivUIOp, arith::RemUIOp>(op, changes);
  swapOperator<arith::RemUIOp, arith::DivUIOp>(op, changes);
  swapOperator<arith::ShLIOp, arith::ShRUIOp>(op, changes);
  swapOperator<arith::ShRUIOp, arith::ShLIOp>(op, changes);
  swapOperator<arith::AndIOp, arith::OrIOp>(op, changes);
  swapOperator<arith::OrIOp, arith::AndIOp>(op, changes);
}

// A block that is nothing but a loop and its yield.
bool isLoopAlone(Block &block) {
  return llvm::hasNItems(block.getOperations(), 2) && isa<scf::ForOp>(block.front());
}

arith::CmpIPredicate offByOne(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::eq: return P::ne;
  case P::ne: return P::eq;
  case P::slt: return P::sle;
  case P::sle: return P::slt;
  case P::sgt: return P::sge;
  case P::sge: return P::sgt;
  case P::ult: return P::ule;
  case P::ule: return P::ult;
  case P::ugt: return P::uge;
  case P::uge: return P::ugt;
  }
  return predicate;
}

// Nothing but which of two ways is taken: the branches of an if, the operands of a select.
bool isChoiceAlone(Operation *op) {
  return !op->use_empty() && llvm::all_of(op->getUses(), [](OpOperand &use) {
    auto branch = dyn_cast<scf::IfOp>(use.getOwner());
    return (branch && branch.elseBlock()) || (isa<arith::SelectOp>(use.getOwner()) && use.getOperandNumber() == 0);
  });
}

// At the border between two ways both are right as a rule (a whole vector, and one by one what may be a whole vector): so
// the wrong way is taken everywhere.
void changeComparison(arith::CmpIOp op, Changes &changes) {
  if (isChoiceAlone(op)) {
    changes.push_back({"a comparison is turned round", [op]() mutable {
                         op.setPredicate(arith::invertPredicate(op.getPredicate()));
                       }});
    return;
  }
  if (op->hasOneUse())
    if (auto branch = dyn_cast<scf::IfOp>(*op->user_begin()); branch && isLoopAlone(*branch.thenBlock())) return;
  changes.push_back({"a comparison is off by one", [op]() mutable { op.setPredicate(offByOne(op.getPredicate())); }});
}

// One more than the operand, for `op` alone.
void shiftOperand(Operation *op, unsigned index) {
  OpBuilder b(op);
  Value value = op->getOperand(index);
  Value one = arith::ConstantOp::create(b, op->getLoc(), b.getOneAttr(value.getType()));
  op->setOperand(index, arith::AddIOp::create(b, op->getLoc(), value, one));
}

// One more; of a real number half as much again, and 1 in the place of 0. Null for what is neither.
TypedAttr changed(TypedAttr value) {
  Builder b(value.getContext());
  Type type = value.getType();
  if (auto integer = dyn_cast<IntegerAttr>(value)) {
    int64_t old = integer.getValue().getSExtValue();
    return type.isInteger(1) ? b.getIntegerAttr(type, old == 0) : b.getIntegerAttr(type, old + 1);
  }
  if (auto real = dyn_cast<FloatAttr>(value)) {
    double old = real.getValueAsDouble();
    return b.getFloatAttr(type, old ? old * 1.5 : 1);
  }
  if (auto vector = dyn_cast<SplatElementsAttr>(value))
    if (TypedAttr one = changed(cast<TypedAttr>(vector.getSplatValue<Attribute>())))
      return DenseElementsAttr::get(cast<ShapedType>(type), Attribute(one));
  return {};
}

void changeConstant(arith::ConstantOp op, Changes &changes) {
  // A stack buffer of one byte more is as good.
  if (!op->use_empty() && llvm::all_of(op->getUsers(), [](Operation *user) { return isa<LLVM::AllocaOp>(user); })) return;
  // A border moved by one is a comparison off by one.
  if (!op->use_empty() && llvm::all_of(op->getUsers(), [](Operation *user) {
        return isa<arith::CmpIOp>(user) && isChoiceAlone(user);
      }))
    return;
  if (TypedAttr value = changed(op.getValue()))
    changes.push_back({"a constant is changed", [op, value]() mutable { op.setValueAttr(value); }});
}

void changeBounds(scf::ForOp op, Changes &changes) {
  changes.push_back({"a loop's end is one more", [op] { shiftOperand(op, 1); }});
  changes.push_back({"a loop starts one later", [op] { shiftOperand(op, 0); }});
}

Changes changesOf(Operation *op) {
  Changes changes;
  swapOperators(op, changes);
  if (auto compare = dyn_cast<arith::CmpIOp>(op)) changeComparison(compare, changes);
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) changeConstant(constant, changes);
  if (auto loop = dyn_cast<scf::ForOp>(op)) changeBounds(loop, changes);
  if (isa<arith::SelectOp>(op))
    changes.push_back({"a choice is turned round", [op] {
                         Value yes = op->getOperand(1);
                         op->setOperand(1, op->getOperand(2));
                         op->setOperand(2, yes);
                       }});
  if (isa<math::FmaOp, vector::FMAOp>(op))
    changes.push_back({"fma: x y + z -> x z + y", [op] {
                         Value y = op->getOperand(1);
                         op->setOperand(1, op->getOperand(2));
                         op->setOperand(2, y);
                       }});
  if (isa<memref::LoadOp>(op)) changes.push_back({"an index of a load is one more", [op] { shiftOperand(op, 1); }});
  if (isa<memref::StoreOp>(op)) changes.push_back({"an index of a store is one more", [op] { shiftOperand(op, 2); }});
  return changes;
}

// Everything that the operation's results reach ends in prefetches. `known`: of operations that were asked about.
bool isForPrefetchAlone(Operation *op, llvm::DenseMap<Operation *, bool> &known) {
  if (isa<LLVM::Prefetch>(op)) return true;
  if (op->getNumResults() == 0 || op->getNumRegions() > 0 || op->use_empty()) return false;
  if (auto found = known.find(op); found != known.end()) return found->second;
  bool alone = llvm::all_of(op->getUsers(), [&](Operation *user) { return isForPrefetchAlone(user, known); });
  return known[op] = alone;
}

} // namespace

std::vector<Mutant> mutantsOf(ModuleOp module) {
  std::vector<Mutant> mutants;
  llvm::DenseMap<Operation *, bool> known;
  size_t number = 0;
  module.walk([&](Operation *op) {
    size_t own = number++;
    if (isForPrefetchAlone(op, known)) return;
    Changes changes = changesOf(op);
    for (size_t i = 0; i < changes.size(); ++i) mutants.push_back({own, i, changes[i].text});
  });
  return mutants;
}

static Operation *find(ModuleOp module, const Mutant &mutant) {
  size_t number = 0;
  Operation *place = nullptr;
  module.walk([&](Operation *op) {
    if (number++ == mutant.operation) place = op;
  });
  return place;
}

std::string placeOf(ModuleOp module, const Mutant &mutant) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  Operation *op = find(module, mutant);
  OpPrintingFlags flags = OpPrintingFlags().useLocalScope().skipRegions();
  op->print(stream, flags);
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) // which says nothing by itself
    for (Operation *user : constant->getUsers()) user->print(stream << " for ", flags);
  return text;
}

void plant(ModuleOp module, const Mutant &mutant) { changesOf(find(module, mutant))[mutant.change].make(); }

} // namespace llmc::conformance
