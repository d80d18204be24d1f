#include "runtime/engine/fake_model.h"

#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <limits>

namespace llmrt {

namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9E3779B97F4A7C15u + b + 0x7F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

Status broken(const std::string &what) { return Status(StatusCode::kInternal, "step block: " + what); }

class FakeArtifact final : public Artifact {
public:
  explicit FakeArtifact(const FakeModel &model) {
    flatbuffers::FlatBufferBuilder builder;
    std::vector<flatbuffers::Offset<schema::CacheGroup>> groups;
    for (const FakeModel::Group &group : model.groups) {
      auto kind = group.window > 0 ? schema::CacheKind::Window : schema::CacheKind::AllTokens;
      if (groups.empty() && model.page_kind_override >= 0) kind = schema::CacheKind(model.page_kind_override);
      groups.push_back(schema::CreateCacheGroupDirect(builder, ("g" + std::to_string(groups.size())).c_str(), kind,
                                                      group.window, uint32_t(model.page_tokens), 1,
                                                      uint64_t(group.bytes_per_page), "f32"));
    }
    const auto generation = schema::CreateGenerationDirect(builder, false, 1, 1, -1, 0, 1, &model.end_ids);
    const auto name = builder.CreateString("fake");
    schema::ModelBuilder fields(builder);
    fields.add_name(name);
    fields.add_vocabulary(uint32_t(model.vocabulary));
    fields.add_generation(generation);
    fields.add_uses_rope_length(model.uses_rope_length);
    fields.add_positions_are_bounded(model.positions_are_bounded);
    fields.add_max_positions(uint64_t(model.max_positions));
    fields.add_default_max_model_len(uint64_t(model.max_model_len));
    fields.add_default_max_num_batched_tokens(uint64_t(model.max_num_batched_tokens));
    fields.add_default_max_num_seqs(uint64_t(model.max_num_seqs));
    const auto described = fields.Finish();
    std::vector<schema::Term> terms = {{100, schema::Symbol::Tokens, schema::Symbol::One},
                                       {4 * model.vocabulary, schema::Symbol::Rows, schema::Symbol::One},
                                       {64, schema::Symbol::One, schema::Symbol::One}};
    const auto arena = schema::CreateSizeDirect(builder, &terms);
    std::vector<flatbuffers::Offset<schema::Program>> programs;
    if (model.hidden_width > 0)
      programs.push_back(schema::CreateProgramDirect(builder, "step", nullptr, 0, 1, uint32_t(model.hidden_width)));
    const auto program_list = builder.CreateVector(programs);
    const auto group_list = builder.CreateVector(groups);
    schema::ArtifactBuilder root(builder);
    root.add_model(described);
    root.add_arena(arena);
    root.add_cache_groups(group_list);
    root.add_programs(program_list);
    builder.Finish(root.Finish(), "LLMA");
    buffer_ = builder.Release();
  }

  const std::string &path() const override { return path_; }
  std::span<const std::byte> bytes() const override { return std::as_bytes(std::span(buffer_.data(), buffer_.size())); }
  const schema::Artifact &meta() const override { return *flatbuffers::GetRoot<schema::Artifact>(buffer_.data()); }
  std::span<const std::byte> segment(uint32_t) const override { return {}; }
  uint64_t segment_offset(uint32_t) const override { return 0; }
  std::span<const std::byte> weight(uint32_t) const override { return {}; }
  const Sha256Digest &root_hash() const override { return root_hash_; }
  int file_descriptor() const override { return -1; }

private:
  flatbuffers::DetachedBuffer buffer_;
  std::string path_ = "fake.fbs";
  Sha256Digest root_hash_{};
};

} // namespace

std::shared_ptr<const Artifact> make_fake_artifact(const FakeModel &model) {
  return std::make_shared<FakeArtifact>(model);
}

