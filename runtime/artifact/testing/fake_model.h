// A whole artifact without a compiler: a "model" of vocabulary 8 whose two kernels are a hundred bytes of machine code
// each. `store` writes each token's id into its place in the KV cache; `score` adds up the ids of a sequence from the
// cache through its page table, up to the row's position, and gives logits[j] = (sum + 7 j) mod 8 + j / 16. So every
// logit depends on all tokens before it, on pages and page tables, and on a weight, and can be told beforehand.
#pragma once

#include "runtime/artifact/testing/artifact_builder.h"

#include <array>
#include <span>
#include <string_view>
#include <vector>

namespace llmrt::testing {

inline constexpr std::array<uint8_t, 16> kStoreId = {1, 2, 3}, kScoreId = {4, 5, 6};
inline constexpr uint32_t kFakeVocabulary = 8;
inline constexpr const char *kFakeTier = "fake"; // needs no feature; there is one of it for this architecture

// Code for x86-64 or arm64, as the table of a tier.
CodeSpec fake_code(uint32_t architecture);
uint32_t this_architecture();

// Segments: 0 weights, 1 the tier `fake` for this architecture. Buffers: 0 logits.
ArtifactSpec fake_model();
// The same with hidden states: those of a row are what its logits would be. Buffer 1.
ArtifactSpec fake_model_with_hidden();

// With code for CUDA, whose step is its own: its logits are buffer 1, behind the CPU's in a larger arena.
ArtifactSpec fake_model_with_two_steps();

// Adds golden vectors: of `store` for two rows, of `score` for one and for two.
void add_fake_goldens(ArtifactSpec &spec);

// Adds segments for CUDA: PTX (compute_75) and cubins (sm_90) that test/fake_cuda knows the kernels of by name.
void add_fake_cuda(ArtifactSpec &spec);
std::vector<uint8_t> fake_ptx(std::string_view kernel);
std::vector<uint8_t> fake_cubin(std::string_view kernel);

// What the logits of a row must be, given the ids of its sequence up to it.
std::array<float, kFakeVocabulary> fake_logits(std::span<const int32_t> ids);

// The same two kernels as functions of this program, for loading without code.
std::span<const llmrt_static_kernel> fake_static_kernels();

} // namespace llmrt::testing
