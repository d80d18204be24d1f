#include "runtime/device/cuda/cuda_context.h"

#include <gtest/gtest.h>

namespace llmrt::cuda {
namespace {

TEST(Cuda, CodeFitsChips) {
  const Chip h100{9, 0}, ada{8, 9}, ampere{8, 0}, turing{7, 5}, volta{7, 0}, blackwell{12, 0};
  EXPECT_GT(fitness("sm_90a", h100), fitness("sm_90", h100));
  EXPECT_GT(fitness("sm_90", h100), fitness("compute_80", h100));
  EXPECT_GT(fitness("sm_90", h100), fitness("compute_90a", h100));
  EXPECT_GT(fitness("compute_90a", h100), fitness("compute_80", h100));
  EXPECT_GT(fitness("compute_80", h100), fitness("compute_75", h100));
  EXPECT_GT(fitness("sm_89", ada), fitness("sm_86", ada));
  EXPECT_GT(fitness("sm_80", ada), fitness("compute_80", ada));
  EXPECT_GT(fitness("sm_120a", blackwell), 0);
  EXPECT_GT(fitness("compute_75", turing), 0);
  const std::pair<const char *, Chip> none[] = {{"sm_80", h100},      {"sm_90a", ada},      {"sm_86", ampere},
                                                {"compute_75", volta}, {"sm_100a", blackwell}, {"x86-64-v3", h100},
                                                {"sm_", h100},        {"sm_9x", h100},      {"compute_75a", h100},
                                                {"compute_90a", blackwell}, {"", h100}};
  for (auto [tier, chip] : none)
    EXPECT_EQ(fitness(tier, chip), 0) << tier;
}

} // namespace
} // namespace llmrt::cuda
