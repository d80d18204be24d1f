// The devices themselves, and the count of what was tried on each.
#include "test/conformance/KernelHarness.h"
#include "test/conformance/Tally.h"

#include <cstring>
#include <gtest/gtest.h>

namespace llmc::conformance {
namespace {

const char *const kMap = "exec.kernel @k \"map\" {rows = 1 : i64, vectors = 0 : i64} epilogue (%x: f32) {\n"
                         " %y = arith.addf %x, %x : f32\n llm.yield %y }";

// A GPU kernel is a row of figures and operands somewhere in larger memory; what it writes comes back, and nothing else
// is touched.
TEST(Devices, RunOneKernelByItself) {
  for (const std::string &device : devices()) {
    int64_t n = 3, N = 70, ld = 81;
    std::vector<float> x = randomFloats(n * ld, 1);
    std::vector<char> in = bytesOf(x), out(n * ld * 4, char(0x55));
    cachedKernel(kMap, device).run({&in, &out}, {n, N, ceilDiv(N, 16), ld, ld});
    std::vector<float> y = valuesOf<float>(out);
    float untouched;
    std::memset(&untouched, 0x55, sizeof untouched);
    for (int64_t row = 0; row < n; ++row)
      for (int64_t i = 0; i < ld; ++i)
        EXPECT_EQ(y[row * ld + i], i < N ? 2 * x[row * ld + i] : untouched) << "row " << row << " on " << device;
  }
}

class PrintTally : public ::testing::Environment {
  void TearDown() override { printf("%s", Tally::ofProcess().text().c_str()); }
};
const auto *const environment = ::testing::AddGlobalTestEnvironment(new PrintTally);

} // namespace
} // namespace llmc::conformance
