#include "runtime/device/cpu/limits.h"

#include "runtime/abi/kernel.h"
#include "runtime/device/cpu/cpu_features.h"
#include "runtime/device/cpu/limits_simd.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmrt {
namespace {

TEST(Limits, ReadsFromMemory) {
  auto gbps = measure_read_gbps(1);
  ASSERT_TRUE(gbps);
  EXPECT_GT(*gbps, 0.1);
  EXPECT_LT(*gbps, 10000);
}

TEST(Limits, ReadsWhatIsGiven) {
  std::vector<std::byte> data(size_t(3) << 20);
  auto gbps = measure_read_gbps(2, data);
  ASSERT_TRUE(gbps);
  EXPECT_GT(*gbps, 0.1);
  EXPECT_FALSE(measure_read_gbps(1, std::span(data).first((size_t(1) << 20) - 1)));
}

TEST(Limits, ReadAllSeesEveryLine) {
  std::vector<uint64_t> data(64, 0);
  uint64_t zero = read_all(data.data(), data.size() * 8);
  data[0] = 1;
  EXPECT_NE(read_all(data.data(), data.size() * 8), zero);
}

TEST(Limits, DotProductsOfThisMachine) {
  CpuInfo cpu = detect_cpu();
  // Every loop that this machine runs, not only the best one.
  for (uint64_t features = cpu.features;; features &= features - 1) {
    uint64_t some = cpu.features & ~(cpu.features ^ features);
    DotLoop loop = best_dot_loop(some);
    if (loop.run) {
      EXPECT_NE(loop.run(3), loop.run(4)) << some;
    }
    if (features == 0)
      break;
  }
  auto gops = measure_dot_gops(1, cpu.features);
  ASSERT_TRUE(gops);
  if (cpu.features != 0) {
    EXPECT_GT(*gops, 0.01);
  }
  EXPECT_EQ(*measure_dot_gops(1, 0), 0.0);
}

} // namespace
} // namespace llmrt
