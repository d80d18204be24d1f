// embed, norm, rope_table, rope and map against the oracle.
#include "codegen/reference/Oracle.h"
#include "codegen/schemes/Scheme.h"
#include "test/conformance/KernelHarness.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace llmc::conformance {
namespace {

using Scalars = std::vector<int64_t>;

TEST(RowKernels, EmbedFindsRowsInEveryLayout) {
  for (const std::string &device : devices())
    for (auto [scheme, element] : {std::pair{"none", "f32"}, {"none", "bf16"}, {"none", "f16"}, {"q8_g32", "f32"},
                                   {"q4_g32", "f32"}, {"q4_g128", "f32"}, {"q4a_g32", "f32"}}) {
      int64_t n = 5, V = 37, K = 172;
      std::vector<float> table = randomFloats(V * K, 1);
      const Kernel *kernel = kernelIfTaken(std::string("exec.kernel @k \"embed\" {scheme = \"") + scheme +
                                          "\", element = \"" + element + "\", scale = 2.0 : f64, positions = false}",
                                            device);
      if (!kernel) continue;
      const Scheme *s = findScheme(scheme);
      std::vector<char> packed = packRows(scheme, element, table, V, K), out(n * K * 4);
      std::vector<int32_t> ids = {0, 36, 17, 16, 31};
      std::vector<char> idBytes = bytesOf(ids);
      kernel->run({&idBytes, &packed, &out}, {n, K, V, ceilDiv(V, 16), s ? s->chunks(K) : K, K}, Guard::Start, 2);
      std::vector<double> rounded = reference::roundWeight(scheme, elementOf(element), table, V, K), expected;
      for (int32_t id : ids)
        for (int64_t i = 0; i < K; ++i) expected.push_back(2 * rounded[id * K + i]);
      EXPECT_LT(relativeError(valuesOf<float>(out), expected), 1e-6) << scheme << " " << element << " on " << device;
    }
}

// Parts of a table write the tokens that are theirs and no others: together they have the bits of the whole.
TEST(RowKernels, EmbedByParts) {
  for (const std::string &tier : runnableTiers())
    for (const char *scheme : {"none", "q4_g32"}) {
      int64_t n = 6, V = 70, K = 48, first = 32;
      std::string text = std::string("exec.kernel @k \"embed\" {scheme = \"") + scheme +
                         "\", element = \"f32\", scale = 2.0 : f64, positions = false";
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
  for (const std::string &device : devices()) {
    int64_t n = 3, V = 20, K = 48, P = 11;
    std::vector<float> table = randomFloats(V * K, 1), positions = randomFloats(P * K, 2);
    const Kernel *kernel = kernelIfTaken("exec.kernel @k \"embed\" {scheme = \"none\", element = \"f32\", scale = 1.0 : "
                                        "f64, positions = true}",
                                          device);
    if (!kernel) continue;
    std::vector<char> t = packRows("none", "f32", table, V, K), p = packRows("none", "f32", positions, P, K);
    std::vector<char> ids = bytesOf(std::vector<int32_t>{3, 19, 0}), at = bytesOf(std::vector<int32_t>{10, 0, 5});
    std::vector<char> out(n * K * 4);
    kernel->run({&ids, &t, &at, &p, &out}, {n, K, V, 2, K, K, P, 1});
    std::vector<double> expected;
    for (auto [id, position] : {std::pair{3, 10}, {19, 0}, {0, 5}})
      for (int64_t i = 0; i < K; ++i) expected.push_back(double(table[id * K + i]) + positions[position * K + i]);
    EXPECT_LT(relativeError(valuesOf<float>(out), expected), 1e-6) << device;
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
    const Kernel *kernel = kernelIfTaken("exec.kernel @k \"norm\" {kind = \"none\", epsilon = 0.0 : f64, bias = false, "
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

TEST(RowKernels, RopeTablesAreExactToFloat) {
  for (const std::string &device : devices()) {
    int64_t n = 5, half = 20, pad = 32;
    std::vector<int32_t> positions = {0, 1, 77, 4095, 131071};
    reference::RopeSpec spec;
    spec.dim = 2 * half;
    std::vector<float> frequencies = reference::ropeFrequencies(spec, 0);
    frequencies.resize(pad);
    const Kernel *kernel = kernelIfTaken("exec.kernel @k \"rope_table\" {scaling = \"static\", attention_factor = 1.0 : f64}",
                                          device);
    if (!kernel) continue;
    std::vector<char> at = bytesOf(positions), f = bytesOf(frequencies), out(n * pad * 8);
    kernel->run({&at, &f, &out}, {n, half, pad, 1});
    std::vector<float> table = valuesOf<float>(out);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t i = 0; i < half; ++i) {
        double angle = float(positions[row]) * frequencies[i];
        EXPECT_NEAR(table[row * 2 * pad + i], std::cos(angle), 7e-8) << "position " << positions[row] << " " << i;
        EXPECT_NEAR(table[row * 2 * pad + pad + i], std::sin(angle), 7e-8) << "position " << positions[row];
      }
  }
}

TEST(RowKernels, DynamicRopeFollowsTheLength) {
  for (const std::string &device : devices()) {
    int64_t half = 8, pad = 16;
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
      std::vector<char> at = bytesOf(std::vector<int32_t>{40}), sequence = bytesOf(std::vector<int32_t>{0});
      std::vector<char> lengths = bytesOf(std::vector<int32_t>{length}), out(pad * 8);
      kernel->run({&at, &sequence, &lengths, &out}, {1, half, pad, 1});
      std::vector<float> frequencies = reference::ropeFrequencies(spec, length), table = valuesOf<float>(out);
      for (int64_t i = 0; i < half; ++i)
        EXPECT_NEAR(table[i], std::cos(40.0 * frequencies[i]), 1e-5) << "length " << length << " on " << device;
    }
  }
}

TEST(RowKernels, RopeTurnsHeads) {
  for (const std::string &device : devices())
    for (bool interleaved : {false, true})
      for (int64_t dim : {8, 20}) { // of a head of 20: partial rotation
        int64_t n = 3, heads = 2, headDim = 20, half = dim / 2, pad = 16, ld = 50;
        std::vector<int32_t> positions = {0, 5, 33};
        reference::RopeSpec spec;
        spec.dim = dim;
        spec.interleaved = interleaved;
        std::vector<float> frequencies = reference::ropeFrequencies(spec, 0), table(n * 2 * pad);
        for (int64_t row = 0; row < n; ++row)
          for (int64_t i = 0; i < half; ++i) {
            table[row * 2 * pad + i] = float(std::cos(double(float(positions[row]) * frequencies[i])));
            table[row * 2 * pad + pad + i] = float(std::sin(double(float(positions[row]) * frequencies[i])));
          }
        std::vector<float> x = randomFloats(n * ld, 4);
        const Kernel *kernel = kernelIfTaken(std::string("exec.kernel @k \"rope\" {kind = \"") +
                                            (interleaved ? "interleaved" : "half") + "\", norm = \"none\"}",
                                              device);
        if (!kernel) continue;
        std::vector<char> in = bytesOf(x), tableBytes = bytesOf(table), out = in;
        kernel->run({&in, &tableBytes, &out}, {n, heads, headDim, half, pad, ld, ld}, Guard::End, 2);
        std::vector<double> rows, actualRows;
        std::vector<float> result = valuesOf<float>(out), actual;
        for (int64_t i = 0; i < n; ++i) {
          rows.insert(rows.end(), x.begin() + i * ld, x.begin() + i * ld + heads * headDim);
          actual.insert(actual.end(), result.begin() + i * ld, result.begin() + i * ld + heads * headDim);
        }
        std::vector<int64_t> at(positions.begin(), positions.end());
        EXPECT_LT(relativeError(actual, reference::rope(spec, frequencies, rows, at, heads, headDim)), 1e-6) << device;
      }
}

TEST(RowKernels, ActivationsAgree) {
  using reference::Activation;
  for (const std::string &device : devices())
    for (auto [name, kind] : {std::pair{"silu", Activation::Silu}, {"gelu", Activation::Gelu},
                              {"gelu_tanh", Activation::GeluTanh}, {"quick_gelu", Activation::QuickGelu},
                              {"relu", Activation::Relu}, {"relu2", Activation::Relu2}, {"tanh", Activation::Tanh},
                              {"sigmoid", Activation::Sigmoid}}) {
      int64_t N = 4001;
      std::vector<float> x(N);
      for (int64_t i = 0; i < N; ++i) x[i] = float(i - 2000) / 80;
      x[0] = -1000, x[4000] = 1000;
      const Kernel *kernel = kernelIfTaken(std::string("exec.kernel @k \"map\" {rows = 1 : i64, vectors = 0 : i64} epilogue (%x: "
                                          "f32) { %y = llm.scalar_activation ") + name + " %x\n llm.yield %y }",
                                            device);
      if (!kernel) continue;
      std::vector<char> in = bytesOf(x), out(N * 4);
      kernel->run({&in, &out}, {1, N, ceilDiv(N, 16), N, N});
      std::vector<float> y = valuesOf<float>(out);
      for (int64_t i = 0; i < N; ++i) {
        double expected = reference::activation(kind, x[i]);
        EXPECT_NEAR(y[i], expected, 3e-7 * std::max(1.0, std::abs(expected))) << name << "(" << x[i] << ") on " << device;
      }
    }
}

} // namespace
} // namespace llmc::conformance
