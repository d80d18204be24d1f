// linear and the norm kernels that round its input, in every scheme, against the oracle and bit for bit between row
// counts, pieces and tiers.
#include "codegen/golden/Operands.h"
#include "codegen/reference/Oracle.h"
#include "codegen/schemes/Scheme.h"
#include "test/conformance/KernelHarness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

namespace llmc::conformance {
namespace {

enum class After { Residual, Bias, Nothing, Gate }; // Residual: a bias and rows are added

struct Case {
  std::string scheme, element = "f32", activations = "float";
  int64_t K, N;
  After after = After::Residual;
  float addends = 1; // up to that

  bool gated() const { return after == After::Gate; }
  bool addsRows() const { return after == After::Residual; }
  bool addsBias() const { return after == After::Residual || after == After::Bias; }
};

const std::string kGate = " epilogue (%g: f32, %u: f32) {\n %s = llm.scalar_activation silu %g\n %v = arith.mulf %s, %u : f32\n "
                          "llm.yield %v }";
const std::string kGateAlone = "exec.kernel @k \"map\" {rows = 2 : i64, vectors = 0 : i64}" + kGate;

std::string linearText(const Case &c) {
  static const std::map<After, std::string> kEpilogues = {
      {After::Residual, " epilogue (%a: f32, %r: f32, %b: f32) {\n %s = arith.addf %a, %b : f32\n %v = arith.addf %s, %r : "
                        "f32\n llm.yield %v }"},
      {After::Bias, " epilogue (%a: f32, %b: f32) {\n %s = arith.addf %a, %b : f32\n llm.yield %s }"},
      {After::Nothing, ""},
      {After::Gate, kGate}};
  return "exec.kernel @k \"linear\" {scheme = \"" + c.scheme + "\", element = \"" + c.element + "\", activations = \"" +
         c.activations + "\", gated = " + (c.gated() ? "true" : "false") + ", rows = " + (c.addsRows() ? "1" : "0") +
         ", vectors = " + (c.addsBias() ? "1" : "0") + "}" + kEpilogues.at(c.after);
}

// The norm kernel that rounds the input of such a linear.
std::string roundingText(const Case &c) {
  std::string scheme = c.activations == "int8" ? ", scheme = \"" + c.scheme + "\"" : "";
  return "exec.kernel @k \"norm\" {kind = \"none\", epsilon = 1.0e-5 : f64, bias = false, gather = false, out = \"" +
         c.activations + "\"" + scheme + "}";
}

// The device has the linear, and the kernel that rounds its input.
bool takesLinear(const Case &c, const std::string &device) {
  return c.activations == "float" ? takes(device, {linearText(c)})
                                  : takes(device, {linearText(c), roundingText(c)});
}

// A weight [blocks x 16, K], packed and as the kernel understands it.
struct PackedWeight {
  std::vector<char> bytes;
  std::vector<double> values;
};

PackedWeight packWeight(const Case &c, int64_t rows, uint32_t seed, float largest = 1) {
  std::vector<float> weight = randomFloats(rows * c.K, seed, largest);
  PackedWeight packed;
  packed.bytes = packRows(c.scheme, c.element, weight, rows, c.K);
  packed.values = reference::roundWeight(c.scheme, elementOf(c.element), weight, rows, c.K);
  return packed;
}

// The three int8 buffers of `x`, made by the norm kernel.
struct Int8Input {
  std::vector<char> q, corr, scale;
};

Int8Input quantize(const Case &c, const std::vector<float> &x, int64_t n, const std::string &device, Guard guard,
                   int64_t piece) {
  const Scheme &scheme = *findScheme(c.scheme);
  const Kernel &kernel = cachedKernel(roundingText(c), device);
  int64_t chunks = scheme.chunks(c.K), kp = chunks * scheme.columns_per_chunk(), scales = ceilDiv(kp, 128);
  Int8Input out;
  out.q.resize(n * kp);
  out.corr.resize(n * chunks * 8);
  out.scale.resize(n * scales * 4);
  std::vector<char> input = bytesOf(x);
  kernel.run({&input, &out.q, &out.corr, &out.scale}, {n, c.K, ceilDiv(c.K, 16), c.K, chunks, n, scales}, guard, piece);
  return out;
}

// Columns that the scalar C of a linear on bf16 inputs counts.
int64_t bf16Chunk(const Case &c) {
  const Scheme *scheme = findScheme(c.scheme);
  return scheme ? scheme->columns_per_chunk() : 32;
}

// The bf16 buffer of `x`, made by the norm kernel; f32 on tiers that multiply in f32.
std::vector<char> roundToBf16(const Case &c, const std::vector<float> &x, int64_t n, const std::string &device, Guard guard,
                              int64_t piece) {
  const Kernel &kernel = cachedKernel(roundingText(c), device);
  int64_t kp = ceilDiv(c.K, bf16Chunk(c)) * bf16Chunk(c);
  std::vector<int64_t> scalars = {n, c.K, ceilDiv(c.K, 16), c.K, kp / 32, n, ceilDiv(kp, 128)};
  std::vector<char> input = bytesOf(x), out(kernel.extent(1, scalars));
  kernel.run({&input, &out}, scalars, guard, piece);
  return out;
}

// What is added to a linear. Rows lie apart; those of fewer rows are the first of those of more.
struct Addends {
  int64_t ld;
  std::vector<float> bias, rows;

