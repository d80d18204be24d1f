// Golden vectors of the kinds that work on rows: embed, norm, linear, map.
#include "codegen/cpu/PairDot.h"
#include "codegen/golden/Draft.h"

#include <cmath>

namespace llmc::golden {

using codegen::CpuTier;

namespace {

constexpr double kRowBound = 4e-6, kSumBound = 2e-5;

// A vector of `count` values, padded to 16.
Floats vectorOf(int64_t count, uint32_t seed) {
  Floats values = numbers(count, seed);
  values.resize(ceilDiv(count, 16) * 16);
  return values;
}

} // namespace

const Scheme *schemeOf(exec::KernelOp kernel) { return findScheme(cpu::configString(kernel, "scheme")); }

reference::Epilogue epilogueOf(exec::KernelOp kernel) {
  auto epilogue = reference::Epilogue::make(kernel.getEpilogue());
  if (!epilogue) llvm::report_fatal_error(epilogue.takeError());
  return std::move(*epilogue);
}

std::vector<double> roundedWeight(exec::KernelOp kernel, const Floats &weight, int64_t rows, int64_t columns) {
  return reference::roundWeight(cpu::configString(kernel, "scheme"), elementOf(cpu::configString(kernel, "element")),
                                weight, rows, columns);
}

Draft makeEmbed(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  constexpr int64_t K = 40, V = 20, P = 18;
  const Scheme *scheme = schemeOf(kernel);
  bool positions = cpu::configBool(kernel, "positions");
  std::vector<int64_t> scalars{n, K, V, ceilDiv(V, 16), scheme ? scheme->chunks(K) : K, K};
  if (positions) scalars.insert(scalars.end(), {P, ceilDiv(P, 16)});
  Draft draft(kernel, tier, scalars);
  Floats table = numbers(V * K, 1), places = numbers(P * K, 2);
  std::vector<int32_t> ids, at;
  for (int64_t row = 0; row < n; ++row) ids.push_back(int32_t((18 + 7 * row) % V)), at.push_back(int32_t((17 + 5 * row) % P));
  draft.add(ids);
  draft.add(packMatrix(scheme, cpu::configString(kernel, "element"), table, V, K));
  if (positions) {
    draft.add(at);
    draft.add(packMatrix(nullptr, "f32", places, P, K));
  }
  std::vector<double> weight = roundedWeight(kernel, table, V, K), expected;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < K; ++i)
      expected.push_back(cpu::configFloat(kernel, "scale") * weight[ids[row] * K + i] +
                         (positions ? places[at[row] * K + i] : 0));
  draft.expect(draft.addResult(), expected, kRowBound);
  return draft;
}

// ---- norm ------------------------------------------------------------------------------------------------------------

namespace {

// Quantized values are compared exactly: none may lie where an error of a few units in the last place decides.
bool isClear(const std::vector<double> &values, const std::vector<double> &steps) {
  for (size_t i = 0; i < values.size(); ++i)
    if (double place = steps[i] ? values[i] / steps[i] : 0; std::abs(place - std::floor(place) - 0.5) < 1e-3) return false;
  return true;
}

std::vector<double> int8Steps(const reference::Int8Rows &x, int64_t rows, int64_t columns) {
  std::vector<double> steps;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < columns; ++i) steps.push_back(x.scales[row * ceilDiv(columns, 128) + i / 128]);
  return steps;
}

std::vector<double> bf16Steps(const std::vector<double> &values) {
  std::vector<double> steps;
  for (double value : values) steps.push_back(value ? std::ldexp(1.0, std::ilogb(value) - 7) : 0);
  return steps;
}

struct NormCase {
  static constexpr int64_t K = 72, ld = 75;
  exec::KernelOp kernel;
  int64_t n, taken; // rows of the step, rows there are
  Floats x, weight, bias;
  std::vector<int32_t> rows;

  NormCase(exec::KernelOp kernel, int64_t n, uint32_t seed)
      : kernel(kernel), n(n), taken(cpu::configBool(kernel, "gather") ? n + 2 : n), x(numbers(taken * ld, seed)),
        weight(vectorOf(K, seed + 1)), bias(vectorOf(K, seed + 2)) {
    for (int64_t row = 0; row < n; ++row) rows.push_back(int32_t(taken == n ? row : taken - 1 - row));
  }

