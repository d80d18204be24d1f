// Builds the body of one kernel: a function of one pointer to llmrt_dispatch, in the llvm (memory), scf (loops), arith
// and vector dialects. All vectors of numbers are 16 wide on every tier, LLVM splits them, so that one emission has
// one order of additions.
#pragma once

#include "codegen/Codegen.h"
#include "codegen/common/NumberBuilder.h"
#include "codegen/cpu/KernelInfo.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <functional>

namespace llmc::cpu {

using codegen::Values;
using mlir::Value;
using mlir::ValueRange;

inline constexpr int64_t kLanes = 16;

class KernelBuilder : public codegen::NumberBuilder {
public:
  // Adds func.func @symbol to `module` and positions the builder in it.
  KernelBuilder(mlir::ModuleOp module, llvm::StringRef symbol, const codegen::CpuTier &tier);
  void finish(); // the return

  const codegen::CpuTier &tier;

  // The dispatch
  Value operand(int index);
  Value scalar(int index); // i64
  Value begin() { return begin_; }
  Value end() { return end_; }
  Value scratch() { return scratch_; }

  // Types
  mlir::Type ptrType();
  mlir::VectorType vec(mlir::Type element, int64_t lanes = kLanes) { return mlir::VectorType::get({lanes}, element); }
  mlir::VectorType f32Vec() { return vec(f32Type()); }

  // Constants
  Value iota();                     // 16 x i32: 0, 1, ...
  Value broadcast(Value scalar, int64_t lanes = kLanes);

  // i64 arithmetic
  Value add(Value x, Value y);
  Value sub(Value x, Value y);
  Value mul(Value x, Value y);
  Value div(Value x, Value y); // of non-negative values
  Value rem(Value x, Value y);
  Value min(Value x, Value y);
  Value max(Value x, Value y);
  Value add(Value x, int64_t y) { return add(x, i64(y)); }
  Value mul(Value x, int64_t y) { return mul(x, i64(y)); }
  Value div(Value x, int64_t y) { return div(x, i64(y)); }
  Value rem(Value x, int64_t y) { return rem(x, i64(y)); }
  Value less(Value x, Value y); // signed i64
  Value lessf(Value x, Value y) { return mlir::arith::CmpFOp::create(b, mlir::arith::CmpFPredicate::OLT, x, y); }

  // Memory; offsets are in bytes
  Value at(Value pointer, Value bytes);
  Value at(Value pointer, int64_t bytes) { return at(pointer, i64(bytes)); }
  Value load(mlir::Type type, Value pointer, unsigned alignment = 4);
  void store(Value value, Value pointer, unsigned alignment = 4);
  Value loadIndex(Value pointer, Value index); // int32 at [index], as i64
  Value loadF32(Value pointer) { return load(f32Type(), pointer, 4); }
  Value loadVec(Value pointer) { return load(f32Vec(), pointer, 4); }
  Value stack(int64_t bytes); // 64-byte aligned, in the frame
  void prefetchL2(Value pointer);

  // 16 columns of which only `valid` (i64; may be more than 16) exist: the others are not touched, and read as zero.
  Value loadColumns(Value pointer, Value valid);
  void storeColumns(Value value, Value pointer, Value valid);
  Value validMask(Value valid); // 16 x i1: lane < valid

  // 16 stored elements ("f32", "bf16", "f16", "int8" without its scale) as f32, and back (to nearest even, no int8)
  Value loadElements(llvm::StringRef element, Value pointer);
  void storeElement(llvm::StringRef element, Value scalarF32, Value pointer);
  Value roundElements(llvm::StringRef element, Value f32Vector); // 16 elements as they are stored; bf16: their bits
  static int64_t elementBytes(llvm::StringRef element) { return element == "f32" ? 4 : 2; }

  // The fixed trees: lane i with lane i + 8, then 4, 2, 1
  Value sum(Value vector);
  Value maximum(Value vector);

  // Control flow
  using Body = std::function<void(Value index)>;
  using CarryingBody = std::function<Values(Value index, ValueRange carried)>;
  void loop(Value lower, Value upper, int64_t step, const Body &body);
  Values loop(Value lower, Value upper, int64_t step, ValueRange initial, const CarryingBody &body);
  void ifThen(Value condition, const std::function<void()> &body);
  Value ifElse(Value condition, const std::function<Value()> &yes, const std::function<Value()> &no);

  Value intrinsic(llvm::StringRef name, mlir::Type result, ValueRange arguments);

private:
  Value loadField(int64_t offset, mlir::Type type);
  Value tailBuffer();

  Value dispatch_, begin_, end_, scratch_;
  llvm::SmallVector<Value> operands_, scalars_; // loaded once, in the entry block
  mlir::Block *entry_ = nullptr;
  Value operandTable_, scalarTable_;
  Value tailBuffer_; // one 64-byte slot for all partial vectors: each is done with it before the next
};

} // namespace llmc::cpu
