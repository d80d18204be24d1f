// embed, norm, rope_table, rope and map against the oracle.
#include "codegen/reference/Oracle.h"
#include "codegen/schemes/Scheme.h"
#include "test/conformance/KernelHarness.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace llmc::conformance {
namespace {

using Scalars = std::vector<int64_t>;

constexpr std::pair<const char *, const char *> kTables[] = {
    {"none", "f32"}, {"none", "bf16"}, {"none", "f16"}, {"q8_g32", "f32"}, {"q4_g32", "f32"}, {"q4_g128", "f32"}, {"q4a_g32", "f32"}};

TEST(RowKernels, EmbedFindsRowsInEveryLayout) {
  for (const std::string &device : devices())
    for (auto [scheme, element] : kTables) {
      int64_t n = 5, V = 37, K = 172;
      const Kernel *kernel = kernelIfTaken(std::string("exec.kernel @k \"embed\" {scheme = \"") + scheme +
                                          "\", element = \"" + element + "\", scale = 2.0 : f64, positions = false}",
                                            device);
      if (!kernel) continue;
      const Scheme *s = findScheme(scheme);
      for (float largest : {1.0f, 5e-5f}) { // of f16, also of scales, the second are denormal
        std::vector<float> table = randomFloats(V * K, 1, largest);
        std::vector<char> packed = packRows(scheme, element, table, V, K), out(n * K * 4);
        std::vector<int32_t> ids = {0, 36, 17, 16, 31};
        std::vector<char> idBytes = bytesOf(ids);
        kernel->run({&idBytes, &packed, &out}, {n, K, V, ceilDiv(V, 16), s ? s->chunks(K) : K, K}, Guard::Start, 2);
        std::vector<double> rounded = reference::roundWeight(scheme, elementOf(element), table, V, K), expected;
        for (int32_t id : ids)
          for (int64_t i = 0; i < K; ++i) expected.push_back(2 * rounded[id * K + i]);
        EXPECT_LT(relativeError(valuesOf<float>(out), expected), 1e-6)
            << scheme << " " << element << " up to " << largest << " on " << device;
      }
    }
}

// What is not a number stays what it is.
TEST(RowKernels, EmbedKeepsInfinities) {
  for (const std::string &device : devices())
    for (const char *element : {"f16", "bf16"}) {
      int64_t V = 16, K = 20;
      const Kernel *kernel = kernelIfTaken(std::string("exec.kernel @k \"embed\" {scheme = \"none\", element = \"") + element +
                                               "\", scale = 2.0 : f64, positions = false}",
                                           device);
      if (!kernel) continue;
      std::vector<float> table(V * K, 1);
      std::vector<char> packed = packRows("none", element, table, V, K), id = bytesOf(std::vector<int32_t>{3}), out(K * 4);
      bool f16 = element == std::string("f16");
      for (auto [column, bits] : {std::pair{4, f16 ? 0x7c00 : 0x7f80}, {5, f16 ? 0xfc00 : 0xff80}, {6, f16 ? 0x7e01 : 0x7fc1}})
        std::memcpy(packed.data() + (column * 16 + 3) * 2, &bits, 2);
      kernel->run({&id, &packed, &out}, {1, K, V, 1, K, K});
      std::vector<float> values = valuesOf<float>(out);
      EXPECT_EQ(values[3], 2) << device;
      EXPECT_EQ(values[4], INFINITY) << device;
      EXPECT_EQ(values[5], -INFINITY) << device;
      EXPECT_TRUE(std::isnan(values[6])) << device;
    }
}

// Parts of a table write the tokens that are theirs and no others: together they have the bits of the whole.
TEST(RowKernels, EmbedByParts) {
  for (const std::string &tier : runnableTiers())
    for (const char *scheme : {"none", "q4_g32"}) {
      int64_t n = 6, V = 70, K = 48, first = 32;
      std::string text = std::string("exec.kernel @k \"embed\" {scheme = \"") + scheme +
                         "\", element = \"f32\", scale = 2.0 : f64, positions = false";
      if (!takes(tier, {text + "}", text + ", part = true}"})) continue;
      const Kernel &whole = cachedKernel(text + "}", tier), &part = cachedKernel(text + ", part = true}", tier);
      std::vector<char> packed = packRows(scheme, "f32", randomFloats(V * K, 1), V, K);
      std::vector<char> ids = bytesOf(std::vector<int32_t>{0, 31, 32, 69, 33, 1});
      const Scheme *s = findScheme(scheme);
      int64_t chunks = s ? s->chunks(K) : K, blockBytes = int64_t(packed.size()) / ceilDiv(V, 16);
      std::vector<char> expected(n * K * 4), out(n * K * 4);
      whole.run({&ids, &packed, &expected}, {n, K, V, ceilDiv(V, 16), chunks, K});
      std::vector<char> head(packed.begin(), packed.begin() + 2 * blockBytes), tail(packed.begin() + 2 * blockBytes, packed.end());
      part.run({&ids, &head, &out}, {n, K, V, 2, chunks, K, 0, first}, Guard::Start, 2);
      std::vector<float> half = valuesOf<float>(out);
      EXPECT_TRUE(std::all_of(half.begin() + 2 * K, half.begin() + 5 * K, [](float x) { return x == 0; })) << tier;
      part.run({&ids, &tail, &out}, {n, K, V, 3, chunks, K, first, V - first}, Guard::End, 2);
      EXPECT_EQ(out, expected) << scheme << " on " << tier;
    }
}

TEST(RowKernels, EmbedAddsPositions) {
  for (const std::string &device : devices())
    for (auto [scheme, element] : kTables) {
      int64_t n = 3, V = 20, K = 172, P = 18, ld = K + 3;
      std::vector<float> table = randomFloats(V * K, 1), positions = randomFloats(P * K, 2);
      const Kernel *kernel = kernelIfTaken(std::string("exec.kernel @k \"embed\" {scheme = \"") + scheme +
                                               "\", element = \"" + element + "\", scale = 2.0 : f64, positions = true}",
                                           device);
      if (!kernel) continue;
      const Scheme *s = findScheme(scheme);
      std::vector<char> t = packRows(scheme, element, table, V, K), p = packRows("none", "f32", positions, P, K);
      std::vector<char> ids = bytesOf(std::vector<int32_t>{3, 19, 0}), at = bytesOf(std::vector<int32_t>{17, 0, 5});
      std::vector<char> out(n * ld * 4);
      kernel->run({&ids, &t, &at, &p, &out}, {n, K, V, 2, s ? s->chunks(K) : K, ld, P, 2});
      std::vector<double> rounded = reference::roundWeight(scheme, elementOf(element), table, V, K), expected;
      std::vector<float> rows = valuesOf<float>(out), actual;
      for (auto [id, position] : {std::pair{3, 17}, {19, 0}, {0, 5}})
        for (int64_t i = 0; i < K; ++i) expected.push_back(2 * rounded[id * K + i] + positions[position * K + i]);
      for (int64_t row = 0; row < n; ++row) actual.insert(actual.end(), rows.begin() + row * ld, rows.begin() + row * ld + K);
      EXPECT_LT(relativeError(actual, expected), 1e-6) << scheme << " " << element << " on " << device;
    }
}

TEST(RowKernels, NormsAgree) {
  for (const std::string &device : devices())
    for (bool layer : {false, true})
      for (int64_t K : {8, 48, 172, 2880}) {
        int64_t n = 3, ld = K + 5, Kv = ceilDiv(K, 16);
        std::vector<float> x = randomFloats(n * ld, 1), w = randomFloats(Kv * 16, 2), b = randomFloats(Kv * 16, 3);
        for (int64_t i = K; i < Kv * 16; ++i) w[i] = b[i] = 0;
        const Kernel *kernel = kernelIfTaken(std::string("exec.kernel @k \"norm\" {kind = \"") + (layer ? "layer" : "rms") +
                                            "\", epsilon = 1.0e-5 : f64, bias = " + (layer ? "true" : "false") +
                                            ", gather = false, out = \"f32\"}",
                                              device);
        if (!kernel) continue;
        std::vector<char> in = bytesOf(x), weight = bytesOf(w), bias = bytesOf(b), out(n * K * 4);
        std::vector<std::vector<char> *> operands = {&in, &weight};
        if (layer) operands.push_back(&bias);
        operands.push_back(&out);
        kernel->run(operands, {n, K, Kv, ld, K, n}, K == 48 ? Guard::Start : Guard::End, 1);
        std::vector<double> rows;
        for (int64_t i = 0; i < n; ++i) rows.insert(rows.end(), x.begin() + i * ld, x.begin() + i * ld + K);
        std::vector<double> wd(w.begin(), w.begin() + K), bd(b.begin(), b.begin() + K);
        auto expected = reference::norm(layer ? reference::Norm::Layer : reference::Norm::Rms, rows, K, K, wd,
                                        layer ? bd : std::vector<double>(), 1e-5);
        EXPECT_LT(relativeError(valuesOf<float>(out), expected), 2e-6) << "K " << K << " on " << device;
      }
}

TEST(RowKernels, NormGathersRows) {
  for (const std::string &device : devices()) {
    int64_t n = 2, T = 4, K = 20;
    std::vector<float> x = randomFloats(T * K, 1);
    const Kernel *kernel = kernelIfTaken("exec.kernel @k \"norm\" {kind = \"none\", epsilon = 1.0e-5 : f64, bias = false, "
                                        "gather = true, out = \"f32\"}",
                                          device);
    if (!kernel) continue;
    std::vector<char> in = bytesOf(x), rows = bytesOf(std::vector<int32_t>{3, 1}), out(n * K * 4);
    kernel->run({&in, &rows, &out}, {n, K, 2, K, K, T});
    std::vector<float> expected(x.begin() + 3 * K, x.end());
    expected.insert(expected.end(), x.begin() + K, x.begin() + 2 * K);
    EXPECT_EQ(valuesOf<float>(out), expected) << device;
  }
}

std::string normText(const std::string &kind, bool bias, bool gather, const std::string &out) {
  return "exec.kernel @k \"norm\" {kind = \"" + kind + "\", epsilon = 1.0e-5 : f64, bias = " + (bias ? "true" : "false") +
         ", gather = " + (gather ? "true" : "false") + ", out = \"" + out + "\"" +
         (out == "int8" ? ", scheme = \"q4_g32\"}" : "}");
}

// A norm that rounds its rows, next to the norm and the rounding by themselves.
struct RoundingNorm {
  std::string kind, out;
  bool biased, gather;

