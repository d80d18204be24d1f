#include "runtime/weights/random_weights.h"

#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/packing/half.h"
#include "runtime/packing/normal.h"
#include "runtime/packing/pack_weight.h"
#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

namespace llmrt {

namespace {

constexpr int64_t kTaskBytes = int64_t(2) << 20; // of packed bytes; a block may be larger
constexpr size_t kStackBytes = 256 << 10;        // of a thread: a group's values and its search take some 40 KB

// The artifact with one segment in memory.
class MadeArtifact final : public Artifact {
public:
  MadeArtifact(std::shared_ptr<const Artifact> file, uint32_t segment, os::Mapping made)
      : file_(std::move(file)), segment_(segment), made_(std::move(made)) {}

  const std::string &path() const override { return file_->path(); }
  std::span<const std::byte> bytes() const override { return file_->bytes(); }
  const schema::Artifact &meta() const override { return file_->meta(); }
  std::span<const std::byte> segment(uint32_t index) const override {
    return index == segment_ ? made_.view() : file_->segment(index);
  }
  uint64_t segment_offset(uint32_t index) const override { return file_->segment_offset(index); }
  std::span<const std::byte> weight(uint32_t index) const override {
    const schema::Weight &weight = *meta().weights()->Get(index);
    return segment(weight.segment()).subspan(weight.offset(), weight.bytes());
  }
  const Sha256Digest &root_hash() const override { return file_->root_hash(); }
  int file_descriptor() const override { return file_->file_descriptor(); }

private:
  std::shared_ptr<const Artifact> file_;
  uint32_t segment_;
  os::Mapping made_;
};

packing::WeightForm form_of(const schema::Weight &weight) {
  packing::WeightForm form;
  form.is_vector = text_of(weight.layout()) == "vector";
  form.rows = int64_t(form.is_vector ? weight.columns() : weight.rows());
  form.columns = form.is_vector ? 1 : int64_t(weight.columns());
  form.interleaved = weight.interleave() != 0;
  form.scheme = form.is_vector ? nullptr : packing::find_scheme(text_of(weight.scheme()));
  form.element = text_of(form.is_vector ? weight.rounded() : weight.element());
  if (weight.values())
    form.sources.push_back({form.rows});
  for (uint32_t i = 0; i < count_of(weight.sources()); ++i) {
    const schema::SourceRows &source = *weight.sources()->Get(i);
    form.sources.push_back({int64_t(source.row_count()), float(source.scale()), float(source.add()), source.zeros()});
  }
  return form;
}

// The tensors of docs/random-weights.md.
class RandomRows final : public packing::RowReader {
public:
  RandomRows(const schema::RandomWeights &random, const schema::Weight &weight, int64_t columns)
      : random_(random), weight_(weight), columns_(columns) {
    for (uint32_t i = 0; i < count_of(weight.sources()); ++i)
      keys_.push_back(packing::stream_key(random.seed(), text_of(weight.sources()->Get(i)->tensor())));
  }

  Status read(size_t index, int64_t first, int64_t count, std::span<float> out) override {
    if (weight_.values()) {
      std::copy_n(weight_.values()->data() + first, count, out.begin());
      return ok_status();
    }
    const schema::SourceRows &source = *weight_.sources()->Get(uint32_t(index));
    uint64_t row = source.first_row() + uint64_t(first);
    if (source.ones()) {
      std::fill(out.begin(), out.end(), 1.0f);
      return ok_status();
    }
    if (source.transpose())
      read_transposed(keys_[index], source.tensor_columns(), row, count, out);
    else
      packing::fill_normal(keys_[index], row * uint64_t(columns_), random_.deviation(), out);
    packing::round_elements(text_of(random_.element()), out);
    return ok_status();
  }

private:
  // A stored row has a value of each of the rows that are read.
  void read_transposed(uint64_t key, uint64_t stored_columns, uint64_t row, int64_t count, std::span<float> out) {
    std::vector<float> values(static_cast<size_t>(count));
    for (int64_t column = 0; column < columns_; ++column) {
      packing::fill_normal(key, uint64_t(column) * stored_columns + row, random_.deviation(), values);
      for (int64_t i = 0; i < count; ++i)
        out[size_t(i * columns_ + column)] = values[size_t(i)];
    }
  }

