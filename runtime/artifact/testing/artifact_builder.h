// Builds small artifacts for tests, valid or broken in any way: a plain description, turned into a file's bytes with
// all hashes right. Enums are plain integers here so that tests can write values that do not exist.
#pragma once

#include "runtime/abi/kernel.h"
#include "runtime/artifact/artifact.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace llmrt::testing {

// Symbols of runtime/schema/artifact.fbs by their values.
enum : int { kOne, kTokens, kSequences, kRows, kMaxBlocks, kPages0, kPages1, kHiddenRows = 13 };

struct TermSpec {
  int64_t coefficient = 0;
  int a = kOne, b = kOne;
};
using SizeSpec = std::vector<TermSpec>;

// ---- code segments -------------------------------------------------------------------------------------------------
struct CodeTermSpec {
  int64_t coefficient = 0;
  std::array<int16_t, 3> scalars = {-1, -1, -1};
};
using ExpressionSpec = std::vector<CodeTermSpec>;

struct CodeOperandSpec {
  uint32_t access = LLMRT_ACCESS_READ, alignment = 4;
  ExpressionSpec extent, maximum;
};

struct VariantSpec {
  std::array<uint8_t, 16> id{};
  std::vector<uint8_t> code;
  uint64_t features = 0;
  int64_t first_rows = 0, last_rows = INT64_MAX;
  ExpressionSpec items, scratch;
  std::vector<CodeOperandSpec> operands;
  std::vector<ExpressionSpec> constraints;
  uint32_t scalar_count = 1, grain = 1;
};

struct CodeSpec {
  uint32_t architecture = LLMRT_ARCH_X86_64;
  uint64_t features = 0;
  std::vector<VariantSpec> variants;
};
std::vector<std::byte> build_code(const CodeSpec &spec);

// ---- artifacts -----------------------------------------------------------------------------------------------------
struct SegmentSpec {
  std::string name;
  int kind = 0; // 0 weights, 1 code, 2 random weights: their bytes are hashed and not in the file
  std::vector<std::byte> bytes;
  std::string layout, target;
  // What the table says, where that is not the truth.
  std::optional<uint64_t> offset, size;
  bool hash = true;
  int chunks_too_many = 0;
};
struct SourceSpec {
  std::string tensor = "t";
  uint64_t first = 0, count = 1, tensor_columns = 1;
  bool transpose = false, zeros = false, ones = false;
  double scale = 1, add = 0;
};
struct WeightSpec {
  std::string name;
  uint32_t segment = 0;
  uint64_t offset = 0, bytes = 0, rows = 1, columns = 1;
  uint64_t first_source_row = 0, source_rows = 1;
  std::vector<SourceSpec> sources = {}; // in the place of that one
  std::string scheme = "none", element = "f32", layout = "vector", rounded = "";
  uint32_t interleave = 0;
  std::vector<float> values = {};
};
struct RandomSpec {
  uint64_t seed = 7;
  float deviation = 0.5f;
  std::string element = "f32";
};
struct BufferSpec {
  std::string name, element = "f32";
  SizeSpec offset, bytes;
};
struct GroupSpec {
  std::string name = "all";
  int kind = 0;
  int64_t window = 0;
  uint32_t page_tokens = 16, layers = 1;
  uint64_t bytes_per_page_layer = 64;
};
struct OperandSpec {
  int kind = 0; // 0 buffer, 1 weight, 2 input, 3 cache
  uint32_t index = 0, group = 0;
  SizeSpec offset;
};
struct ScalarSpec {
  int64_t value = 0;
  int symbol = kOne;
};
struct DispatchSpec {
  int type = 1; // 1 kernel, 2 copy, 3 call, 4 collective
  uint32_t kernel = 0;
  std::vector<OperandSpec> operands; // of a copy: source and destination
  std::vector<ScalarSpec> scalars;
  SizeSpec bytes; // of a copy
  std::string label;
};
struct CandidatesSpec {
  std::vector<DispatchSpec> dispatches;
  uint32_t buffer = 0, count = 1;
};
struct ProgramSpec {
  std::string name = "step";
  std::vector<DispatchSpec> dispatches;
  uint32_t logits = 0;
  int32_t hidden = -1;
  uint32_t hidden_width = 0;
  std::optional<CandidatesSpec> candidates = {};
  std::vector<std::string> targets = {};
  std::string activations = {};
  std::optional<SizeSpec> arena = {};
};
struct KernelSpec {
  std::string name;
  std::vector<uint8_t> id;
};
struct GoldenResultSpec {
  uint32_t operand = 0;
  float bound = 0;
  uint64_t at = 0, offset = 0, bytes = 0; // offset: in golden_bytes
};
struct GoldenSpec {
  uint32_t kernel = 0;
  std::vector<int64_t> scalars;
  std::vector<std::pair<uint64_t, uint64_t>> operands; // offset in golden_bytes, bytes
  std::vector<GoldenResultSpec> results;
};
struct ModelSpec {
  uint32_t vocabulary = 8;
  uint64_t max_positions = 64;
  bool positions_are_bounded = false;
  int32_t begin_id = 1, pad_id = -1;
  std::vector<int32_t> end_ids = {2};
  float temperature = 1, top_p = 1, min_p = 0, repetition_penalty = 1;
  int32_t top_k = -1;
  uint64_t default_max_model_len = 64, default_max_num_batched_tokens = 16, default_max_num_seqs = 4;
};
struct ArtifactSpec {
  ModelSpec model;
  SizeSpec arena;
  std::vector<SegmentSpec> segments;
  std::vector<WeightSpec> weights;
  std::vector<BufferSpec> buffers;
  std::vector<GroupSpec> groups;
  std::vector<KernelSpec> kernels;
  std::vector<ProgramSpec> programs;
  std::vector<GoldenSpec> goldens;
  std::vector<uint8_t> golden_bytes;
  std::optional<RandomSpec> random;
};
std::vector<std::byte> build_artifact(const ArtifactSpec &spec);

// Makes the file's length, the metadata's hash and the hashes of all segments right again, as far as they can be found
// in a damaged file; false if the metadata cannot be read so far.
bool fix_hashes(std::vector<std::byte> &file);

} // namespace llmrt::testing
