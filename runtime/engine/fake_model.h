// For tests: an artifact without kernels, and a device that stands for a model. Its "keys and values" at a position are
// a hash of every token up to it, written to and read back from pages through the page tables, so that a mistake in
// paging changes the logits.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/device/device.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace llmrt {

struct FakeModel {
  struct Group {
    int64_t window = 0; // 0: all tokens
    int64_t bytes_per_page = 1024;
  };
  int32_t vocabulary = 50;
  std::vector<Group> groups = {{}};
  int32_t page_tokens = 4;
  std::vector<int32_t> end_ids = {0};
  bool uses_rope_length = false, positions_are_bounded = false;
  int64_t max_positions = 0;
  int64_t max_model_len = 128, max_num_batched_tokens = 64, max_num_seqs = 8;
  int64_t page_kind_override = -1; // of the first group, for artifacts from the future
  float spread = 3;                // of the logits
  int32_t hidden_width = 0;        // 0: the artifact gives no hidden states
  int32_t candidates = 0;          // that the device gives of a row
  int32_t levels = 0;              // that logits are rounded to, so that some are equal; 0: none
};

std::shared_ptr<const Artifact> make_fake_artifact(const FakeModel &model);

class FakeDevice final : public Device {
public:
  explicit FakeDevice(const FakeModel &model) : model_(model) {}

  std::string description() const override { return "fake"; }
  std::string_view target() const override { return "cpu"; }
  Status prepare(const Limits &limits) override;
  StepBlock step_block() override;
  // kInternal, too, if the step block breaks a rule of docs/kernels.md or two sequences write to one place.
  Status run(const StepShape &shape) override;
  std::span<const float> logits(int64_t row) const override;
  Status fetch_logits(int64_t row) override;
  int64_t candidate_count() const override { return model_.candidates; }
  std::span<const Candidate> candidates(int64_t row) const override;
  bool gives_hidden() const override { return true; }
  std::span<const float> hidden(int64_t row) const override;
  Status copy_page(int group, int32_t from, int32_t to) override;

  std::atomic<int64_t> fail_at_step = -1; // that run() fails
  std::atomic<int64_t> nan_at_step = -1;  // whose first row is NaN
  int64_t steps() const { return steps_; }
  int64_t tokens_run() const { return tokens_run_; }
  int64_t copies() const { return copies_; }
  int64_t largest_step() const { return largest_step_; }
  int64_t whole_rows() const { return whole_rows_run_; }          // of all steps, that were wanted whole
  int64_t candidate_rows() const { return candidate_rows_run_; } // of which candidates were
  int64_t fetched_rows() const { return fetched_rows_; }         // of those, whose logits were wanted afterwards

private:
  struct Cell {
    uint64_t value = 0;
    int64_t written_at = -1; // step
  };

  Status check(const StepShape &shape) const;
  Cell &cell(size_t group, int64_t sequence, int64_t position);
  Status write_token(int64_t token);
  uint64_t read_context(int64_t token);
  void keep_best(int64_t row);

  FakeModel model_;
  Limits limits_;
  std::vector<int32_t> token_ids_, positions_, sequence_index_, output_rows_, hidden_rows_, rope_length_;
  std::vector<std::vector<int32_t>> page_tables_;
  std::vector<std::vector<Cell>> pools_;
  std::vector<float> logits_, hidden_;
  std::vector<uint8_t> whole_rows_;
  std::vector<Candidate> candidates_, sorted_;
  int64_t steps_ = 0, tokens_run_ = 0, copies_ = 0, largest_step_ = 0;
  int64_t whole_rows_run_ = 0, candidate_rows_run_ = 0, fetched_rows_ = 0;
};

} // namespace llmrt
