// Where each buffer lies in the arena.
#include "codegen/lowering/Lowering.h"
#include "dialects/exec/Exec.h"
#include "llvm/ADT/DenseMap.h"

#include <algorithm>
#include <limits>
#include <map>

namespace llmc {
namespace {

// A buffer of one size class: `bytes` per unit of the class's symbols, alive from dispatch `first` to `last`.
struct Interval {
  exec::BufferOp buffer;
  int64_t bytes;
  unsigned first, last;
  int64_t offset = -1; // per unit, once placed
};

constexpr unsigned kNever = std::numeric_limits<unsigned>::max();

bool aliveTogether(const Interval &a, const Interval &b) { return a.first <= b.last && b.first <= a.last; }

// The smallest gap between the placed buffers that are alive with `buffer` in which it fits; else behind them all.
int64_t bestOffset(const Interval &buffer, llvm::ArrayRef<Interval *> placed) {
  llvm::SmallVector<const Interval *> others;
  for (const Interval *other : placed)
    if (aliveTogether(buffer, *other)) others.push_back(other);
  llvm::sort(others, [](auto *a, auto *b) { return std::pair(a->offset, a) < std::pair(b->offset, b); });
  int64_t end = 0, best = -1, bestGap = std::numeric_limits<int64_t>::max();
  for (const Interval *other : others) {
    int64_t gap = other->offset - end;
    if (gap >= buffer.bytes && gap < bestGap) {
      best = end;
      bestGap = gap;
    }
    end = std::max(end, other->offset + other->bytes);
  }
  return best >= 0 ? best : end;
}

// Places the buffers of one class, the largest first; returns the bytes a unit they need together.
int64_t place(llvm::MutableArrayRef<Interval> buffers) {
  llvm::SmallVector<Interval *> order, placed;
  for (Interval &buffer : buffers) order.push_back(&buffer);
  llvm::sort(order, [](auto *a, auto *b) { return std::pair(-a->bytes, a) < std::pair(-b->bytes, b); });
  int64_t total = 0;
  for (Interval *buffer : order) {
    buffer->offset = bestOffset(*buffer, placed);
    placed.push_back(buffer);
    total = std::max(total, buffer->offset + buffer->bytes);
  }
  return total;
}

using SizeClass = std::pair<exec::Symbol, exec::Symbol>;

// First and last dispatch that names each buffer; outputs are read after the last.
llvm::DenseMap<llvm::StringRef, std::pair<unsigned, unsigned>> lifetimes(exec::ProgramOp program) {
  llvm::DenseMap<llvm::StringRef, std::pair<unsigned, unsigned>> result;
  unsigned index = 0;
  for (auto dispatch : program.getBody().getOps<exec::DispatchOp>()) {
    for (auto operand : dispatch.getOperands().getAsRange<exec::OperandAttr>())
      if (operand.getKind() == "buffer") result.try_emplace(operand.getName(), index, index).first->second.second = index;
    ++index;
  }
  result.try_emplace(program.getLogits(), 0u, 0u).first->second.second = kNever;
  if (auto best = program.getCandidates()) result.try_emplace(*best, 0u, 0u).first->second.second = kNever;
  if (auto hidden = program.getHidden()) result.try_emplace(*hidden, 0u, 0u).first->second.second = kNever;
  return result;
}

} // namespace

llvm::LogicalResult planMemory(mlir::ModuleOp module) {
  auto program = module.lookupSymbol<exec::ProgramOp>("step");
  if (!program) return module.emitError("has no exec.program @step to plan the memory of");
  auto alive = lifetimes(program);
  std::map<SizeClass, std::vector<Interval>> classes;
  for (auto buffer : module.getOps<exec::BufferOp>()) {
    exec::Size bytes = exec::Size::fromAttr(buffer.getBytes());
    if (bytes.getTerms().size() != 1) return buffer.emitOpError("has a size that is not one term; none is planned");
    auto term = bytes.getTerms().front();
    if (term.coefficient < 0 || term.coefficient % 64 != 0)
      return buffer.emitOpError("has a size that is not a multiple of 64 bytes");
    auto found = alive.find(buffer.getSymName());
    auto [first, last] = found == alive.end() ? std::pair(kNever, kNever) : found->second;
    classes[{term.first, term.second}].push_back({buffer, term.coefficient, first, last});
  }
  exec::Size start;
  for (auto &[symbols, buffers] : classes) {
    int64_t bytes = place(buffers);
    for (const Interval &buffer : buffers) {
      exec::Size offset = start + exec::Size(buffer.offset, symbols.first, symbols.second);
      exec::BufferOp(buffer.buffer).setOffsetAttr(offset.toAttr(module.getContext()));
    }
    start += exec::Size(bytes, symbols.first, symbols.second);
  }
  program->setAttr("arena", start.toAttr(module.getContext()));
  return mlir::success();
}

} // namespace llmc
