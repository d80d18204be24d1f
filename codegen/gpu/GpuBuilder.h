// Builds the body of one GPU kernel in the portable subset: gpu, scf, arith, math and memref on words of 32 bits. The
// same source goes to SPIR-V and to NVVM. Numbers are scalars; an index is below 2^31.
//
// A kernel's arguments are one buffer of words that describes the dispatch, and one for each operand:
//   argument 0     the scalars, then for each operand the word it begins at in its buffer, then the work items
//   argument 1 + i operand i
// Values of 16 bits lie two in a word and are taken apart here, so that no kernel needs 8- or 16-bit storage. With the
// feature storage16 an operand whose elements have 16 bits is a buffer of those instead; the bits are the same.
#pragma once

#include "codegen/common/NumberBuilder.h"
#include "codegen/gpu/MatrixUnits.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"

#include <functional>

namespace llmc::gpu {

using codegen::Values;
using mlir::Value;
using mlir::ValueRange;

inline constexpr int64_t kLanes = 16; // rows side by side in a packed matrix; partial sums of a row

class GpuBuilder : public codegen::NumberBuilder {
public:
  // Adds gpu.func @symbol to `module` and positions the builder in it. `threads`: of a workgroup; `features`:
  // LLMRT_FEATURE_* that the kernel may use; `matrixUnits`: what it may have been made for.
  GpuBuilder(mlir::gpu::GPUModuleOp module, llvm::StringRef symbol, int operands, int scalars, int64_t threads,
             uint64_t features, MatrixUnits matrixUnits = MatrixUnits::None);
  void finish(); // the return

  // The dispatch. Scalars are read in the entry block, once.
  Value scalar(int index);
  Value thread() { return thread_; }   // in its workgroup
  int64_t threads() const { return threads_; }
  MatrixUnits matrixUnits() const { return matrixUnits_; }
  Value group() { return group_; }     // workgroups may lie in two dimensions; this is the number of this one
  Value groups() { return groups_; }   // how many were launched, which may be more than the step needs
  Value items() { return items_; }
  // Kernels of one work item a thread: body(item) for the items there are.
  void forEachItem(const std::function<void(Value item)> &body);
  // Kernels of one work item a workgroup: likewise; all threads of a workgroup see the same item.
  void forGroupItem(const std::function<void(Value item)> &body);

  // Index arithmetic, unsigned
  Value index(int64_t value);
  Value add(Value x, Value y);
  Value sub(Value x, Value y);
  Value mul(Value x, Value y);
  Value div(Value x, Value y);
  Value rem(Value x, Value y);
  Value min(Value x, Value y);
  Value max(Value x, Value y);
  Value add(Value x, int64_t y) { return add(x, index(y)); }
  Value mul(Value x, int64_t y) { return mul(x, index(y)); }
  Value div(Value x, int64_t y) { return div(x, index(y)); }
  Value rem(Value x, int64_t y) { return rem(x, index(y)); }
  Value less(Value x, Value y);
  Value equal(Value x, Value y);
  Value logicalAnd(Value x, Value y);
  Value toF32(Value index);  // exact below 2^24
  Value toI32(Value index);
  Value toIndex(Value word); // of a value that is not negative

  // Memory. `at` counts words, or elements where an element type ("f32", "bf16", "f16") is named. An operand is read and
  // written in elements of 16 bits, or never.
  Value loadWord(int operand, Value at);
  Value loadIndex(int operand, Value at) { return toIndex(loadWord(operand, at)); }
  Value loadF32(int operand, Value at);
  void storeF32(int operand, Value value, Value at);
  Value loadElement(int operand, llvm::StringRef element, Value at);
  void storeWord(int operand, Value word, Value at);
  // To nearest even. Without storage16 a value goes into its half of a word by atomics: another thread may be writing the
  // other half.
  void storeElement(int operand, llvm::StringRef element, Value value, Value at);
  Value bitsToF32(llvm::StringRef element, Value bits); // the low 16 bits of a word
  Value bf16Bits(Value value);                          // in the low 16 bits, to nearest even

  // f32 shared by a workgroup
  Value shared(int64_t count);
  Value loadShared(Value memory, Value at);
  void storeShared(Value memory, Value value, Value at);
  // Words alike
  Value sharedWords(int64_t count);
  Value loadSharedWord(Value memory, Value at) { return loadShared(memory, at); }
  void storeSharedWord(Value memory, Value word, Value at) { storeShared(memory, word, at); }
  void addShared(Value memory, Value word, Value at); // as one step, whatever other threads add
  void barrier(); // all threads of the workgroup, and shared memory
  // The sum over 16 values of shared memory from `first` on: i with i + 8, then 4, 2, 1.
  Value sumOfLanes(Value memory, Value first);

  // What chips have instructions for (codegen/gpu/ops/ChipOps.td)
  Values mma(llvm::StringRef element, ValueRange a, ValueRange b, ValueRange c);
  // 8 words of A, 1,024 of B from `at` on
  Values warpgroupMma(llvm::StringRef element, ValueRange a, Value memory, Value at);
  void publish();
  void copy(int64_t words, int operand, Value at, Value memory, Value to); // to words of a workgroup
  void commit();
  void wait(int64_t groups);
  Value addPairs(Value a, Value b); // two words' pairs of bf16
  Value dot4(Value a, Value b, Value c); // c + the sum of products of the signed bytes of two words
  // Over `across` neighbouring threads, in each of them; reached by all threads of a workgroup or by none.
  Value sumOfThreads(Value value, int64_t across);
  Value maxOfThreads(Value value, int64_t across);

  // Control flow. Loops may run zero times.
  using Body = std::function<void(Value index)>;
  using CarryingBody = std::function<Values(Value index, ValueRange carried)>;
  void loop(Value lower, Value upper, Value step, const Body &body);
  void loop(Value lower, Value upper, int64_t step, const Body &body) { loop(lower, upper, index(step), body); }
  Values loop(Value lower, Value upper, Value step, ValueRange initial, const CarryingBody &body);
  Values loop(Value lower, Value upper, int64_t step, ValueRange initial, const CarryingBody &body) {
    return loop(lower, upper, index(step), initial, body);
  }
  void ifThen(Value condition, const std::function<void()> &body);
  Values ifElse(Value condition, mlir::TypeRange types, const std::function<Values()> &yes,
                const std::function<Values()> &no);
  Value ifElse(Value condition, const std::function<Value()> &yes, const std::function<Value()> &no); // of f32

  Values zeros(int64_t count) { return Values(count, f32(0)); }

private:
  Value word(int operand, Value at); // the place in the operand's buffer
  Value words(int operand);          // the buffer of an operand
  Value halves(int operand);         // likewise, with storage16, of one with elements of 16 bits
  Value half(int operand, Value at); // the place in that
  Value dispatchWord(int64_t at);
  Value halfBits(Value value);       // f32 to the bits of f16

  mlir::gpu::GPUFuncOp function_;
  int64_t threads_;
  bool storage16_;
  MatrixUnits matrixUnits_;
  Values scalarValues_, starts_;
  Value thread_, group_, groups_, items_;
};

} // namespace llmc::gpu
