// A device runs the program of an artifact. The engine sees this interface alone; it never sees a kernel, and the
// device never sees a request.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/status.h"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace llmrt {

inline constexpr int kMaxCacheGroups = 8;

// The largest step that can be run; memory is taken once for it.
struct Limits {
  int64_t tokens = 0;     // rows of a step
  int64_t sequences = 0;  // sequences in a step
  int64_t rows = 0;       // output rows of a step
  int64_t max_blocks = 0; // page table entries of a sequence: ceil(max_model_len / page_tokens)
  std::array<int64_t, kMaxCacheGroups> pages{}; // of each cache group's pool
  int64_t hidden_rows = 0; // rows of hidden states of a step; 0: none are asked for
};

// What the runtime fills before a step: views into the device's step block, sized for the limits.
struct StepBlock {
  std::span<int32_t> token_ids;      // [tokens]
  std::span<int32_t> positions;      // [tokens]
  std::span<int32_t> sequence_index; // [tokens]
  std::span<int32_t> output_rows;    // [rows], indices of this step's tokens
  std::span<int32_t> hidden_rows;    // [hidden_rows], likewise
  std::span<int32_t> rope_length;    // [sequences]
  std::array<std::span<int32_t>, kMaxCacheGroups> page_tables; // [sequences][max_blocks] each, row-major
  int64_t max_blocks = 0;
  // [rows], of the host alone, where the device gives candidates, else empty. 0: of this row nothing but the candidates is
  // wanted; 1, which it is at first: the logits are.
  std::span<uint8_t> whole_rows;
};

// A logit and the id it is of.
struct Candidate {
  float logit = 0;
  int32_t id = -1; // -1: there are no more
};

struct StepShape {
  int64_t tokens = 0, sequences = 0, rows = 0, hidden_rows = 0;
};

class Device {
public:
  virtual ~Device() = default;

  virtual std::string description() const = 0; // "cpu x86-64-v4-vnni, 2 threads"
  virtual std::string_view target() const = 0; // whose program it runs: "cpu", "cuda", "vulkan"

  // Bytes that the default size of the KV cache is taken from; 0: those of the machine.
  virtual int64_t memory_budget() const { return 0; }

  // Takes all memory a step within `limits` needs. Called once, before anything below.
  virtual Status prepare(const Limits &limits) = 0;
  virtual StepBlock step_block() = 0;

  // Runs the target's program "step" over the first shape.tokens rows of the step block; every row's keys and values are
  // in its pages afterwards. Takes no memory.
  virtual Status run(const StepShape &shape) = 0;

  // Logits of output row `row` of the last run: f32 [vocabulary], valid until the next. Where the candidates alone were
  // wanted they may be empty until they are fetched; that takes no memory.
  virtual std::span<const float> logits(int64_t row) const = 0;
  virtual Status fetch_logits(int64_t row) {
    (void)row;
    return ok_status();
  }

  // How many candidates of a row the device can give in the place of its logits; 0: none.
  virtual int64_t candidate_count() const { return 0; }
  // The best of a row of which nothing else was wanted, best first, the lower id on a tie; what is not a number comes
  // before all. Valid until the next run.
  virtual std::span<const Candidate> candidates(int64_t row) const {
    (void)row;
    return {};
  }

  // Likewise of hidden row `row`: f32 [Program.hidden_width]. A device that does not give them says so, and is prepared
  // for none.
  virtual bool gives_hidden() const { return false; }
  virtual std::span<const float> hidden(int64_t row) const {
    (void)row;
    return {};
  }

  // Copies page `from` of a group to page `to`, in all layers (copy on write). Between steps only.
  virtual Status copy_page(int group, int32_t from, int32_t to) = 0;
};

// Bytes by the artifact's own formulas for a target, for --print-memory and for sizing the pools before prepare().
struct MemoryPlan {
  int64_t arena_bytes = 0;      // step buffers
  int64_t step_block_bytes = 0;
  int64_t scratch_bytes = 0;    // all threads
  std::array<int64_t, kMaxCacheGroups> pool_bytes{}, bytes_per_page{};
};
MemoryPlan plan_memory(const Artifact &artifact, std::string_view target, const Limits &limits, int threads,
                       int64_t scratch_per_thread);

} // namespace llmrt
