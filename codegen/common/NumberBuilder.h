// What emitters of every target share: arithmetic on numbers, which are scalars on a GPU and vectors of lanes on a CPU.
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace llmc::codegen {

using mlir::Value;
using mlir::ValueRange;
using Values = llvm::SmallVector<Value>;

class NumberBuilder {
public:
  // lanes 0: numbers are scalars.
  NumberBuilder(mlir::Location location, int64_t lanes) : b(location, location.getContext()), lanes_(lanes) {}

  mlir::ImplicitLocOpBuilder b;

  mlir::Type i64Type() { return b.getI64Type(); }
  mlir::Type i32Type() { return b.getI32Type(); }
  mlir::Type i8Type() { return b.getI8Type(); }
  mlir::Type f32Type() { return b.getF32Type(); }
  mlir::Type numberType(mlir::Type element); // the element itself, or a vector of lanes of it
  mlir::Type f32Number() { return numberType(f32Type()); }

  // Constants
  Value i64(int64_t value);
  Value i32(int32_t value);
  Value f32(double value);       // rounded to float32
  Value splat(double value);     // a number of f32
  Value splatInt(int32_t value); // a number of i32

  // f32, scalar or vector
  Value addf(Value x, Value y);
  Value subf(Value x, Value y);
  Value mulf(Value x, Value y);
  Value divf(Value x, Value y);
  Value maxf(Value x, Value y); // of numbers
  Value fma(Value x, Value y, Value z);
  Value select(Value condition, Value x, Value y);

private:
  int64_t lanes_;
};

} // namespace llmc::codegen