  std::string both() const { return normText(kind, biased, gather, out); }
  std::string norm() const { return normText(kind, biased, gather, "f32"); }
  std::string rounding() const { return normText("none", false, false, out); }
};

// Of tiles of rows and of runs of columns.
void expectSteps(const RoundingNorm &c, int64_t K, const std::string &device) {
  int64_t n = 19, ld = K + 5, T = n + 2, Kv = ceilDiv(K, 16);
  std::vector<float> x = randomFloats(T * ld, 1), w = randomFloats(Kv * 16, 2), b = randomFloats(Kv * 16, 3);
  for (int64_t i = K; i < Kv * 16; ++i) w[i] = b[i] = 0;
  // What stays as it is although it is normed. Of bf16: halfway to an even number below and above, the least that is not
  // zero and one that is.
  const float kept[] = {1.00390625f, 1.01171875f, 0x1p-100f, 0x1.fffffep-101f};
  for (int64_t i = 0; i < 16 && (c.biased || c.kind == "none"); ++i) {
    if (c.kind == "none") x[3 * ld + i] = kept[i % 4];
    else w[i] = 0, b[i] = kept[i % 4];
  }
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < n; ++i) rows.push_back(int32_t((5 * i + 3) % T));
  std::vector<char> in = bytesOf(x), weight = bytesOf(w), bias = bytesOf(b), taken = bytesOf(rows), normed(n * K * 4);
  const Scheme *scheme = c.out == "int8" ? findScheme("q4_g32") : nullptr;
  int64_t unit = scheme ? scheme->columns_per_chunk() : 32, chunks = ceilDiv(K, unit);
  Scalars scalars{n, K, Kv, ld, chunks, c.gather ? T : n, ceilDiv(chunks * unit, 128)};
  std::vector<std::vector<char> *> operands{&in};
  if (c.gather) operands.push_back(&taken);
  if (c.kind != "none") operands.push_back(&weight);
  if (c.biased) operands.push_back(&bias);
  auto run = [&](const std::string &text, std::vector<std::vector<char> *> inputs, const Scalars &own, Guard guard,
                 int64_t piece) {
    const Kernel &kernel = cachedKernel(text, device);
    std::vector<std::vector<char>> results;
    for (int i = 0; i < (scheme ? 3 : 1); ++i)
      results.push_back(std::vector<char>(size_t(kernel.extent(int(inputs.size()) + i, own)), char(0x55)));
    for (auto &result : results) inputs.push_back(&result);
    kernel.run(inputs, own, guard, piece);
    return results;
  };
  std::vector<std::vector<char> *> normOperands = operands;
  normOperands.push_back(&normed);
  cachedKernel(c.norm(), device).run(normOperands, {n, K, Kv, ld, K, scalars[5]});
  Scalars after = scalars;
  after[3] = K, after[5] = n;
  auto apart = run(c.rounding(), {&normed}, after, Guard::End, INT64_MAX);
  EXPECT_EQ(run(c.both(), operands, scalars, Guard::End, INT64_MAX), apart) << c.both() << " K " << K << " on " << device;
  EXPECT_EQ(run(c.both(), operands, scalars, Guard::Start, 4), apart) << c.both() << " K " << K << " on " << device;
}