  Addends(const Case &c, int64_t n)
      : ld(c.N + 10), bias(randomFloats(ceilDiv(c.N, 16) * 16, 7, c.addends)), rows(randomFloats(n * ld, 8, c.addends)) {}
};

std::vector<float> runLinear(const Case &c, const PackedWeight &weight, const std::vector<float> &x, int64_t n,
                             const std::string &device, Guard guard = Guard::End, int64_t piece = INT64_MAX) {
  const Scheme *scheme = findScheme(c.scheme);
  int64_t chunks = scheme ? scheme->chunks(c.K) : c.K;
  std::vector<char> out(n * c.N * 4), bytes = weight.bytes, input = bytesOf(x);
  std::vector<int64_t> scalars = {n, c.K, c.N, ceilDiv(c.N, 16), chunks, c.K, c.N};
  Addends addends(c, n);
  std::vector<char> bias = bytesOf(addends.bias), rows = bytesOf(addends.rows);
  if (c.addsRows()) scalars.push_back(addends.ld);
  Int8Input int8;
  std::vector<std::vector<char> *> operands = {&input};
  if (c.activations == "int8") {
    int8 = quantize(c, x, n, device, guard, piece);
    scalars[5] = 0;
    scalars.push_back(ceilDiv(chunks * scheme->columns_per_chunk(), 128));
    operands = {&int8.q, &int8.corr, &int8.scale};
  } else if (c.activations == "bf16") {
    input = roundToBf16(c, x, n, device, guard, piece);
    scalars[4] = ceilDiv(c.K, bf16Chunk(c)), scalars[5] = 0;
  }
  operands.push_back(&bytes);
  if (c.addsRows()) operands.push_back(&rows);
  if (c.addsBias()) operands.push_back(&bias);
  operands.push_back(&out);
  cachedKernel(linearText(c), device).run(operands, scalars, guard, piece);
  return valuesOf<float>(out);
}

std::vector<double> expectedLinear(const Case &c, const PackedWeight &weight, const std::vector<float> &x, int64_t n) {
  std::vector<double> input = toDouble(x);
  if (c.activations == "int8") input = reference::roundInt8(input, n, c.K);
  if (c.activations == "bf16") input = golden::roundToBf16(input);
  std::vector<double> y = reference::linear(input, n, c.K, weight.values, c.N);
  Addends addends(c, n);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < c.N; ++i) {
      if (c.addsBias()) y[row * c.N + i] += addends.bias[i];
      if (c.addsRows()) y[row * c.N + i] += addends.rows[row * addends.ld + i];
    }
  return y;
}

const std::vector<Case> kCases = {
    {"none", "f32", "float", 48, 64},    {"none", "f32", "float", 172, 40},  {"none", "f32", "float", 2880, 24},
    {"none", "bf16", "float", 321, 48},  {"none", "f16", "float", 321, 33},  {"q8_g32", "f32", "int8", 48, 64},
    {"q8_g32", "f32", "int8", 172, 40},  {"q8_g128", "f32", "int8", 352, 48}, {"q8_g32", "f32", "int8", 2880, 24},
    {"q4_g32", "f32", "int8", 48, 64},   {"q4_g32", "f32", "int8", 172, 40}, {"q4_g32", "f32", "int8", 2880, 24},
    {"q4_g64", "f32", "int8", 352, 48},  {"q4_g128", "f32", "int8", 48, 64}, {"q4_g128", "f32", "int8", 2880, 24},
    {"q4_g64", "f32", "int8", 172, 33},  {"q4_g128", "f32", "int8", 172, 33}, {"q8_g128", "f32", "int8", 172, 33},
    {"q4_g32", "f32", "float", 321, 40}, {"q8_g32", "f32", "float", 321, 24}, {"q4_g128", "f32", "float", 2880, 24},
    // The last columns, fewer than a chain, in the second group of their chunk.
    {"q4_g32", "f32", "float", 236, 40}, {"q4_g64", "f32", "float", 236, 40}, {"q4_g128", "f32", "float", 236, 24},
    {"q8_g32", "f32", "float", 236, 33}, {"q8_g128", "f32", "float", 236, 24}, {"q4a_g32", "f32", "float", 236, 24},
    {"q4_g32", "f32", "bf16", 48, 64},   {"q4_g32", "f32", "bf16", 172, 40}, {"q4_g32", "f32", "bf16", 352, 33},
    {"q4_g32", "f32", "bf16", 2880, 24}, {"q4_g64", "f32", "bf16", 48, 40},  {"q4_g64", "f32", "bf16", 2880, 24},
    {"q4_g128", "f32", "bf16", 172, 64}, {"q4_g128", "f32", "bf16", 352, 24}, {"q8_g32", "f32", "bf16", 48, 40},
    {"q8_g32", "f32", "bf16", 2880, 24}, {"q8_g128", "f32", "bf16", 172, 40}, {"q8_g128", "f32", "bf16", 352, 48},
    {"none", "bf16", "bf16", 48, 64},    {"none", "bf16", "bf16", 172, 40},  {"none", "bf16", "bf16", 352, 33},
    {"none", "bf16", "bf16", 2880, 24},  {"q4a_g32", "f32", "int8", 48, 64}, {"q4a_g32", "f32", "int8", 172, 40},
    {"q4a_g32", "f32", "int8", 2880, 24}, {"q4a_g32", "f32", "float", 321, 24}, {"q4a_g32", "f32", "bf16", 48, 40},
    {"q4a_g32", "f32", "bf16", 172, 33}, {"q4a_g32", "f32", "bf16", 2880, 24},
    // What linear_heads is measured by (HeadsCases.h).
    {"none", "f32", "float", 321, 33, After::Bias},      {"none", "f16", "float", 321, 40, After::Nothing},
    {"q4_g32", "f32", "float", 321, 33, After::Nothing}, {"q4_g32", "f32", "int8", 172, 33, After::Nothing},
    {"q4_g32", "f32", "int8", 172, 40, After::Bias},     {"q8_g32", "f32", "int8", 172, 33, After::Nothing},
    {"q4_g128", "f32", "int8", 300, 33, After::Bias},    {"q4_g32", "f32", "bf16", 172, 40, After::Nothing},
    {"q8_g128", "f32", "bf16", 172, 33, After::Bias},    {"none", "bf16", "bf16", 172, 33, After::Nothing},
};

// Every scheme and element with a gate. Some columns are left over, of a chain and of every scheme's chunk.
std::vector<Case> gatedCases() {
  std::vector<Case> all = {{"none", "f32", "float", 236, 36, After::Gate}, {"none", "bf16", "float", 236, 36, After::Gate},
                           {"none", "f16", "float", 236, 33, After::Gate}, {"none", "bf16", "bf16", 172, 33, After::Gate}};
  for (const char *scheme : {"q4_g32", "q4_g64", "q4_g128", "q8_g32", "q8_g128", "q4a_g32"})
    for (const char *activations : {"float", "int8", "bf16"}) all.push_back({scheme, "f32", activations, 236, 40, After::Gate});
  return all;
}

// Row counts to try: of each variant, and on a CPU of each tile.
std::vector<int64_t> rowCounts(const Kernel &kernel, const std::string &device) {
  if (findDevice(device).backend) {
    std::vector<int64_t> counts = kernel.rowsOfVariants(Kernel::kMostTileRows);
    counts.insert(counts.end(), {4, 5, 8, 19});
    return counts;
  }
  return kernel.rowsOfTiles();
}

TEST(LinearKernels, AgreeWithTheOracle) {
  for (const std::string &device : devices())
    for (const Case &c : kCases)
      for (int64_t n : {1, 3, 16, 37}) {
        if (!takesLinear(c, device)) continue;
        // Halves, of weights and of scales, that are denormal too.
        PackedWeight weight = packWeight(c, c.N, 1, n == 3 ? 5e-5f : 1);
        std::vector<float> x = randomFloats(n * c.K, 2);
        std::vector<float> y = runLinear(c, weight, x, n, device, n == 3 ? Guard::Start : Guard::End, n == 37 ? 1 : 100);
        EXPECT_LT(relativeError(y, expectedLinear(c, weight, x, n)), 1e-5)
            << c.scheme << " " << c.element << " K " << c.K << " n " << n << " on " << device;
      }
}

// Where docs/kernels.md puts column `column` of row `row` of n, and what is there.
float bf16At(const std::vector<char> &tiles, int64_t n, int64_t kp, int64_t row, int64_t column) {
  static constexpr int64_t kPlaces[8] = {0, 2, 4, 6, 1, 3, 5, 7}; // in the order of the pairs: 0 2, 4 6, 1 3, 5 7
  int64_t tile = row / 16, rows = std::min<int64_t>(16, n - 16 * tile), bytes = tiles.size() / (n * kp);
  int64_t place = kPlaces[column % 8], pair = column / 8 * 4 + place % 4;
  int64_t at = (16 * tile * kp + (pair * rows + row % 16) * 2 + place / 4) * bytes;
  uint32_t bits = 0;
  std::memcpy(reinterpret_cast<char *>(&bits) + 4 - bytes, tiles.data() + at, bytes);
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

TEST(LinearKernels, InputsAreRoundedToBf16) {
  Case c{"none", "bf16", "bf16", 40, 16};
  int64_t n = 19, kp = 64;
  std::vector<float> x = randomFloats(n * c.K, 4), special = {1.00390625f, 1.01171875f, -1.00390625f, 0x1p-100f, 0x1.8p-101f,
                                                             -0x1p-140f, INFINITY, 3.4e38f, -0.0f, 0x1.fffffep-101f};
  std::copy(special.begin(), special.end(), x.begin() + 5 * c.K);
  x[17 * c.K] = NAN;
  std::vector<double> expected = golden::roundToBf16(toDouble(x));
  for (const std::string &device : devices()) {
    if (!takes(device, {roundingText(c)})) continue;
    std::vector<char> tiles = roundToBf16(c, x, n, device, Guard::End, 3);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t column = 0; column < kp; ++column) {
        float value = bf16At(tiles, n, kp, row, column), wanted = column < c.K ? float(expected[row * c.K + column]) : 0;
        if (std::isnan(wanted)) EXPECT_TRUE(std::isnan(value)) << device;
        else EXPECT_EQ(value, wanted) << "row " << row << " column " << column << " on " << device;
      }
  }
}

// Bit for bit: all variants of a linear on every device, and all tiers of the CPU.
TEST(LinearKernels, OneOrderForEveryRowCountAndTier) {
  for (const Case &c : kCases) {
    std::optional<PackedWeight> packed;
    int64_t n = Kernel::kMostTileRows;
    std::vector<float> x = randomFloats(n * c.K, 3);
    std::map<std::string, std::vector<float>> firsts; // by order
    for (const std::string &device : devices()) {
      if (!takesLinear(c, device)) continue;
      if (!packed) packed = packWeight(c, c.N, 1);
      const PackedWeight &weight = *packed;
      std::vector<float> all = runLinear(c, weight, x, n, device);
      EXPECT_EQ(all, firsts.try_emplace(findDevice(device).order, all).first->second) << c.scheme << " differs on " << device;
      for (int64_t rows : rowCounts(cachedKernel(linearText(c), device), device)) {
        std::vector<float> some(x.begin(), x.begin() + rows * c.K);
        std::vector<float> y = runLinear(c, weight, some, rows, device);
        EXPECT_TRUE(std::equal(y.begin(), y.end(), all.begin())) << c.scheme << " with " << rows << " rows on " << device;
      }
    }
  }
}

// Every product as large as it gets, all of one sign: no sum on the way may be too narrow.
TEST(LinearKernels, LargestSumsAreExact) {
  for (const std::string &device : devices())
    for (const char *scheme : {"q4_g32", "q4_g64", "q4_g128", "q8_g32", "q8_g128", "q4a_g32"}) {
      Case c{scheme, "f32", "int8", 512, 32};
      if (!takesLinear(c, device)) continue;
      int64_t n = 18, group = findScheme(scheme)->group, bits = findScheme(scheme)->bits;
      std::vector<float> weight(c.N * c.K, bits == 4 ? 7 : 127), x(n * c.K, 1);
      // The scale is 1 for a group with the least of all integers; that and the others are exact.
      for (int64_t i = 0; i < c.N * c.K; i += group) weight[i] = bits == 4 ? -8 : -127;
      for (int64_t row = 1; row < n; row += 2) std::fill_n(x.begin() + row * c.K, c.K, -1);
      PackedWeight packed{packRows(scheme, "f32", weight, c.N, c.K), {weight.begin(), weight.end()}};
      std::vector<float> y = runLinear(c, packed, x, n, device);
      EXPECT_LT(relativeError(y, expectedLinear(c, packed, x, n)), 1e-6) << scheme << " on " << device;
    }
}

// Tiers that this machine cannot run are at least compiled: an instruction that a tier lacks would be an error.
TEST(LinearKernels, EveryTierHasCode) {
  for (const codegen::CpuTier &tier : codegen::cpuTiers())
    for (const Case &c : {Case{"q4_g32", "f32", "int8", 64, 48}, Case{"q8_g128", "f32", "int8", 64, 48},
                          Case{"q4_g64", "f32", "bf16", 64, 48}, Case{"none", "bf16", "bf16", 64, 48},
                          Case{"q4a_g32", "f32", "int8", 64, 48}, Case{"q4a_g32", "f32", "bf16", 64, 48}}) {
      std::vector<int64_t> scalars = {3, c.K, c.N, 3, 1, 0, c.N, c.N};
      if (c.activations == "int8") scalars.push_back(1);
      EXPECT_EQ(cachedKernel(linearText(c), tier.name).items(scalars), 3) << c.scheme << " for " << tier.name;
    }
}

// A tier that takes over another's code compiles what is its own: of int8 linears a few variants, of other kernels nothing.
TEST(LinearKernels, ATierCompilesWhatItsBaseLacks) {
  auto bytesOfObject = [](const std::string &text, const char *tier) {
    return withKernel(text, [&](exec::KernelOp kernel) {
      auto object = codegen::buildCpuObject(kernel, *codegen::findCpuTier(tier));
      if (!object) llvm::report_fatal_error(object.takeError());
      return object->bytes.size();
    });
  };
  std::string int8 = linearText({"q4_g32", "f32", "int8", 64, 48}), bf16 = linearText({"q4_g32", "f32", "bf16", 64, 48});
  EXPECT_LT(bytesOfObject(int8, "x86-64-v4-amx"), bytesOfObject(int8, "x86-64-v4-vnni") / 2);
  EXPECT_GT(bytesOfObject(int8, "x86-64-v4-amx"), 0);
  EXPECT_EQ(bytesOfObject(bf16, "x86-64-v4-amx"), 0);
}

// A gated product from both of its linears, which lie in `both` by blocks of 16: of gates, then of what they are for.
std::vector<float> gatedOf(const std::vector<float> &both, int64_t n, int64_t N, const std::string &device) {
  int64_t blocks = ceilDiv(N, 16);
  std::vector<float> gates, values;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < N; ++i) {
      const float *at = both.data() + (row * blocks + i / 16) * 32 + i % 16;
      gates.push_back(at[0]);
      values.push_back(at[16]);
    }
  std::vector<char> gate = bytesOf(gates), value = bytesOf(values), out(gate.size());
  cachedKernel(kGateAlone, device).run({&gate, &value, &out}, {n, N, blocks, N, N, N});
  return valuesOf<float>(out);
}

