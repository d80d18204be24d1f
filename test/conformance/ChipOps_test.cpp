// The operations of the chip dialect on every GPU, each by whatever it is lowered to there, against the host.
#include "codegen/gpu/GpuBuilder.h"
#include "codegen/gpu/ops/Chip.h"
#include "test/conformance/KernelHarness.h"

#include <gtest/gtest.h>

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

// What a workgroup of 64 threads with this body makes of the input. It stands in the place of a map's body, which is done
// by ten workgroups: the first has it.
Words runBody(const std::string &device, const Words &input, const Body &body) {
  const char *map = "exec.kernel @k \"map\" {rows = 1 : i64, vectors = 0 : i64} epilogue (%x: f32) {\n llm.yield %x }";
  static std::vector<std::unique_ptr<Kernel>> kept; // a device knows kernels by where their entries lie
  auto replace = [&](mlir::ModuleOp module) {
    mlir::gpu::GPUModuleOp holder = *module.getOps<mlir::gpu::GPUModuleOp>().begin();
    for (auto function : llvm::make_early_inc_range(holder.getOps<mlir::gpu::GPUFuncOp>())) function.erase();
    GpuBuilder k(holder, "main", /*operands=*/2, /*scalars=*/5, kThreads, /*features=*/0);
    k.ifThen(k.less(k.group(), k.index(1)), [&] { body(k); });
    k.finish();
  };
  kept.push_back(std::make_unique<Kernel>(map, device, withKernel(map, [&](exec::KernelOp kernel) {
    return llvm::cantFail(buildChanged(kernel, findDevice(device), replace));
  })));
  std::vector<char> in = bytesOf(input), out(kWords * 4);
  kept.back()->run({&in, &out}, {1, kWords, kWords / 16, kWords, kWords});
  return valuesOf<uint32_t>(out);
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