TEST(RowKernels, NormsThatRoundHaveTheBitsOfBothAfterEachOther) {
  for (const std::string &device : devices())
    for (const char *out : {"int8", "bf16"})
      for (auto [kind, biased] : {std::pair{"rms", false}, {"layer", true}, {"layer", false}, {"none", false}})
        for (bool gather : {false, true}) {
          RoundingNorm c{kind, out, biased, gather};
          if (!takes(device, {c.both(), c.norm(), c.rounding()})) continue;
          expectSteps(c, 300, device);
          if (findDevice(device).backend) continue;
          // The last columns in each of the eight vectors of a run, which a CPU has code of its own for.
          for (int64_t K = 133; K < 256; K += 16) expectSteps(c, K, device);
        }
}

TEST(RowKernels, RopeTablesAreExactToFloat) {
  for (const std::string &device : devices())
    for (double factor : {1.0, 1.25}) {
      int64_t n = 5, half = 20, pad = 32;
      std::vector<int32_t> positions = {0, 1, 77, 4095, 131071};
      reference::RopeSpec spec;
      spec.dim = 2 * half;
      std::vector<float> frequencies = reference::ropeFrequencies(spec, 0);
      frequencies.resize(pad);
      const Kernel *kernel = kernelIfTaken("exec.kernel @k \"rope_table\" {scaling = \"static\", attention_factor = " +
                                               std::to_string(factor) + " : f64}",
                                           device);
      if (!kernel) continue;
      std::vector<char> at = bytesOf(positions), f = bytesOf(frequencies), out(n * pad * 8);
      kernel->run({&at, &f, &out}, {n, half, pad, 1}, Guard::End, 2);
      std::vector<float> table = valuesOf<float>(out);
      double bound = factor == 1 ? 7e-8 : 1.6e-7; // the product is rounded too
      for (int64_t row = 0; row < n; ++row)
        for (int64_t i = 0; i < half; ++i) {
          double angle = float(positions[row]) * frequencies[i];
          EXPECT_NEAR(table[row * 2 * pad + i], factor * std::cos(angle), bound) << "position " << positions[row] << " " << i;
          EXPECT_NEAR(table[row * 2 * pad + pad + i], factor * std::sin(angle), bound) << "position " << positions[row];
        }
    }
}