// Against the oracle, and bit for bit what the linear without a gate and the gate by itself make.
TEST(LinearKernels, GatedProductsMatch) {
  for (const std::string &device : devices())
    for (const Case &c : gatedCases()) {
      Case plain = c;
      plain.after = After::Residual, plain.addends = 0, plain.N = 2 * ceilDiv(c.N, 16) * 16;
      if (!takesLinear(c, device)) continue;
      PackedWeight weight = packWeight(c, plain.N, 5);
      std::vector<float> all = randomFloats(Kernel::kMostTileRows * c.K, 6), ungated;
      std::vector<double> both = expectedLinear(plain, weight, all, Kernel::kMostTileRows), expected;
      for (int64_t row = 0; row < Kernel::kMostTileRows; ++row)
        for (int64_t i = 0; i < c.N; ++i) {
          const double *at = both.data() + row * plain.N + i / 16 * 32 + i % 16;
          expected.push_back(reference::activation(reference::Activation::Silu, at[0]) * at[16]);
        }
      // A device that is for linears alone does not have the gate.
      if (takes(device, {linearText(c), linearText(plain), kGateAlone}))
        ungated = gatedOf(runLinear(plain, weight, all, Kernel::kMostTileRows, device), Kernel::kMostTileRows, c.N, device);
      for (int64_t n : rowCounts(cachedKernel(linearText(c), device), device)) {
        std::vector<float> x(all.begin(), all.begin() + n * c.K), y = runLinear(c, weight, x, n, device);
        std::vector<double> own(expected.begin(), expected.begin() + n * c.N);
        EXPECT_LT(relativeError(y, own), 1e-5) << c.scheme << " " << c.activations << " with " << n << " rows on " << device;
        EXPECT_TRUE(ungated.empty() || std::equal(y.begin(), y.end(), ungated.begin()))
            << c.scheme << " " << c.activations << " with " << n << " rows on " << device;
      }
    }
}