Status FakeDevice::prepare(const Limits &limits) {
  limits_ = limits;
  // What was never filled must be seen as wrong.
  for (auto *tokens : {&token_ids_, &positions_, &sequence_index_}) tokens->assign(size_t(limits.tokens), -1);
  output_rows_.assign(size_t(limits.rows), -1);
  hidden_rows_.assign(size_t(limits.hidden_rows), -1);
  rope_length_.assign(size_t(limits.sequences), -1);
  for (size_t group = 0; group < model_.groups.size(); ++group) {
    page_tables_.emplace_back(size_t(limits.sequences * limits.max_blocks), -1);
    pools_.emplace_back(size_t(limits.pages[group] * model_.page_tokens));
  }
  logits_.assign(size_t(limits.rows * model_.vocabulary), 0);
  hidden_.assign(size_t(limits.hidden_rows * model_.hidden_width), 0);
  if (model_.candidates == 0) return ok_status();
  whole_rows_.assign(size_t(limits.rows), 1);
  candidates_.resize(size_t(limits.rows * model_.candidates));
  sorted_.resize(size_t(model_.vocabulary));
  return ok_status();
}

StepBlock FakeDevice::step_block() {
  StepBlock block;
  block.token_ids = token_ids_;
  block.positions = positions_;
  block.sequence_index = sequence_index_;
  block.output_rows = output_rows_;
  block.hidden_rows = hidden_rows_;
  block.rope_length = rope_length_;
  for (size_t group = 0; group < page_tables_.size(); ++group) block.page_tables[group] = page_tables_[group];
  block.max_blocks = limits_.max_blocks;
  block.whole_rows = whole_rows_;
  return block;
}

Status FakeDevice::check(const StepShape &shape) const {
  if (shape.tokens <= 0 || shape.tokens > limits_.tokens) return broken("its tokens");
  if (shape.sequences <= 0 || shape.sequences > limits_.sequences) return broken("its sequences");
  if (shape.rows < 0 || shape.rows > limits_.rows) return broken("its rows");
  if (shape.hidden_rows < 0 || shape.hidden_rows > limits_.hidden_rows) return broken("its hidden rows");
  for (int64_t i = 0; i < shape.tokens; ++i) {
    if (token_ids_[size_t(i)] < 0 || token_ids_[size_t(i)] >= model_.vocabulary) return broken("a token id");
    if (positions_[size_t(i)] < 0 || positions_[size_t(i)] >= limits_.max_blocks * model_.page_tokens)
      return broken("a position");
    if (sequence_index_[size_t(i)] < 0 || sequence_index_[size_t(i)] >= shape.sequences)
      return broken("a sequence index");
  }
  for (int64_t i = 0; i < shape.rows; ++i)
    if (output_rows_[size_t(i)] < 0 || output_rows_[size_t(i)] >= shape.tokens) return broken("an output row");
  for (int64_t i = 0; i < shape.hidden_rows; ++i)
    if (hidden_rows_[size_t(i)] < 0 || hidden_rows_[size_t(i)] >= shape.tokens) return broken("a hidden row");
  for (size_t group = 0; group < page_tables_.size(); ++group)
    for (int64_t i = 0; i < shape.sequences * limits_.max_blocks; ++i)
      if (page_tables_[group][size_t(i)] < 0 || page_tables_[group][size_t(i)] >= limits_.pages[group])
        return broken("a page table entry");
  return ok_status();
}

FakeDevice::Cell &FakeDevice::cell(size_t group, int64_t sequence, int64_t position) {
  const int64_t page = page_tables_[group][size_t(sequence * limits_.max_blocks + position / model_.page_tokens)];
  return pools_[group][size_t(page * model_.page_tokens + position % model_.page_tokens)];
}

// The value at a position hashes the token and the value before it, so that it names the whole sequence up to there.
Status FakeDevice::write_token(int64_t token) {
  const int64_t position = positions_[size_t(token)], sequence = sequence_index_[size_t(token)];
  for (size_t group = 0; group < pools_.size(); ++group) {
    uint64_t value = mix(group, uint64_t(token_ids_[size_t(token)]));
    if (model_.uses_rope_length) value = mix(value, uint64_t(rope_length_[size_t(sequence)]));
    const bool sees_previous = position > 0 && model_.groups[group].window != 1;
    if (sees_previous) value = mix(value, cell(group, sequence, position - 1).value);
    Cell &target = cell(group, sequence, position);
    if (target.written_at == steps_) return broken("two tokens of a step share a place in a page");
    target = {value, steps_};
  }
  return ok_status();
}

