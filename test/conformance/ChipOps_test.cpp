// The operations of the chip dialect on every GPU, each by whatever it is lowered to there, against the host.
#include "codegen/gpu/GpuBuilder.h"
#include "codegen/gpu/ops/Chip.h"
#include "test/conformance/KernelHarness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace llmc::conformance {
namespace {

using gpu::GpuBuilder;
using mlir::Value;
using Words = std::vector<uint32_t>;
using Body = std::function<void(GpuBuilder &k)>;

constexpr int64_t kThreads = 64, kWords = 10 * kThreads; // of the workgroup; of the input and the output
constexpr int kInput = 0, kOutput = 1;

// A kernel in the place of whose body one stands: a workgroup has that many threads, and the first of them has the body.
struct Host {
  const char *text;
  int64_t threads;
  std::vector<int64_t> scalars;
  int64_t outputWords;
  std::vector<int64_t> otherBytes; // of operands between the first, the input, and the last, the output
};

// What a workgroup with this body makes of the input.
Words runBody(const Host &host, const std::string &device, const Words &input, const Body &body) {
  static std::vector<std::unique_ptr<Kernel>> kept; // a device knows kernels by where their entries lie
  auto replace = [&](mlir::ModuleOp module) {
    mlir::gpu::GPUModuleOp holder = *module.getOps<mlir::gpu::GPUModuleOp>().begin();
    for (auto function : llvm::make_early_inc_range(holder.getOps<mlir::gpu::GPUFuncOp>())) function.erase();
    GpuBuilder k(holder, "main", int(host.otherBytes.size()) + 2, int(host.scalars.size()), host.threads, /*features=*/0);
    k.ifThen(k.less(k.group(), k.index(1)), [&] { body(k); });
    k.finish();
  };
  kept.push_back(std::make_unique<Kernel>(host.text, device, withKernel(host.text, [&](exec::KernelOp kernel) {
    return llvm::cantFail(buildChanged(kernel, findDevice(device), replace));
  })));
  std::vector<char> in = bytesOf(input), out(host.outputWords * 4);
  std::vector<std::vector<char>> others;
  for (int64_t bytes : host.otherBytes) others.emplace_back(bytes);
  std::vector<std::vector<char> *> operands = {&in};
  for (std::vector<char> &other : others) operands.push_back(&other);
  operands.push_back(&out);
  kept.back()->run(operands, host.scalars);
  return valuesOf<uint32_t>(out);
}

// Of 64 threads.
Words runBody(const std::string &device, const Words &input, const Body &body) {
  static const Host map = {"exec.kernel @k \"map\" {rows = 1 : i64, vectors = 0 : i64} epilogue (%x: f32) {\n llm.yield %x }",
                           kThreads, {1, kWords, kWords / 16, kWords, kWords}, kWords, {}};
  return runBody(map, device, input, body);
}

std::vector<std::string> gpus() {
  std::vector<std::string> names;
  for (const std::string &device : devices())
    if (findDevice(device).backend) names.push_back(device);
  return names;
}

// Word i of a thread, of all threads.
Value at(GpuBuilder &k, int64_t i) { return k.add(k.thread(), i * kThreads); }

Words randomWords(uint32_t seed) {
  Words words;
  std::mt19937 random(seed);
  for (int64_t i = 0; i < kWords; ++i) words.push_back(uint32_t(random()));
  return words;
}

uint32_t halfBits(float value, bool bf16) {
  return bf16 ? std::bit_cast<uint32_t>(value) >> 16 : std::bit_cast<uint16_t>(static_cast<_Float16>(value));
}

// The matrices of one warp: multiples of 1/8 from -2 to 2, of which no sum rounds in any order.
struct Matrices {
  float a[16][16], b[16][8], c[16][8];