TEST(RowKernels, DynamicRopeFollowsTheLength) {
  for (const std::string &device : devices()) {
    int64_t n = 3, half = 8, pad = 16;
    reference::RopeSpec spec;
    spec.dim = 2 * half;
    spec.scaling = "dynamic";
    spec.factor = 2;
    spec.original = 32;
    const Kernel *kernel = kernelIfTaken("exec.kernel @k \"rope_table\" {scaling = \"dynamic\", factor = 2.0 : f64, "
                                        "attention_factor = 1.0 : f64, base = 10000.0 : f64, dim = 16 : i64, original = 32 : i64}",
                                          device);
    if (!kernel) continue;
    for (int32_t length : {5, 33, 200}) {
      std::vector<int32_t> positions = {40, 3, 90}, of = {0, 1, 0}, lengths = {length, 20};
      std::vector<char> at = bytesOf(positions), sequence = bytesOf(of), lengthBytes = bytesOf(lengths), out(n * pad * 8);
      kernel->run({&at, &sequence, &lengthBytes, &out}, {n, half, pad, 2}, Guard::Start, 2);
      std::vector<float> table = valuesOf<float>(out);
      for (int64_t row = 0; row < n; ++row) {
        std::vector<float> frequencies = reference::ropeFrequencies(spec, lengths[of[row]]);
        for (int64_t i = 0; i < half; ++i) {
          double angle = float(positions[row]) * frequencies[i];
          double bound = std::min(1e-5, 7e-8 + 0x1p-22 * angle); // the last bits of a frequency and of the product
          EXPECT_NEAR(table[row * 2 * pad + i], std::cos(angle), bound) << "length " << length << " on " << device;
          EXPECT_NEAR(table[row * 2 * pad + pad + i], std::sin(angle), bound) << "length " << length << " on " << device;
        }
      }
    }
  }
}

