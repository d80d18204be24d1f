#include "codegen/common/Math.h"

namespace llmc::codegen {

using namespace mlir;

namespace {

Value splatF64(NumberBuilder &k, double value) {
  return arith::ConstantOp::create(k.b, DenseElementsAttr::get(mlir::cast<VectorType>(k.numberType(k.b.getF64Type())), value));
}

// Horner's scheme, highest power first.
Value polynomial(NumberBuilder &k, Value x, llvm::ArrayRef<double> coefficients) {
  Value result = k.splat(coefficients.front());
  for (double c : coefficients.drop_front()) result = k.fma(result, x, k.splat(c));
  return result;
}
Value polynomialF64(NumberBuilder &k, Value x, llvm::ArrayRef<double> coefficients) {
  Value result = splatF64(k, coefficients.front());
  for (double c : coefficients.drop_front()) result = k.fma(result, x, splatF64(k, c));
  return result;
}

Value compare(NumberBuilder &k, arith::CmpFPredicate predicate, Value x, Value y) {
  return arith::CmpFOp::create(k.b, predicate, x, y);
}
Value absolute(NumberBuilder &k, Value x) { return math::AbsFOp::create(k.b, x); }
Value copySign(NumberBuilder &k, Value magnitude, Value sign) {
  return math::CopySignOp::create(k.b, magnitude, sign);
}

} // namespace

Value emitExp(NumberBuilder &k, Value x) {
  auto &b = k.b;
  // x = n ln 2 + r with |r| <= ln(2)/2; ln 2 in two parts, the first with trailing zeros so that n x part is exact.
  Value low = k.splat(-87.33654), high = k.splat(88.72283);
  Value clamped = k.select(compare(k, arith::CmpFPredicate::OLT, x, low), low, x);
  clamped = k.select(compare(k, arith::CmpFPredicate::OGT, clamped, high), high, clamped);
  Value n = math::RoundEvenOp::create(b, k.mulf(clamped, k.splat(1.44269504088896340736)));
  Value r = k.fma(n, k.splat(-0.693145751953125), clamped);
  r = k.fma(n, k.splat(-1.428606765330187e-06), r);
  // Taylor to the seventh power: below 2^-26 on the interval.
  Value p = polynomial(k, r, {1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0});
  // 2^n in two factors, so that n = 128 does not overflow on the way.
  Value whole = arith::FPToSIOp::create(b, k.numberType(k.i32Type()), n);
  Value half = arith::ShRSIOp::create(b, whole, k.splatInt(1));
  auto power = [&](Value exponent) -> Value {
    Value bits = arith::ShLIOp::create(b, arith::AddIOp::create(b, exponent, k.splatInt(127)), k.splatInt(23));
    return arith::BitcastOp::create(b, k.f32Number(), bits);
  };
  Value result = k.mulf(k.mulf(p, power(half)), power(arith::SubIOp::create(b, whole, half)));
  result = k.select(compare(k, arith::CmpFPredicate::OLT, x, low), k.splat(0), result);
  result = k.select(compare(k, arith::CmpFPredicate::OGT, x, high), k.splat(INFINITY), result);
  return k.select(compare(k, arith::CmpFPredicate::UNO, x, x), x, result);
}

Value emitExp2(NumberBuilder &k, Value x, bool forBf16) {
  auto &b = k.b;
  Value low = k.splat(-125);
  Value clamped = k.select(compare(k, arith::CmpFPredicate::OLT, x, low), low, x);
  Value n = math::RoundEvenOp::create(b, clamped);
  Value r = k.subf(clamped, n);
  // Of least relative error on [-1/2, 1/2] among polynomials of their degree that are 1 at 0.
  Value p = forBf16 ? polynomial(k, r, {0.009582853089667888, 0.05590642460481749, 0.24024098610074235,
                                        0.6931241934163358, 1.0})
                    : polynomial(k, r, {0.0001535336192759642, 0.001339887440815329, 0.009618437357548804,
                                        0.05550332471144659, 0.24022647913630713, 0.6931472028550538, 1.0});
  Value whole = arith::FPToSIOp::create(b, k.numberType(k.i32Type()), n);
  Value bits = arith::ShLIOp::create(b, arith::AddIOp::create(b, whole, k.splatInt(127)), k.splatInt(23));
  Value result = k.mulf(p, arith::BitcastOp::create(b, k.f32Number(), bits));
  return k.select(compare(k, arith::CmpFPredicate::OLT, x, low), k.splat(0), result);
}

Value emitTanh(NumberBuilder &k, Value x) {
  Value size = absolute(k, x);
  // Near zero the quotient below cancels: there an odd polynomial (Taylor, |x| < 0.55).
  Value square = k.mulf(x, x);
  Value series = polynomial(k, square, {-929569.0 / 638512875, 21844.0 / 6081075, -1382.0 / 155925, 62.0 / 2835, -17.0 / 315,
                                  2.0 / 15, -1.0 / 3});
  Value small = k.fma(k.mulf(square, x), series, x);
  Value e = emitExp(k, k.mulf(size, k.splat(-2)));
  Value quotient = k.divf(k.subf(k.splat(1), e), k.addf(k.splat(1), e));
  Value large = copySign(k, quotient, x);
  return k.select(compare(k, arith::CmpFPredicate::OLT, size, k.splat(0.55)), small, large);
}

Value emitErf(NumberBuilder &k, Value x) {
  Value size = absolute(k, x);
  // |x| < 1: Maclaurin series, 2/sqrt(pi) sum (-1)^n x^(2n+1) / (n! (2n+1)).
  Value square = k.mulf(x, x);
  const double c = 1.1283791670955126;
  Value series = polynomial(k, square, {-c / 6894720, c / 685440, -c / 75600, c / 9360, -c / 1320, c / 216,
                                        -c / 42, c / 10, -c / 3, c});
  Value small = k.mulf(series, x);
  // |x| >= 1: 1 - exp(-x^2) t P(t), t = 1/(1 + x/2) (Numerical Recipes' Chebyshev fit of erfc, relative 1.2e-7).
  Value t = k.divf(k.splat(1), k.fma(size, k.splat(0.5), k.splat(1)));
  Value exponent = polynomial(k, t, {0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806,
                                     0.09678418, 0.37409196, 1.00002368, -1.26551223});
  Value tail = k.mulf(t, emitExp(k, k.fma(k.mulf(size, k.splat(-1)), size, exponent)));
  Value large = copySign(k, k.subf(k.splat(1), tail), x);
  return k.select(compare(k, arith::CmpFPredicate::OLT, size, k.splat(1)), small, large);
}

static Value sigmoid(NumberBuilder &k, Value x) {
  return k.divf(k.splat(1), k.addf(k.splat(1), emitExp(k, k.mulf(x, k.splat(-1)))));
}

Value emitActivation(NumberBuilder &k, llm::ActivationKind kind, Value x) {
  switch (kind) {
  case llm::ActivationKind::Silu:
    return k.divf(x, k.addf(k.splat(1), emitExp(k, k.mulf(x, k.splat(-1)))));
  case llm::ActivationKind::Gelu:
    return k.mulf(k.mulf(x, k.splat(0.5)), k.addf(k.splat(1), emitErf(k, k.mulf(x, k.splat(0.70710678118654752)))));
  case llm::ActivationKind::GeluTanh: {
    Value cube = k.mulf(k.mulf(x, x), x);
    Value inner = k.mulf(k.fma(cube, k.splat(0.044715), x), k.splat(0.79788456080286536));
    return k.mulf(k.mulf(x, k.splat(0.5)), k.addf(k.splat(1), emitTanh(k, inner)));
  }
  case llm::ActivationKind::QuickGelu:
    return k.mulf(x, sigmoid(k, k.mulf(x, k.splat(1.702))));
  case llm::ActivationKind::Relu:
    return k.maxf(x, k.splat(0));
  case llm::ActivationKind::Relu2: {
    Value positive = k.maxf(x, k.splat(0));
    return k.mulf(positive, positive);
  }
  case llm::ActivationKind::Tanh:
    return emitTanh(k, x);
  case llm::ActivationKind::Sigmoid:
    return sigmoid(k, x);
  }
  llvm_unreachable("every kind is above");
}

CosSin emitCosSin(NumberBuilder &k, Value angles) {
  auto &b = k.b;
  Type f64Vec = k.numberType(b.getF64Type()), i64Vec = k.numberType(b.getI64Type());
  Value x = arith::ExtFOp::create(b, f64Vec, angles);
  Value n = math::RoundEvenOp::create(b, k.mulf(x, splatF64(k, 0.63661977236758134308)));
  Value r = k.fma(n, splatF64(k, -1.57079632679489655800), x);
  r = k.fma(n, splatF64(k, -6.12323399573676603587e-17), r);
  Value square = k.mulf(r, r);
  Value sine = polynomialF64(k, square, {1.0 / 6227020800.0, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120,
                                         -1.0 / 6});
  sine = k.fma(k.mulf(sine, square), r, r);
  Value cosine = polynomialF64(k, square, {-1.0 / 87178291200.0, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320,
                                           -1.0 / 720, 1.0 / 24, -0.5, 1.0});
  // The quadrant n mod 4 swaps the two and turns signs.
  Value quadrant = arith::FPToSIOp::create(b, i64Vec, n);
  Value one = arith::ConstantOp::create(b, DenseElementsAttr::get(mlir::cast<VectorType>(i64Vec), int64_t(1)));
  Value two = arith::ConstantOp::create(b, DenseElementsAttr::get(mlir::cast<VectorType>(i64Vec), int64_t(2)));
  auto isSet = [&](Value value, Value bit) -> Value {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, arith::AndIOp::create(b, value, bit), bit);
  };
  auto negateIf = [&](Value condition, Value value) -> Value {
    return k.select(condition, arith::NegFOp::create(b, value), value);
  };
  Value swap = isSet(quadrant, one);
  Value sinResult = negateIf(isSet(quadrant, two), k.select(swap, cosine, sine));
  Value next = arith::AddIOp::create(b, quadrant, one);
  Value cosResult = negateIf(isSet(next, two), k.select(swap, sine, cosine));
  return {arith::TruncFOp::create(b, k.f32Number(), cosResult), arith::TruncFOp::create(b, k.f32Number(), sinResult)};
}