uint64_t FakeDevice::read_context(int64_t token) {
  const int64_t position = positions_[size_t(token)], sequence = sequence_index_[size_t(token)];
  uint64_t hash = mix(uint64_t(token_ids_[size_t(token)]), uint64_t(position));
  for (size_t group = 0; group < pools_.size(); ++group) {
    const int64_t window = model_.groups[group].window;
    for (int64_t i = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0; i <= position; ++i)
      hash = mix(hash, cell(group, sequence, i).value);
  }
  return hash;
}

void FakeDevice::keep_best(int64_t row) {
  const auto values = std::span(logits_).subspan(size_t(row * model_.vocabulary), size_t(model_.vocabulary));
  for (size_t id = 0; id < values.size(); ++id) sorted_[id] = {values[id], int32_t(id)};
  std::sort(sorted_.begin(), sorted_.end(), [](const Candidate &a, const Candidate &b) {
    const bool none = a.logit != a.logit, none_there = b.logit != b.logit;
    if (none != none_there) return none;
    return none || a.logit == b.logit ? a.id < b.id : a.logit > b.logit;
  });
  for (int64_t i = 0; i < model_.candidates; ++i)
    candidates_[size_t(row * model_.candidates + i)] =
        i < model_.vocabulary ? sorted_[size_t(i)] : Candidate{-std::numeric_limits<float>::infinity(), -1};
}

Status FakeDevice::run(const StepShape &shape) {
  if (steps_ == fail_at_step) return Status(StatusCode::kInternal, "asked to fail");
  if (Status status = check(shape); !status.ok()) return status;
  for (int64_t token = 0; token < shape.tokens; ++token)
    if (Status status = write_token(token); !status.ok()) return status;
  for (int64_t row = 0; row < shape.rows; ++row) {
    const uint64_t hash = read_context(output_rows_[size_t(row)]);
    for (int32_t id = 0; id < model_.vocabulary; ++id) {
      float place = float(mix(hash, uint64_t(id)) >> 40) * 0x1p-23f - 1;
      if (model_.levels > 0) place = float(int32_t(place * float(model_.levels))) / float(model_.levels);
      logits_[size_t(row * model_.vocabulary + id)] = place * model_.spread;
    }
  }
  for (int64_t row = 0; row < shape.hidden_rows; ++row) {
    const uint64_t hash = read_context(hidden_rows_[size_t(row)]);
    for (int32_t i = 0; i < model_.hidden_width; ++i)
      hidden_[size_t(row * model_.hidden_width + i)] = float(mix(hash, ~uint64_t(i)) >> 40) * 0x1p-23f - 1;
  }
  if (steps_ == nan_at_step && shape.rows > 0) logits_[1] = std::numeric_limits<float>::quiet_NaN();
  for (int64_t row = 0; row < shape.rows && model_.candidates > 0; ++row) {
    ++(whole_rows_[size_t(row)] ? whole_rows_run_ : candidate_rows_run_);
    if (!whole_rows_[size_t(row)]) keep_best(row);
  }
  ++steps_;
  tokens_run_ += shape.tokens;
  largest_step_ = std::max(largest_step_, shape.tokens);
  return ok_status();
}

Status FakeDevice::fetch_logits(int64_t row) {
  if (whole_rows_.empty() || whole_rows_[size_t(row)]) return ok_status();
  whole_rows_[size_t(row)] = 1;
  ++fetched_rows_;
  return ok_status();
}

std::span<const Candidate> FakeDevice::candidates(int64_t row) const {
  if (whole_rows_.empty() || whole_rows_[size_t(row)]) return {};
  return std::span(candidates_).subspan(size_t(row * model_.candidates), size_t(model_.candidates));
}

std::span<const float> FakeDevice::logits(int64_t row) const {
  if (!whole_rows_.empty() && !whole_rows_[size_t(row)]) return {};
  return std::span(logits_).subspan(size_t(row * model_.vocabulary), size_t(model_.vocabulary));
}

std::span<const float> FakeDevice::hidden(int64_t row) const {
  return std::span(hidden_).subspan(size_t(row * model_.hidden_width), size_t(model_.hidden_width));
}

Status FakeDevice::copy_page(int group, int32_t from, int32_t to) {
  std::vector<Cell> &pool = pools_[size_t(group)];
  std::copy_n(pool.begin() + from * model_.page_tokens, model_.page_tokens, pool.begin() + to * model_.page_tokens);
  ++copies_;
  return ok_status();
}

} // namespace llmrt