struct RopeCase {
  std::string kind; // none, half, interleaved
  bool norm;
  int64_t headDim, dim; // of a head dim columns turn

  std::string text() const {
    return "exec.kernel @k \"rope\" {kind = \"" + kind + "\", norm = \"" + (norm ? "rms" : "none") + "\", epsilon = 1.0e-6 : f64}";
  }
};

void expectTurned(const RopeCase &c, const std::string &device) {
  int64_t n = 3, heads = 2, half = c.dim / 2, pad = ceilDiv(half, 16) * 16, width = heads * c.headDim, ld = width + 10;
  std::vector<int64_t> positions = {0, 5, 33};
  reference::RopeSpec spec;
  spec.dim = c.dim;
  spec.interleaved = c.kind == "interleaved";
  std::vector<float> frequencies = reference::ropeFrequencies(spec, 0), table(n * 2 * pad);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < half; ++i) {
      double angle = float(positions[row]) * frequencies[i];
      table[row * 2 * pad + i] = float(std::cos(angle));
      table[row * 2 * pad + pad + i] = float(std::sin(angle));
    }
  std::vector<float> x = randomFloats(n * ld, 4), weight = randomFloats(c.headDim, 5), result, actual;
  std::vector<char> in = bytesOf(x), tableBytes = bytesOf(table), weightBytes = bytesOf(weight), out = in;
  std::vector<std::vector<char> *> operands{&in};
  if (c.kind != "none") operands.push_back(&tableBytes);
  if (c.norm) operands.push_back(&weightBytes);
  operands.push_back(&out);
  cachedKernel(c.text(), device).run(operands, {n, heads, c.headDim, half, pad, ld, ld}, Guard::End, 2);
  result = valuesOf<float>(out);
  std::vector<double> rows;
  for (int64_t i = 0; i < n; ++i) {
    rows.insert(rows.end(), x.begin() + i * ld, x.begin() + i * ld + width);
    actual.insert(actual.end(), result.begin() + i * ld, result.begin() + i * ld + width);
  }
  if (c.norm) rows = reference::norm(reference::Norm::Rms, rows, width, c.headDim, toDouble(weight), {}, 1e-6);
  if (c.kind != "none") rows = reference::rope(spec, frequencies, rows, positions, heads, c.headDim);
  EXPECT_LT(relativeError(actual, rows), c.norm ? 2e-6 : 1e-6) << c.text() << " on " << device;
}

