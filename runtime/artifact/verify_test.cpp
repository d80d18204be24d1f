// Every rule about the metadata, broken once. What programs and kernels must obey is in verify_program_test.cpp.
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/testing/fake_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace llmrt {
namespace {

using namespace testing;

struct Broken {
  const char *name;
  std::function<void(ArtifactSpec &)> damage;
  const char *message;
};

void expect_refused(std::span<const Broken> cases) {
  for (const Broken &broken : cases) {
    ArtifactSpec spec = fake_model();
    broken.damage(spec);
    Status status = Artifact::open_bytes(build_artifact(spec), "x").status();
    EXPECT_FALSE(status.ok()) << broken.name;
    EXPECT_NE(status.message().find(broken.message), std::string::npos) << broken.name << ": " << status.message();
  }
}

TEST(Verify, Segments) {
  const Broken cases[] = {
      {"kind", [](auto &s) { s.segments[0].kind = 9; }, "segment 0 (weights): is of an unknown kind"},
      {"unaligned", [](auto &s) { s.segments[1].offset = 131072 + 64; }, "not aligned to 64 KB"},
      {"past the end", [](auto &s) { s.segments[1].offset = 1 << 20; }, "does not lie in the file"},
      {"far past the end", [](auto &s) { s.segments[1].offset = UINT64_MAX & ~65535ull; }, "does not lie in the file"},
      {"too long", [](auto &s) { s.segments[1].size = 1 << 20; }, "does not lie in the file"},
      {"wraps", [](auto &s) { s.segments[1].size = UINT64_MAX; }, "does not lie in the file"},
      {"overlaps the metadata", [](auto &s) { s.segments[0].offset = 0; }, "overlaps"},
      {"overlaps another", [](auto &s) { s.segments[1].offset = 65536; }, "overlaps"},
      {"descends", [](auto &s) { std::swap(s.segments[0].offset, s.segments[1].offset), s.segments[0].offset = 131072,
                                 s.segments[1].offset = 65536; }, "gap"},
      {"ends early", [](auto &s) { *(s.segments[1].size = s.segments[1].bytes.size()) -= 1; }, "end with the file"},
      {"no hash", [](auto &s) { s.segments[0].hash = false; }, "has no hash"},
      {"chunk hashes", [](auto &s) { s.segments[0].chunks_too_many = 1; }, "one hash for each MiB"},
      {"chunk hashes of code", [](auto &s) { s.segments[1].chunks_too_many = 1; }, "one hash for each MiB"},
      {"tier twice", [](auto &s) { s.segments.push_back(s.segments[1]); }, "a tier that is there twice"},
      {"not code", [](auto &s) { s.segments[1].bytes.assign(200, std::byte(0)); }, "first bytes"},
      {"no code", [](auto &s) { s.segments[1].bytes.clear(); }, "too small"},
      {"a CPU's code for CUDA", [](auto &s) { s.segments[1].target = "cuda"; }, "code of another target"},
      {"PTX for the CPU", [](auto &s) { add_fake_cuda(s), s.segments[2].target = "cpu"; }, "code of another target"},
      {"PTX for Vulkan", [](auto &s) { add_fake_cuda(s), s.segments[2].target = "vulkan"; }, "code of another target"},
      {"a chip twice", [](auto &s) { add_fake_cuda(s), s.segments[3].layout = "compute_75"; },
       "a tier that is there twice"},
  };
  expect_refused(cases);
}

TEST(Verify, GoldenVectors) {
  const Broken cases[] = {
      {"kernel", [](auto &s) { s.goldens[0].kernel = 2; }, "golden vector 0: names a kernel"},
      {"no scalars", [](auto &s) { s.goldens[1].scalars.clear(); }, "golden vector 1: has more scalars or operands"},
      {"many scalars", [](auto &s) { s.goldens[1].scalars.assign(65, 1); }, "more scalars or operands"},
      {"many operands", [](auto &s) { s.goldens[0].operands.resize(65); }, "more scalars or operands"},
      {"operand too long", [](auto &s) { s.goldens[0].operands[1].second = s.golden_bytes.size(); },
       "golden vector 0: operand 1: does not lie"},
      {"operand wraps", [](auto &s) { s.goldens[0].operands[1].second = UINT64_MAX; }, "operand 1: does not lie"},
      {"operand outside", [](auto &s) { s.goldens[0].operands[1].first = s.golden_bytes.size() + 1; }, "does not lie"},
      {"no bytes", [](auto &s) { s.golden_bytes.clear(); }, "golden vector 0: operand 0: does not lie"},
      {"result's operand", [](auto &s) { s.goldens[0].results[0].operand = 5; }, "result 0: names an operand"},
      {"result too long", [](auto &s) { s.goldens[0].results[0].bytes += 4; }, "result 0: does not lie"},
      {"result starts late", [](auto &s) { s.goldens[0].results[0].at = 68; }, "result 0: does not lie"},
      {"result wraps", [](auto &s) { s.goldens[0].results[0].at = UINT64_MAX - 3; }, "result 0: does not lie"},
      {"expected outside", [](auto &s) { s.goldens[0].results[0].offset = UINT64_MAX - 3; }, "result 0: does not lie"},
      {"bound", [](auto &s) { s.goldens[1].results[0].bound = NAN; }, "result 0: has a bound"},
      {"negative bound", [](auto &s) { s.goldens[1].results[0].bound = -1; }, "result 0: has a bound"},
      {"half a value", [](auto &s) { s.goldens[1].results[0].bytes -= 1; }, "whole f32 values"},
  };
  for (const Broken &broken : cases) {
    ArtifactSpec spec = fake_model();
    add_fake_goldens(spec);
    broken.damage(spec);
    Status status = Artifact::open_bytes(build_artifact(spec), "x").status();
    EXPECT_NE(status.message().find(broken.message), std::string::npos) << broken.name << ": " << status.message();
  }
}

TEST(Verify, Weights) {
  const Broken cases[] = {
      {"segment", [](auto &s) { s.weights[0].segment = 2; }, "weight 0 (bias): names a segment"},
      {"code segment", [](auto &s) { s.weights[0].segment = 1; }, "does not hold weights"},
      {"unaligned", [](auto &s) { s.weights[0].offset = 32; }, "not aligned to 64"},
      {"past the end", [](auto &s) { s.weights[0].offset = 64; }, "does not lie in its segment"},
      {"too long", [](auto &s) { s.weights[0].bytes = 33; }, "does not lie in its segment"},
      {"wraps", [](auto &s) { s.weights[0].bytes = UINT64_MAX; }, "does not lie in its segment"},
      {"shape", [](auto &s) { s.weights[0].rows = s.weights[0].columns = uint64_t(1) << 40; }, "shape that overflows"},
      {"sources", [](auto &s) { s.weights[0].first_source_row = 2, s.weights[0].source_rows = UINT64_MAX; },
       "source rows"},
  };
  expect_refused(cases);
}

TEST(Verify, Model) {
  const Broken cases[] = {
      {"no vocabulary", [](auto &s) { s.model.vocabulary = 0; }, "vocabulary is out of range"},
      {"vocabulary", [](auto &s) { s.model.vocabulary = UINT32_MAX; }, "vocabulary is out of range"},
      {"no positions", [](auto &s) { s.model.max_positions = 0; }, "positions is out of range"},
      {"positions", [](auto &s) { s.model.max_positions = UINT64_MAX; }, "positions is out of range"},
      {"begin id", [](auto &s) { s.model.begin_id = 8; }, "special id"},
      {"pad id", [](auto &s) { s.model.pad_id = -2; }, "special id"},
      {"end id", [](auto &s) { s.model.end_ids = {2, 8}; }, "end id"},
      {"negative end id", [](auto &s) { s.model.end_ids = {-1}; }, "end id"},
      {"length", [](auto &s) { s.model.default_max_model_len = UINT64_MAX; }, "default length or count"},
      {"tokens", [](auto &s) { s.model.default_max_num_batched_tokens = uint64_t(1) << 31; }, "default length or count"},
      {"sequences", [](auto &s) { s.model.default_max_num_seqs = uint64_t(1) << 31; }, "default length or count"},
      {"temperature", [](auto &s) { s.model.temperature = NAN; }, "temperature"},
      {"negative temperature", [](auto &s) { s.model.temperature = -1; }, "temperature"},
      {"top_p", [](auto &s) { s.model.top_p = 1.5f; }, "top_p or min_p"},
      {"min_p", [](auto &s) { s.model.min_p = -INFINITY; }, "top_p or min_p"},
      {"top_k", [](auto &s) { s.model.top_k = -2; }, "top_k"},
      {"repetition_penalty", [](auto &s) { s.model.repetition_penalty = 0; }, "repetition_penalty"},
  };
  expect_refused(cases);
}

TEST(Verify, CacheGroups) {
  const Broken cases[] = {
      {"kind", [](auto &s) { s.groups[0].kind = 4; }, "cache group 0 (all): is of an unknown kind"},
      {"window", [](auto &s) { s.groups[0].kind = 1; }, "window that is out of range"},
      {"large window", [](auto &s) { s.groups[0].kind = 1, s.groups[0].window = INT64_MAX; }, "window that is out"},
      {"page", [](auto &s) { s.groups[0].page_tokens = 0; }, "page size"},
      {"large page", [](auto &s) { s.groups[0].page_tokens = UINT32_MAX; }, "page size"},
      {"layers", [](auto &s) { s.groups[0].layers = 0; }, "number of layers"},
      {"many layers", [](auto &s) { s.groups[0].layers = UINT32_MAX; }, "number of layers"},
      {"bytes", [](auto &s) { s.groups[0].bytes_per_page_layer = 0; }, "page of a size"},
      {"many bytes", [](auto &s) { s.groups[0].bytes_per_page_layer = UINT64_MAX; }, "page of a size"},
      {"too many", [](auto &s) { s.groups.resize(9, s.groups[0]); }, "more than 8 cache groups"},
  };
  expect_refused(cases);
}

TEST(Verify, ArenaAndBuffers) {
  const Broken cases[] = {
      {"arena symbol", [](auto &s) { s.arena.push_back({1, 14, 0}); }, "the arena's size: names a symbol"},
      {"pages of no group", [](auto &s) { s.arena.push_back({1, kPages1, 0}); }, "the arena's size: names a symbol"},
      {"arena negative", [](auto &s) { s.arena.push_back({-1, kTokens, 0}); }, "the arena's size: has a negative"},
      {"arena terms", [](auto &s) { s.arena.resize(65, {1, 0, 0}); }, "more than 64 terms"},
      {"arena overflows", [](auto &s) { s.arena = {{INT64_MAX, 1, 0}, {INT64_MAX, 1, 0}}; }, "arena's size: overflows"},
      {"offset", [](auto &s) { s.buffers[0].offset = {{-64}}; }, "buffer 0 (logits): its offset: has a negative"},
      {"offset symbol", [](auto &s) { s.buffers[0].offset = {{64, 0, 200}}; }, "its offset: names a symbol"},
      {"size", [](auto &s) { s.buffers[0].bytes.push_back({-1}); }, "its size: has a negative"},
      {"past the end", [](auto &s) { s.buffers[0].offset = {{128}}; }, "does not lie in the arena"},
      {"larger in rows", [](auto &s) { s.buffers[0].bytes[0].coefficient += 1; }, "does not lie in the arena"},
      {"grows with tokens", [](auto &s) { s.buffers[0].bytes.push_back({1, kTokens}); }, "does not lie in the arena"},
      {"grows faster", [](auto &s) { s.buffers[0].bytes = {{1, kRows, kRows}}; }, "does not lie in the arena"},
      {"end overflows", [](auto &s) { s.buffers[0].offset = {{INT64_MAX, kRows}}; }, "does not lie in the arena"},
  };
  expect_refused(cases);
}

TEST(Verify, TakesWhatIsRight) {
  // Edges of the rules above that must pass.
  ArtifactSpec spec = fake_model();
  spec.model.pad_id = 7;
  spec.model.end_ids = {};
  spec.groups[0].kind = 1;
  spec.groups[0].window = 4;
  spec.weights.push_back({"tied", 0, 0, 32, 1, 8, 0, 1}); // weights may share bytes
  spec.buffers.push_back({"same place", "f32", {{64}}, {{32, kRows}}});
  spec.buffers.push_back({"empty", "f32", {}, {}});
  // Code for a target that this reader does not know is skipped.
  spec.segments.push_back({"other", 1, std::vector<std::byte>(10), "air", "metal", {}, {}, true, 0});
  Status status = Artifact::open_bytes(build_artifact(spec), "x").status();
  EXPECT_TRUE(status.ok()) << status.message();
}

} // namespace
} // namespace llmrt