// Several tiles of rows, and of outputs, where a kernel has such; the last are not whole.
TEST(LinearKernels, ManyTilesMatch) {
  for (const std::string &device : devices())
    for (const Case &c : {Case{"q4a_g32", "f32", "bf16", 72, 200}, Case{"q8_g32", "f32", "bf16", 72, 200},
                          Case{"none", "bf16", "bf16", 72, 200}}) {
      if (!takesLinear(c, device)) continue;
      int64_t n = 150;
      PackedWeight weight = packWeight(c, c.N, 7);
      std::vector<float> x = randomFloats(n * c.K, 8);
      EXPECT_LT(relativeError(runLinear(c, weight, x, n, device), expectedLinear(c, weight, x, n)), 1e-5)
          << c.scheme << " on " << device;
    }
}

// Weights beyond what a panel of many rows holds, whose blocks are a few in turn: all rows have the bits that they have
// in steps of few rows, which know no panels.
TEST(LinearKernels, PanelsHaveTheBitsOfFewRows) {
  constexpr int64_t n = 17, some = 8, panelBytes = 384 << 10;
  for (Case c : {Case{"q4_g32", "f32", "int8", 2880, 0}, Case{"q8_g128", "f32", "int8", 2880, 0},
                 Case{"q4a_g32", "f32", "bf16", 2880, 0}, Case{"none", "bf16", "bf16", 2880, 0}}) {
    PackedWeight few = packWeight(c, 5 * 16, 1), all;
    int64_t blockBytes = int64_t(few.bytes.size()) / 5, blocks = panelBytes / blockBytes + 2;
    c.N = 16 * blocks;
    for (int64_t i = 0; i < blocks; ++i) {
      auto block = few.bytes.begin() + i % 5 * blockBytes;
      all.bytes.insert(all.bytes.end(), block, block + blockBytes);
    }
    std::vector<float> x = randomFloats(n * c.K, 2), first(x.begin(), x.begin() + some * c.K);
    for (const std::string &tier : runnableTiers()) {
      if (!takesLinear(c, tier)) continue;
      std::vector<float> expected = runLinear(c, all, first, some, tier);
      for (int64_t piece : {blocks, blocks - 1}) { // two panels, and one that begins later
        std::vector<float> y = runLinear(c, all, x, n, tier, Guard::End, piece);
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), y.begin()))
            << c.scheme << " " << c.activations << " in pieces of " << piece << " on " << tier;
      }
    }
  }
}

// For every scheme. The last columns lie in each of the eight vectors that share a scale.
TEST(LinearKernels, InputsAreRoundedToInt8) {
  for (const char *scheme : {"q4_g32", "q4_g64", "q4_g128", "q8_g32", "q8_g128", "q4a_g32"})
    for (int64_t K = 133; K < 256; K += 16) {
      Case c{scheme, "f32", "int8", K, 16};
      int64_t n = 19;
      std::vector<float> x = randomFloats(n * K, 4);
      std::fill_n(x.begin() + 3 * K, K, 0);
      golden::Int8Operands expected =
          golden::packInt8Rows(*findScheme(scheme), reference::quantizeInt8(toDouble(x), n, K), n, K);
      for (const std::string &device : devices()) {
        if (!takes(device, {roundingText(c)})) continue;
        Int8Input rounded = quantize(c, x, n, device, Guard::End, 3);
        EXPECT_TRUE(rounded.q == expected.q) << scheme << " K " << K << " on " << device;
        EXPECT_TRUE(rounded.corr == expected.corr) << scheme << " K " << K << " on " << device;
        EXPECT_TRUE(rounded.scale == expected.scale) << scheme << " K " << K << " on " << device;
      }
    }
}

} // namespace
} // namespace llmc::conformance