  explicit Matrices(uint32_t seed) {
    std::mt19937 random(seed);
    auto fill = [&](auto &matrix) {
      for (auto &row : matrix)
        for (float &value : row) value = (float(random() % 33) - 16) / 8;
    };
    fill(a);
    fill(b);
    fill(c);
  }
  float product(int64_t row, int64_t column) const {
    float sum = c[row][column];
    for (int64_t i = 0; i < 16; ++i) sum += a[row][i] * b[i][column];
    return sum;
  }
};

// As ChipOps.td deals them out.
void dealOut(const Matrices &m, int64_t warp, bool bf16, Words &words) {
  for (int64_t lane = 0; lane < 32; ++lane) {
    int64_t g = lane / 4, t = lane % 4, thread = warp * 32 + lane;
    auto set = [&](int64_t word, uint32_t value) { words[size_t(word * kThreads + thread)] = value; };
    auto two = [&](float low, float high) { return halfBits(low, bf16) | halfBits(high, bf16) << 16; };
    for (int64_t i = 0; i < 4; ++i) {
      const float *row = m.a[g + i % 2 * 8] + 2 * t + i / 2 * 8;
      set(i, two(row[0], row[1]));
    }
    for (int64_t i = 0; i < 2; ++i) set(4 + i, two(m.b[2 * t + 8 * i][g], m.b[2 * t + 8 * i + 1][g]));
    for (int64_t i = 0; i < 4; ++i) set(6 + i, std::bit_cast<uint32_t>(m.c[g + i / 2 * 8][2 * t + i % 2]));
  }
}

TEST(ChipOps, WarpsMultiplyMatrices) {
  for (bool bf16 : {true, false}) {
    Matrices first(1), second(2);
    Words input(kWords);
    dealOut(first, 0, bf16, input);
    dealOut(second, 1, bf16, input);
    for (const std::string &device : gpus()) {
      Words output = runBody(device, input, [&](GpuBuilder &k) {
        codegen::Values a, b, c;
        for (int64_t i = 0; i < 4; ++i) a.push_back(k.loadWord(kInput, at(k, i)));
        for (int64_t i = 4; i < 6; ++i) b.push_back(k.loadWord(kInput, at(k, i)));
        for (int64_t i = 6; i < 10; ++i) c.push_back(k.loadF32(kInput, at(k, i)));
        codegen::Values d = k.mma(bf16 ? "bf16" : "f16", a, b, c);
        for (int64_t i = 0; i < 4; ++i) k.storeF32(kOutput, d[size_t(i)], at(k, i));
      });
      for (int64_t thread = 0; thread < kThreads; ++thread)
        for (int64_t i = 0; i < 4; ++i) {
          const Matrices &m = thread < 32 ? first : second;
          float expected = m.product(thread % 32 / 4 + i / 2 * 8, thread % 4 * 2 + i % 2);
          EXPECT_EQ(std::bit_cast<float>(output[size_t(i * kThreads + thread)]), expected)
              << "number " << i << " of thread " << thread << (bf16 ? " bf16 on " : " f16 on ") << device;
        }
    }
  }
}

// A of 64 x 32, B of 32 x 64, both kinds of 16 bits; B lies behind other words.
TEST(ChipOps, WarpgroupsMultiplyMatrices) {
  constexpr int64_t kGroup = chip::kWarpgroup, kRows = 16, kK = 128, kN = 256, kA = 8 * kGroup, kB = 1024, kBefore = 64;
  static_assert(kRows * kK == kA + kB && kRows * kN == chip::kWarpgroupNumbers * kGroup);
  const Host linear = {"exec.kernel @k \"linear\" {scheme = \"none\", element = \"f32\", activations = \"float\", gated = "
                       "false, rows = 0 : i64, vectors = 0 : i64}",
                       kGroup, {kRows, kK, kN, kN / 16, kK, kK, kN}, kRows * kN, {kN * kK * 4}};
  std::mt19937 random(9);
  float a[64][32], b[32][64];
  auto eighth = [&] { return (float(random() % 33) - 16) / 8; }; // no sum of these rounds in any order
  for (auto &row : a) std::generate(std::begin(row), std::end(row), eighth);
  for (auto &row : b) std::generate(std::begin(row), std::end(row), eighth);
  for (bool bf16 : {true, false}) {
    auto two = [&](float low, float high) { return halfBits(low, bf16) | halfBits(high, bf16) << 16; };
    Words input(kA + kB);
    for (int64_t thread = 0; thread < kGroup; ++thread)
      for (int64_t i = 0; i < 8; ++i) {
        const float *row = a[thread / 32 * 16 + thread % 32 / 4 + i % 2 * 8] + i / 4 * 16 + i % 4 / 2 * 8 + thread % 4 * 2;
        input[size_t(i * kGroup + thread)] = two(row[0], row[1]);
      }
    for (int64_t column = 0; column < 64; ++column)
      for (int64_t k = 0; k < 32; k += 2)
        input[size_t(kA + (column / 8 * 4 + k / 8) * 32 + column % 8 * 4 + k % 8 / 2)] = two(b[k][column], b[k + 1][column]);
    for (const std::string &device : gpus()) {
      Words output = runBody(linear, device, input, [&](GpuBuilder &k) {
        Value memory = k.sharedWords(kBefore + kB);
        for (int64_t i = 0; i < kB; i += kGroup) {
          Value word = k.add(k.thread(), i);
          k.copy(1, kInput, k.add(word, kA), memory, k.add(word, kBefore));
        }
        k.commit();
        k.wait(0);
        k.publish();
        k.barrier();
        codegen::Values words;
        for (int64_t i = 0; i < 8; ++i) words.push_back(k.loadWord(kInput, k.add(k.thread(), i * kGroup)));
        codegen::Values d = k.warpgroupMma(bf16 ? "bf16" : "f16", words, memory, k.index(kBefore));
        for (int64_t i = 0; i < chip::kWarpgroupNumbers; ++i) k.storeF32(2, d[size_t(i)], k.add(k.thread(), i * kGroup));
      });
      for (int64_t thread = 0; thread < kGroup; ++thread)
        for (int64_t i = 0; i < chip::kWarpgroupNumbers; ++i) {
          int64_t row = thread / 32 * 16 + thread % 32 / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + thread % 4 * 2 + i % 2;
          float expected = 0;
          for (int64_t k = 0; k < 32; ++k) expected += a[row][k] * b[k][column];
          EXPECT_EQ(std::bit_cast<float>(output[size_t(i * kGroup + thread)]), expected)
              << "row " << row << " column " << column << (bf16 ? " bf16 on " : " f16 on ") << device;
        }
    }
  }
}

TEST(ChipOps, FourBytesAreMultipliedAtOnce) {
  Words input = randomWords(3);
  for (const std::string &device : gpus()) {
    Words output = runBody(device, input, [&](GpuBuilder &k) {
      Value a = k.loadWord(kInput, at(k, 0)), b = k.loadWord(kInput, at(k, 1)), c = k.loadWord(kInput, at(k, 2));
      for (bool isUnsigned : {false, true})
        k.storeWord(kOutput, chip::Dot4Op::create(k.b, k.i32Type(), a, b, c, isUnsigned), at(k, isUnsigned));
    });
    for (int64_t thread = 0; thread < kThreads; ++thread)
      for (int64_t isUnsigned = 0; isUnsigned < 2; ++isUnsigned) {
        uint32_t a = input[thread], b = input[kThreads + thread], sum = input[2 * kThreads + thread];
        for (int shift = 0; shift < 32; shift += 8) {
          int32_t x = isUnsigned ? int32_t(uint8_t(a >> shift)) : int32_t(int8_t(a >> shift));
          sum += uint32_t(x * int32_t(int8_t(b >> shift)));
        }
        EXPECT_EQ(output[size_t(isUnsigned * kThreads + thread)], sum) << "thread " << thread << " on " << device;
      }
  }
}

// Sums of numbers that lie far and near, of the same size with either sign, and of ties.
TEST(ChipOps, PairsAreAddedAndRoundedOnce) {
  std::mt19937 random(7);
  auto number = [&] { // 2^-8 to 2^8: no sum is a denormal
    return uint32_t(random() % 2 << 15 | (119 + random() % 16) << 7 | random() % 128);
  };
  Words input(kWords);
  for (int64_t thread = 0; thread < 2 * kThreads; ++thread) {
    uint32_t low = number(), high = number();
    input[size_t(thread)] = low | high << 16;
    input[size_t(2 * kThreads + thread)] = thread % 8 == 0 ? input[size_t(thread)] ^ 0x80008000 : number() | number() << 16;
  }
  input[0] = 0x3f803f81, input[2 * kThreads] = 0x3b803b80; // ties: 1 + 2^-8 goes down, 1 + 2^-7 + 2^-8 up
  auto sum = [](uint32_t a, uint32_t b) {
    uint32_t bits = std::bit_cast<uint32_t>(std::bit_cast<float>(a << 16) + std::bit_cast<float>(b << 16));
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  };
  EXPECT_EQ(sum(0x3f80, 0x3b80) << 16 | sum(0x3f81, 0x3b80), 0x3f803f82u);
  for (const std::string &device : gpus()) {
    Words output = runBody(device, input, [&](GpuBuilder &k) {
      for (int64_t i = 0; i < 2; ++i)
        k.storeWord(kOutput, k.addPairs(k.loadWord(kInput, at(k, i)), k.loadWord(kInput, at(k, i + 2))), at(k, i));
    });
    for (int64_t i = 0; i < 2 * kThreads; ++i) {
      uint32_t a = input[size_t(i)], b = input[size_t(2 * kThreads + i)];
      EXPECT_EQ(output[size_t(i)], sum(a & 0xffff, b & 0xffff) | sum(a >> 16, b >> 16) << 16) << "word " << i << " on " << device;
    }
  }
}

// The tree of ChipOps.td, of the values of `across` threads.
float fold(std::vector<float> values, bool sum) {
  for (size_t half = values.size() / 2; half >= 1; half /= 2)
    for (size_t i = 0; i < half; ++i)
      values[i] = sum ? values[i] + values[i + half] : std::max(values[i], values[i + half]);
  return values[0];
}

TEST(ChipOps, ThreadsReduceInOneOrder) {
  std::vector<float> values = randomFloats(kWords, 4);
  const std::vector<std::pair<chip::Fold, int64_t>> kinds = {
      {chip::Fold::Sum, 2}, {chip::Fold::Sum, 16}, {chip::Fold::Sum, 32}, {chip::Fold::Max, 8}, {chip::Fold::Max, 32}};
  Words input;
  for (float value : values) input.push_back(std::bit_cast<uint32_t>(value));
  for (const std::string &device : gpus()) {
    Words output = runBody(device, input, [&](GpuBuilder &k) {
      Value x = k.loadF32(kInput, k.thread());
      for (auto [i, kind] : llvm::enumerate(kinds))
        k.storeF32(kOutput, chip::ReduceOp::create(k.b, k.f32Type(), kind.first, x, uint64_t(kind.second)), at(k, int64_t(i)));
    });
    for (auto [i, kind] : llvm::enumerate(kinds))
      for (int64_t thread = 0; thread < kThreads; ++thread) {
        auto first = values.begin() + thread / kind.second * kind.second;
        float expected = fold({first, first + kind.second}, kind.first == chip::Fold::Sum);
        EXPECT_EQ(std::bit_cast<float>(output[size_t(int64_t(i) * kThreads + thread)]), expected)
            << stringifyFold(kind.first).str() << " across " << kind.second << ", thread " << thread << " on " << device;
      }
  }
}

// Atomics that threads reach a different number of times: no barrier comes of one.
TEST(ChipOps, ThreadsCountInLoopsOfAnyLength) {
  for (const std::string &device : gpus()) {
    Words output = runBody(device, Words(kWords), [&](GpuBuilder &k) {
      Value memory = k.sharedWords(kThreads);
      k.storeSharedWord(memory, k.i32(0), k.thread());
      k.barrier();
      k.loop(k.index(0), k.thread(), 1, [&](Value i) { k.addShared(memory, k.i32(1), i); });
      k.barrier();
      k.storeWord(kOutput, k.loadSharedWord(memory, k.thread()), k.thread());
    });
    for (int64_t i = 0; i < kThreads; ++i) EXPECT_EQ(output[size_t(i)], uint32_t(kThreads - 1 - i)) << "word " << i << " on " << device;
  }
}

// Two groups of copies: the first is waited for alone. Threads read what others have copied.
TEST(ChipOps, CopiesArriveWhenWaitedFor) {
  Words input = randomWords(5);
  for (const std::string &device : gpus()) {
    Words output = runBody(device, input, [&](GpuBuilder &k) {
      Value memory = k.sharedWords(2 * kThreads);
      for (int64_t group = 0; group < 2; ++group) {
        k.copy(1, kInput, at(k, 3 + group), memory, at(k, group));
        k.commit();
      }
      for (int64_t group = 0; group < 2; ++group) {
        k.wait(1 - group);
        k.barrier();
        Value other = k.add(k.sub(k.index(kThreads - 1), k.thread()), group * kThreads);
        k.storeWord(kOutput, k.loadSharedWord(memory, other), at(k, group));
      }
    });
    for (int64_t group = 0; group < 2; ++group)
      for (int64_t thread = 0; thread < kThreads; ++thread)
        EXPECT_EQ(output[size_t(group * kThreads + thread)], input[size_t((4 + group) * kThreads - 1 - thread)])
            << "group " << group << ", thread " << thread << " on " << device;
  }
}

} // namespace
} // namespace llmc::conformance