Value emitLogF64(NumberBuilder &k, Value x) {
  auto &b = k.b;
  auto f64 = [&](double v) -> Value { return arith::ConstantOp::create(b, b.getF64FloatAttr(v)); };
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)): then log m = 2 atanh((m - 1)/(m + 1)).
  Value bits = arith::BitcastOp::create(b, b.getI64Type(), x);
  Value shifted = arith::SubIOp::create(b, bits, k.i64(0x3fe6a09e667f3bcd));
  Value exponent = arith::ShRSIOp::create(b, shifted, k.i64(52));
  Value mantissa = arith::SubIOp::create(b, bits, arith::ShLIOp::create(b, exponent, k.i64(52)));
  Value m = arith::BitcastOp::create(b, b.getF64Type(), mantissa);
  Value s = k.divf(k.subf(m, f64(1)), k.addf(m, f64(1)));
  Value square = k.mulf(s, s);
  Value series = f64(1.0 / 21);
  for (int odd = 19; odd >= 1; odd -= 2) series = k.fma(series, square, f64(1.0 / odd));
  Value logM = k.mulf(k.mulf(s, f64(2)), series);
  return k.fma(arith::SIToFPOp::create(b, b.getF64Type(), exponent), f64(0.69314718055994530942), logM);
}

Value emitExpF64(NumberBuilder &k, Value x) {
  auto &b = k.b;
  Value n = math::RoundEvenOp::create(b, k.mulf(x, splatF64(k, 1.44269504088896340736)));
  Value r = k.fma(n, splatF64(k, -0.69314718055994528623), x);
  r = k.fma(n, splatF64(k, -2.3190468138462996e-17), r);
  llvm::SmallVector<double> coefficients;
  double factorial = 1;
  for (int i = 1; i <= 13; ++i) factorial *= i;
  for (int i = 13; i >= 0; --i) {
    coefficients.push_back(1 / factorial);
    if (i > 0) factorial /= i;
  }
  Value p = polynomialF64(k, r, coefficients);
  auto i64Vec = k.numberType(b.getI64Type());
  Value exponent = arith::FPToSIOp::create(b, i64Vec, n);
  Value bias = arith::ConstantOp::create(b, DenseElementsAttr::get(mlir::cast<VectorType>(i64Vec), int64_t(1023)));
  Value shift = arith::ConstantOp::create(b, DenseElementsAttr::get(mlir::cast<VectorType>(i64Vec), int64_t(52)));
  Value bits = arith::ShLIOp::create(b, arith::AddIOp::create(b, exponent, bias), shift);
  return k.mulf(p, arith::BitcastOp::create(b, k.numberType(b.getF64Type()), bits));
}

} // namespace llmc::codegen