  std::vector<double> expected() const {
    std::vector<double> input, w(weight.begin(), weight.begin() + K), b;
    for (int32_t row : rows) input.insert(input.end(), x.begin() + row * ld, x.begin() + row * ld + K);
    llvm::StringRef kind = cpu::configString(kernel, "kind");
    if (kind == "none") return input;
    if (cpu::configBool(kernel, "bias")) b.assign(bias.begin(), bias.begin() + K);
    return reference::norm(kind == "layer" ? reference::Norm::Layer : reference::Norm::Rms, input, K, K, w, b,
                           cpu::configFloat(kernel, "epsilon"));
  }

  bool isClear(const std::vector<double> &values) const {
    llvm::StringRef out = cpu::configString(kernel, "out");
    if (cpu::configString(kernel, "kind") == "none" || out == "f32") return true; // nothing is computed before
    return golden::isClear(values, out == "int8" ? int8Steps(reference::quantizeInt8(values, n, K), n, K)
                                                 : bf16Steps(values));
  }
};

} // namespace

Draft makeNorm(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  NormCase c(kernel, n, 1);
  for (uint32_t seed = 4; !c.isClear(c.expected()); seed += 3) c = NormCase(kernel, n, seed);
  constexpr int64_t K = NormCase::K;
  llvm::StringRef out = cpu::configString(kernel, "out");
  const Scheme *scheme = out == "int8" ? schemeOf(kernel) : nullptr;
  int64_t padded = out == "f32" ? K : scheme ? scheme->chunks(K) * scheme->columns_per_chunk() : ceilDiv(K, 32) * 32;
  std::vector<int64_t> scalars{n, K, ceilDiv(K, 16), NormCase::ld, out == "f32" ? K : scheme ? scheme->chunks(K) : padded / 32,
                               c.taken};
  if (out != "f32") scalars.push_back(ceilDiv(padded, 128));
  Draft draft(kernel, tier, scalars);
  c.x.resize((c.taken - 1) * NormCase::ld + K);
  draft.add(c.x);
  if (c.taken != n) draft.add(c.rows);
  if (cpu::configString(kernel, "kind") != "none") draft.add(c.weight);
  if (cpu::configBool(kernel, "bias")) draft.add(c.bias);
  std::vector<double> expected = c.expected();
  if (out == "f32") {
    draft.expect(draft.addResult(), expected, kRowBound);
  } else if (out == "bf16") {
    draft.expectBytes(draft.addResult(),
                      packBf16Rows(roundToBf16(expected), n, K, padded, cpu::PairDot::inputBytes(tier)));
  } else {
    Int8Operands packed = packInt8Rows(*scheme, reference::quantizeInt8(expected, n, K), n, K);
    draft.expectBytes(draft.addResult(), packed.q);
    draft.expectBytes(draft.addResult(), packed.corr);
    Floats scales(packed.scale.size() / 4);
    std::memcpy(scales.data(), packed.scale.data(), packed.scale.size());
    draft.expect(draft.addResult(), toDouble(scales), kRowBound);
  }
  return draft;
}

// ---- linear ----------------------------------------------------------------------------------------------------------

int64_t linearChunks(exec::KernelOp kernel, int64_t columns) {
  const Scheme *scheme = schemeOf(kernel);
  if (cpu::configString(kernel, "activations") == "bf16")
    return ceilDiv(columns, scheme ? scheme->columns_per_chunk() : 32);
  return scheme ? scheme->chunks(columns) : columns;
}

std::vector<double> addLinearInput(Draft &draft, int64_t K, const CpuTier &tier) {
  int64_t n = draft.rows();
  const Scheme *scheme = schemeOf(draft.kernel);
  Floats x = numbers(n * K, 3);
  llvm::StringRef activations = cpu::configString(draft.kernel, "activations");
  if (activations == "float") {
    draft.add(x);
    return toDouble(x);
  }
  if (activations == "bf16") {
    std::vector<double> values = roundToBf16(toDouble(x));
    int64_t unit = scheme ? scheme->columns_per_chunk() : 32;
    draft.add(packBf16Rows(values, n, K, ceilDiv(K, unit) * unit, cpu::PairDot::inputBytes(tier)));
    return values;
  }
  Int8Operands packed = packInt8Rows(*scheme, reference::quantizeInt8(toDouble(x), n, K), n, K);
  draft.add(packed.q);
  draft.add(packed.corr);
  draft.add(packed.scale);
  return reference::roundInt8(toDouble(x), n, K);
}

