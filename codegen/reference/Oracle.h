// What each operation means, on plain vectors in double precision: the oracle that kernels and the interpreter share.
// Matrices are row-major. Nothing here follows an order of adding up; tests compare within a tolerance. Inputs are
// trusted: sizes must fit, as asserted.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmc::reference {

using Values = std::vector<double>;
using Input = llvm::ArrayRef<double>;

// ---- rounding ------------------------------------------------------------------------------------------------------
enum class Element { F32, F16, BF16 };
double roundTo(Element element, double value); // to nearest even
void roundAll(Element element, llvm::MutableArrayRef<double> values);

// int8 rows as docs/kernels.md defines them: a scale for each 128 columns, in float arithmetic like the kernels'.
struct Int8Rows {
  std::vector<int8_t> q;     // [rows, columns]
  std::vector<float> scales; // [rows, ceil(columns / 128)]
};
Int8Rows quantizeInt8(Input x, int64_t rows, int64_t columns);
// What a linear on int8 rows multiplies with: q x scale.
Values roundInt8(Input x, int64_t rows, int64_t columns);

// The same with a scale for each `group` values: what an int8 cache keeps of a head's keys or values.
void roundInt8Groups(llvm::MutableArrayRef<double> values, int64_t group);

// Packs the rows of a weight in a quantization scheme and unpacks them again: what kernels compute with. "none" rounds
// to the element type.
Values roundWeight(llvm::StringRef scheme, Element element, llvm::ArrayRef<float> weight, int64_t rows,
                   int64_t columns);

// ---- rows ----------------------------------------------------------------------------------------------------------
// x [rows, inputs], weight [outputs, inputs] -> x W^T [rows, outputs].
Values linear(Input x, int64_t rows, int64_t inputs, Input weight, int64_t outputs);

enum class Norm { Rms, Layer };
// Over each `group` columns of every row (all columns: group = columns); weight and bias have `group` values or none.
Values norm(Norm kind, Input x, int64_t columns, int64_t group, Input weight, Input bias, double epsilon);

enum class Activation { Silu, Gelu, GeluTanh, QuickGelu, Relu, Relu2, Tanh, Sigmoid };
double activation(Activation kind, double x);

// The `count` largest of each `columns` of f32, largest first, the lower column on a tie; -0 is +0, and what is not a
// number comes before all. -infinity and column -1 stand for those that a row lacks.
struct Best {
  float value;
  int64_t column;
};
std::vector<Best> topK(llvm::ArrayRef<float> x, int64_t columns, int64_t count);

// ---- positions -----------------------------------------------------------------------------------------------------
// The parameters of #llm.rope.
struct RopeSpec {
  int64_t dim = 0;
  double base = 10000;
  bool interleaved = false;
  std::string scaling = "default";
  double factor = 1, low = 1, high = 1;
  int64_t original = 0;
  double betaFast = 32, betaSlow = 1, attentionFactor = 1;
  bool truncate = true;
};
// dim / 2 inverse frequencies, rounded to float where transformers' tensors are float32. `length`: the request's rope
// length, for "dynamic".
std::vector<float> ropeFrequencies(const RopeSpec &rope, int64_t length);
// Turns each head of each row. The angle is the float product of position and frequency.
Values rope(const RopeSpec &rope, llvm::ArrayRef<float> frequencies, Input x, llvm::ArrayRef<int64_t> positions,
            int64_t heads, int64_t headDim);

// ---- attention -----------------------------------------------------------------------------------------------------
struct AttentionSpec {
  int64_t heads = 1, kvHeads = 1, keyDim = 0, valueDim = 0;
  double scale = 1, softCap = 0;
  int64_t window = 0; // 0: all keys
};
// Queries of one sequence, at `positions`, over its keys and values at positions 0, 1, ... -> [queries, heads x
// valueDim]. `sinks`, `alibi`: a value a head, or none.
Values attention(const AttentionSpec &spec, Input query, llvm::ArrayRef<int64_t> positions, Input key, Input value,
                 Input sinks = {}, Input alibi = {});

} // namespace llmc::reference
