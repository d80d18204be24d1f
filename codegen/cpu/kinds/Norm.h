// Shared by the norm kernel's results: f32 rows, and rows rounded to int8 or bf16 for linears.
#pragma once

#include "codegen/cpu/kinds/Kinds.h"

namespace llmc::cpu {

struct NormConfig {
  llvm::StringRef kind; // none, rms, layer
  double epsilon;
  bool bias, gather;
  llvm::StringRef out;  // f32, int8, bf16
  const Scheme *scheme; // of the linear that reads it, with int8
  bool int8() const { return out == "int8"; }
  bool tiled() const { return out != "f32"; }
};

NormConfig readNormConfig(exec::KernelOp kernel);

// The dispatch of a norm, loaded in the entry block.
struct Norm {
  Norm(KernelBuilder &k, const NormConfig &config);

  KernelBuilder &k;
  const NormConfig config;
  Value x, rows, weight, bias, out, corr, scale;
  Value n, columns, vectors, ldIn, ldOut, runs;

  // What a row is shifted and scaled by: f32; null where the kind does not.
  struct Size {
    Value mean, factor;
  };
  bool sized() const { return config.kind != "none"; }
  // The first column of the row that item `row` reads.
  Value source(Value row);
  Size measure(Value source);
  // 16 normalized columns; the weight, like what lies past the last column, is zero there. `valid`: columns from
  // `vector` on that exist, null where all 16 do.
  Value normalized(Value source, Value vector, const Size &size, Value valid);

private:
  Value load(Value source, Value vector, Value valid);
  Value rowSum(Value source, llvm::function_ref<Value(Value sum, Value vector, Value valid)> term);
};

void emitInt8Norm(KernelBuilder &k, const NormConfig &config);
void emitBf16Norm(KernelBuilder &k, const NormConfig &config);

} // namespace llmc::cpu