TEST(RowKernels, RopeTurnsHeads) {
  for (const std::string &device : devices())
    for (const char *kind : {"none", "half", "interleaved"})
      for (bool norm : {false, true})
        for (auto [headDim, dim] : {std::pair<int64_t, int64_t>{20, 8}, {20, 20}, {80, 72}}) { // all of a head, and part
          RopeCase c{kind, norm, headDim, dim};
          if (takes(device, {c.text()})) expectTurned(c, device);
        }
}

// From -85 to 85, closest together at zero. Where no small difference is multiplied, a small value is as exact as a large.
TEST(RowKernels, ActivationsAgree) {
  using reference::Activation;
  struct Row {
    const char *name;
    Activation kind;
    bool relative = true;
  };
  for (const std::string &device : devices())
    for (const Row &row : {Row{"silu", Activation::Silu}, {"gelu", Activation::Gelu, false},
                           {"gelu_tanh", Activation::GeluTanh, false}, {"quick_gelu", Activation::QuickGelu, false},
                           {"relu", Activation::Relu}, {"relu2", Activation::Relu2}, {"tanh", Activation::Tanh},
                           {"sigmoid", Activation::Sigmoid}}) {
      int64_t n = 3, N = 1339, ldIn = N + 5, ldOut = N + 2; // 11 columns beyond whole vectors
      std::vector<float> x(n * ldIn);
      for (int64_t i = 0; i < n * N; ++i) {
        float place = float(2 * i - n * N) / float(n * N);
        x[i / N * ldIn + i % N] = 85 * place * std::abs(place);
      }
      x[0] = -1000, x[(n - 1) * ldIn + N - 1] = 1000;
      const Kernel *kernel = kernelIfTaken(std::string("exec.kernel @k \"map\" {rows = 1 : i64, vectors = 0 : i64} epilogue (%x: "
                                          "f32) { %y = llm.scalar_activation ") + row.name + " %x\n llm.yield %y }",
                                            device);
      if (!kernel) continue;
      std::vector<char> in = bytesOf(x), out(n * ldOut * 4, char(0x55));
      kernel->run({&in, &out}, {n, N, ceilDiv(N, 16), ldOut, ldIn});
      std::vector<float> y = valuesOf<float>(out);
      for (int64_t i = 0; i < n * N; ++i) {
        float at = x[i / N * ldIn + i % N], value = y[i / N * ldOut + i % N];
        double expected = reference::activation(row.kind, at), size = std::abs(expected);
        double bound = row.relative ? std::max(4e-7 * size, 1e-37) : 3e-7 * std::max(1.0, size);
        EXPECT_NEAR(value, expected, bound) << row.name << "(" << at << ") on " << device;
      }
    }
}

TEST(RowKernels, MapTakesRowsAndVectors) {
  for (const std::string &device : devices()) {
    int64_t n = 3, N = 75, ldX = N + 5, ldY = N + 9, ldOut = N + 2;
    const Kernel *kernel = kernelIfTaken("exec.kernel @k \"map\" {rows = 2 : i64, vectors = 1 : i64} epilogue (%x: f32, %y: f32, "
                                        "%v: f32) {\n %a = arith.mulf %x, %y : f32\n %b = llm.scalar_activation gelu %a\n %c = "
                                        "arith.addf %b, %v : f32\n llm.yield %c }",
                                          device);
    if (!kernel) continue;
    std::vector<float> x = randomFloats(n * ldX, 1, 2), y = randomFloats(n * ldY, 2, 2), v = randomFloats(ceilDiv(N, 16) * 16, 3);
    std::vector<char> xBytes = bytesOf(x), yBytes = bytesOf(y), vBytes = bytesOf(v), out(n * ldOut * 4);
    kernel->run({&xBytes, &yBytes, &vBytes, &out}, {n, N, ceilDiv(N, 16), ldOut, ldX, ldY}, Guard::Start, 2);
    std::vector<float> result = valuesOf<float>(out);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t i = 0; i < N; ++i) {
        float product = x[row * ldX + i] * y[row * ldY + i];
        double expected = reference::activation(reference::Activation::Gelu, product) + v[i];
        EXPECT_NEAR(result[row * ldOut + i], expected, 4e-7 * std::max(1.0, std::abs(expected))) << device;
      }
  }
}

} // namespace
} // namespace llmc::conformance