  const schema::RandomWeights &random_;
  const schema::Weight &weight_;
  int64_t columns_;
  std::vector<uint64_t> keys_; // of each source's tensor
};

// Some blocks of one weight.
struct Task {
  uint32_t weight;
  int64_t first, count;
};

class Maker {
public:
  Maker(const schema::Artifact &meta, uint32_t segment, std::byte *out) : meta_(meta), out_(out) {
    for (uint32_t i = 0; i < count_of(meta.weights()); ++i) {
      forms_.push_back(form_of(*meta.weights()->Get(i)));
      if (meta.weights()->Get(i)->segment() == segment)
        add_tasks(i);
    }
  }

  Status run(int threads) {
    std::vector<os::Thread> others;
    for (int i = 1; i < threads && size_t(i) < tasks_.size(); ++i)
      if (Result<os::Thread> thread = os::Thread::start(kStackBytes, [this] { work(); }); thread)
        others.push_back(*std::move(thread)); // with fewer it takes longer
    work();
    for (os::Thread &thread : others)
      thread.join();
    return failure_;
  }

private:
  void add_tasks(uint32_t weight) {
    const packing::WeightForm &form = forms_[weight];
    int64_t blocks = form.blocks(),
            together = std::max<int64_t>(1, kTaskBytes / std::max<int64_t>(form.block_bytes(), 1));
    for (int64_t first = 0; first < blocks; first += together)
      tasks_.push_back({weight, first, std::min(together, blocks - first)});
  }

  void work() {
    std::vector<float> rows;
    for (size_t i = next_++; i < tasks_.size() && !failed_; i = next_++) {
      const Task &task = tasks_[i];
      const schema::Weight &weight = *meta_.weights()->Get(task.weight);
      const packing::WeightForm &form = forms_[task.weight];
      RandomRows reader(*meta_.random(), weight, form.columns);
      char *out = reinterpret_cast<char *>(out_) + weight.offset() + uint64_t(task.first * form.block_bytes());
      Status status = packing::pack_blocks(form, reader, task.first, task.count, rows,
                                           {out, size_t(task.count * form.block_bytes())});
      if (status.ok())
        continue;
      std::lock_guard lock(mutex_);
      if (!failed_.exchange(true))
        failure_ = Status(status.code(), "weight " + std::string(text_of(weight.name())) + " " + status.message());
    }
  }

  const schema::Artifact &meta_;
  std::byte *out_;
  std::vector<packing::WeightForm> forms_; // of each weight
  std::vector<Task> tasks_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  Status failure_;
};

// The verifier lets one such segment through.
Result<std::shared_ptr<const Artifact>> make(std::shared_ptr<const Artifact> artifact, int threads) {
  const schema::Artifact &meta = artifact->meta();
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    if (segment.kind() != schema::SegmentKind::RandomWeights)
      continue;
    Result<os::Mapping> memory = os::map_memory(segment.bytes(), true);
    if (!memory)
      return Status(StatusCode::kExhausted,
                    artifact->path() +
                        ": memory for its weights, which it has not in the file: " + memory.status().message());
    if (Status status = Maker(meta, i, memory->data()).run(threads); !status.ok())
      return Status(status.code(), artifact->path() + ": " + status.message());
    return std::shared_ptr<const Artifact>(std::make_shared<MadeArtifact>(artifact, i, *std::move(memory)));
  }
  return artifact;
}

} // namespace

extern "C" const RandomWeightMaker llmrt_random_weights = {make};

} // namespace llmrt
