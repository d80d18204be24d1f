// The golden vectors that artifacts carry: every device makes of them what they say, and every variant has one.
#include "test/conformance/KernelHarness.h"
#include "test/conformance/KernelTexts.h"

#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace llmc::conformance {
namespace {

// In whole values where there is a bound, else in bytes.
void expectResult(const golden::Result &result, const std::vector<char> &operand, const std::string &where) {
  std::vector<char> actual(operand.begin() + result.offset, operand.begin() + result.offset + result.expected.size());
  if (result.bound == 0) {
    EXPECT_TRUE(actual == result.expected) << where << "operand " << result.operand;
    return;
  }
  std::vector<double> expected = toDouble(valuesOf<float>(result.expected));
  EXPECT_LE(relativeError(valuesOf<float>(actual), expected), result.bound) << where << "operand " << result.operand;
}

// A variant's name in its order, and what the operands are when it has run.
using Runs = std::map<std::string, std::vector<std::vector<char>>>;

// And all tiers of a GPU leave the same bytes.
TEST(GoldenVectors, EveryDeviceMakesThem) {
  for (const std::string &text : textsOfEveryKind()) {
    std::vector<golden::Golden> goldens;
    Runs firsts;
    for (const std::string &device : devices()) {
      const Kernel *kernel = kernelIfTaken(text, device);
      if (!kernel) continue;
      if (goldens.empty()) goldens = goldensOf(text);
      std::set<int64_t> left;
      for (int64_t rows : kernel->rowsOfVariants(INT64_MAX)) left.insert(rows);
      for (const golden::Golden &golden : goldens) {
        std::vector<std::vector<char>> operands = golden.operands;
        std::vector<std::vector<char> *> pointers;
        bool suits = true;
        for (size_t i = 0; i < operands.size(); ++i) {
          suits &= kernel->extent(int(i), golden.scalars) == int64_t(operands[i].size());
          pointers.push_back(&operands[i]);
        }
        if (!suits) continue;
        EXPECT_FALSE(golden.results.empty()) << text;
        kernel->run(pointers, golden.scalars);
        left.erase(golden.scalars[0]);
        if (const TestDevice &own = findDevice(device); own.backend) {
          std::string which = own.order + " " + std::to_string(&golden - goldens.data());
          EXPECT_TRUE(firsts.try_emplace(which, operands).first->second == operands) << text << " differs on " << device;
        }
        for (const golden::Result &result : golden.results)
          expectResult(result, operands[result.operand],
                       text + " on " + device + ", " + std::to_string(golden.scalars[0]) + " rows, ");
      }
      // A variant that has nothing to do needs none: steps that attention does not split, for what puts parts together.
      if (text.find("attention_combine") == std::string::npos)
        EXPECT_TRUE(left.empty()) << text << " on " << device << ": no vector for " << *left.begin() << " rows";
    }
  }
}

} // namespace
} // namespace llmc::conformance