Draft makeLinear(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  constexpr int64_t K = 72, N = 20, Nb = 2, ld = 21;
  const Scheme *scheme = schemeOf(kernel);
  llvm::StringRef activations = cpu::configString(kernel, "activations");
  int64_t parts = cpu::configBool(kernel, "gated") ? 2 : 1, rows = cpu::configInt(kernel, "rows");
  int64_t vectors = cpu::configInt(kernel, "vectors"), outputs = parts * Nb * 16;
  int64_t chunks = linearChunks(kernel, K);
  std::vector<int64_t> scalars{n, K, N, Nb, chunks, activations == "float" ? K : 0, N};
  scalars.insert(scalars.end(), rows, ld);
  if (activations == "int8") scalars.push_back(ceilDiv(chunks * scheme->columns_per_chunk(), 128));
  Draft draft(kernel, tier, scalars);
  std::vector<double> input = addLinearInput(draft, K, tier);
  Floats weight = numbers(outputs * K, 4);
  draft.add(packMatrix(scheme, cpu::configString(kernel, "element"), weight, outputs, K));
  std::vector<Floats> rowValues, vectorValues;
  for (int64_t i = 0; i < rows; ++i) rowValues.push_back(numbers((n - 1) * ld + N, 5 + i));
  for (int64_t i = 0; i < vectors; ++i) vectorValues.push_back(numbers(outputs, 15 + i));
  for (const Floats &values : rowValues) draft.add(values);
  for (const Floats &values : vectorValues) draft.add(values);

  std::vector<double> sums = reference::linear(input, n, K, roundedWeight(kernel, weight, outputs, K), outputs), expected;
  reference::Epilogue epilogue = epilogueOf(kernel);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < N; ++i) {
      std::vector<double> arguments;
      auto place = [&](int64_t part) { return (i / 16 * parts + part) * 16 + i % 16; }; // of the output's weight row
      for (int64_t part = 0; part < parts; ++part) arguments.push_back(sums[row * outputs + place(part)]);
      for (const Floats &values : rowValues) arguments.push_back(values[row * ld + i]);
      for (const Floats &values : vectorValues)
        for (int64_t part = 0; part < parts; ++part) arguments.push_back(values[place(part)]);
      expected.push_back(epilogue.run(arguments));
    }
  draft.expect(draft.addResult(), expected, kSumBound);
  return draft;
}

Draft makeMap(exec::KernelOp kernel, int64_t n, const CpuTier &tier) {
  constexpr int64_t N = 40, ld = 43;
  int64_t rows = cpu::configInt(kernel, "rows"), vectors = cpu::configInt(kernel, "vectors");
  std::vector<int64_t> scalars{n, N, ceilDiv(N, 16), N};
  scalars.insert(scalars.end(), rows, ld);
  Draft draft(kernel, tier, scalars);
  std::vector<Floats> rowValues, vectorValues;
  for (int64_t i = 0; i < rows; ++i) rowValues.push_back(numbers((n - 1) * ld + N, 1 + i, 3));
  for (int64_t i = 0; i < vectors; ++i) vectorValues.push_back(vectorOf(N, 11 + i));
  for (const Floats &values : rowValues) draft.add(values);
  for (const Floats &values : vectorValues) draft.add(values);
  reference::Epilogue epilogue = epilogueOf(kernel);
  std::vector<double> expected;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < N; ++i) {
      std::vector<double> arguments;
      for (const Floats &values : rowValues) arguments.push_back(values[row * ld + i]);
      for (const Floats &values : vectorValues) arguments.push_back(values[i]);
      expected.push_back(epilogue.run(arguments));
    }
  draft.expect(draft.addResult(), expected, kRowBound);
  return draft;
}

} // namespace llmc::golden
