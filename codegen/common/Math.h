// Elementary functions on numbers of f32, the same bits on every tier: no libm, no approximate reciprocals or roots.
#pragma once

#include "codegen/common/NumberBuilder.h"
#include "dialects/llm/Llm.h"

#include <numbers>

namespace llmc::codegen {

inline constexpr double kLog2E = std::numbers::log2e;

// e^x. At most 2 ulp; 0 below -87.3, infinity above 88.7; exp(0) is exactly 1.
Value emitExp(NumberBuilder &k, Value x);
// 2^x for x <= 0, as softmax wants it: 0 below -125, exactly 1 at 0, NaN where x is. Relative error 1.3e-7, or 3e-6
// where the result is rounded to bf16 at once.
Value emitExp2(NumberBuilder &k, Value x, bool forBf16 = false);
// At most 4 ulp of the result's scale.
Value emitTanh(NumberBuilder &k, Value x);
Value emitErf(NumberBuilder &k, Value x);
Value emitActivation(NumberBuilder &k, llm::ActivationKind kind, Value x);

// The cosine and sine of 16 angles (f32, up to 2^22 in size), correct to float32 but for ties: computed in double by
// reduction to [-pi/4, pi/4] (Cody and Waite) and Taylor polynomials.
struct CosSin {
  Value cosine, sine;
};
CosSin emitCosSin(NumberBuilder &k, Value angles);

// log(x) of a scalar f64, x > 0 and normal, and e^x of 16 x f64, |x| < 700; relative error below 1e-14.
Value emitLogF64(NumberBuilder &k, Value x);
Value emitExpF64(NumberBuilder &k, Value x);

} // namespace llmc::codegen
