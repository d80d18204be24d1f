#include "runtime/weights/random_weights.h"

#include "runtime/artifact/random_weights.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/packing/half.h"
#include "runtime/packing/normal.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
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
  packing::WeightForm form = weight_form(weight);
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
  RandomRows(const schema::RandomWeights &random, const schema::Weight &weight, int64_t columns,
             std::span<const uint64_t> keys)
      : random_(random), weight_(weight), columns_(columns), keys_(keys) {}

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
  std::span<const uint64_t> keys_; // of each source's tensor
};

// A weight that is to be made.
struct Made {
  const schema::Weight *weight;
  packing::WeightForm form;
  std::vector<uint64_t> keys; // of each source's tensor
};

// Some blocks of one of them.
struct Task {
  size_t made;
  int64_t first, count;
};

class Maker {
public:
  Maker(const schema::Artifact &meta, uint32_t segment, std::byte *out) : meta_(meta), out_(out) {
    for (uint32_t i = 0; i < count_of(meta.weights()); ++i)
      if (const schema::Weight *weight = meta.weights()->Get(i); weight->segment() == segment)
        add(*weight);
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
  void add(const schema::Weight &weight) {
    packing::WeightForm form = form_of(weight);
    std::vector<uint64_t> keys;
    for (uint32_t i = 0; i < count_of(weight.sources()); ++i)
      keys.push_back(packing::stream_key(meta_.random()->seed(), text_of(weight.sources()->Get(i)->tensor())));
    int64_t blocks = form.blocks(),
            together = std::max<int64_t>(1, kTaskBytes / std::max<int64_t>(form.block_bytes(), 1));
    for (int64_t first = 0; first < blocks; first += together)
      tasks_.push_back({made_.size(), first, std::min(together, blocks - first)});
    made_.push_back({&weight, std::move(form), std::move(keys)});
  }

  // Nothing may leave a thread but its status.
  void work() {
    try {
      std::vector<float> rows;
      for (size_t i = next_++; i < tasks_.size() && !failed_; i = next_++)
        make(tasks_[i], rows);
    } catch (const std::bad_alloc &) {
      fail(Status(StatusCode::kExhausted, "no memory is left for the rows of a weight"));
    }
  }

  void make(const Task &task, std::vector<float> &rows) {
    const auto &[weight, form, keys] = made_[task.made];
    RandomRows reader(*meta_.random(), *weight, form.columns, keys);
    char *out = reinterpret_cast<char *>(out_) + weight->offset() + uint64_t(task.first * form.block_bytes());
    Status status = packing::pack_blocks(form, reader, task.first, task.count, rows,
                                         {out, size_t(task.count * form.block_bytes())});
    if (!status.ok())
      fail(Status(status.code(), "weight " + std::string(text_of(weight->name())) + " " + status.message()));
  }

  void fail(Status status) {
    std::lock_guard lock(mutex_);
    if (!failed_.exchange(true))
      failure_ = std::move(status);
  }

  const schema::Artifact &meta_;
  std::byte *out_;
  std::vector<Made> made_;
  std::vector<Task> tasks_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  Status failure_;
};

// Memory is taken when it is touched: too much of it would be found out by the system, which ends the process.
Status check_room(const Artifact &artifact, uint64_t bytes) {
  const uint64_t available = os::available_memory(); // 0: not known
  if (available == 0 || bytes <= available)
    return ok_status();
  return Status(StatusCode::kExhausted, artifact.path() + ": its weights, which are made at load, need " +
                                            format_bytes(bytes) + " of memory; " + format_bytes(available) +
                                            " are available");
}

// The verifier lets one such segment through.
Result<std::shared_ptr<const Artifact>> make(std::shared_ptr<const Artifact> artifact, int threads) {
  const schema::Artifact &meta = artifact->meta();
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i) {
    const schema::Segment &segment = *meta.segments()->Get(i);
    if (segment.kind() != schema::SegmentKind::RandomWeights || !artifact->segment(i).empty()) // made already
      continue;
    if (Status status = check_room(*artifact, segment.bytes()); !status.ok())
      return status;
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
