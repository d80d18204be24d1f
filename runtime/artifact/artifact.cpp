#include "runtime/artifact/artifact.h"

#include "runtime/artifact/prefix.h"
#include "runtime/artifact/verify.h"
#include "runtime/base/os.h"

#include <cstring>
#include <vector>

namespace llmrt {

namespace {

class MappedArtifact final : public Artifact {
public:
  MappedArtifact(std::string path, os::File file, os::Mapping mapping)
      : path_(std::move(path)), file_(std::move(file)), mapping_(std::move(mapping)) {}

  // Everything of open() but the weights.
  Status verify();

  const std::string &path() const override { return path_; }
  std::span<const std::byte> bytes() const override { return mapping_.view(); }
  const schema::Artifact &meta() const override { return *meta_; }
  std::span<const std::byte> segment(uint32_t index) const override {
    const schema::Segment &segment = *meta_->segments()->Get(index);
    if (segment.kind() == schema::SegmentKind::RandomWeights)
      return {};
    return bytes().subspan(segment.offset(), segment.bytes());
  }
  uint64_t segment_offset(uint32_t index) const override { return meta_->segments()->Get(index)->offset(); }
  std::span<const std::byte> weight(uint32_t index) const override {
    const schema::Weight &weight = *meta_->weights()->Get(index);
    std::span<const std::byte> all = segment(weight.segment());
    return all.empty() ? all : all.subspan(weight.offset(), weight.bytes());
  }
  const Sha256Digest &root_hash() const override { return root_hash_; }
  int file_descriptor() const override { return file_.descriptor(); }

private:
  void compute_root_hash(const Sha256Digest &metadata);

  std::string path_;
  os::File file_;
  os::Mapping mapping_;
  const schema::Artifact *meta_ = nullptr;
  Sha256Digest root_hash_{};
};

void MappedArtifact::compute_root_hash(const Sha256Digest &metadata) {
  std::vector<Sha256Digest> segments(count_of(meta_->segments()));
  for (uint32_t i = 0; i < segments.size(); ++i)
    std::memcpy(segments[i].data(), meta_->segments()->Get(i)->sha256()->bytes()->Data(), segments[i].size());
  root_hash_ = llmrt::root_hash(metadata, segments);
}

Status MappedArtifact::verify() {
  Result<Prefix> prefix = parse_prefix(bytes());
  if (!prefix)
    return prefix.status();
  auto corrupt = [](const char *message) { return Status(StatusCode::kCorrupt, message); };
  std::span<const std::byte> metadata = bytes().subspan(prefix->metadata_offset, prefix->metadata_bytes);
  if (sha256(metadata) != prefix->metadata_sha256)
    return corrupt("the metadata is not what its hash says: the file is damaged, copy or compile it again");
  meta_ = verify_flatbuffer(metadata);
  if (!meta_)
    return corrupt("the metadata is not a well-formed flatbuffer of an artifact");
  uint64_t metadata_end = prefix->metadata_offset + prefix->metadata_bytes;
  if (Status status = verify_segments(*meta_, bytes().size(), metadata_end); !status.ok())
    return status;
  if (Status status = verify_hashes(*meta_, bytes(), metadata_end); !status.ok())
    return status;
  if (Status status = verify_contents(*meta_, bytes()); !status.ok())
    return status;
  compute_root_hash(prefix->metadata_sha256);
  return ok_status();
}

Result<std::shared_ptr<const Artifact>> finish_open(std::shared_ptr<MappedArtifact> artifact,
                                                    const OpenOptions &options) {
  if (Status status = artifact->verify(); !status.ok())
    return Status(status.code(), artifact->path() + ": " + status.message());
  if (options.verify_weights)
    if (Status status = verify_weights(*artifact, true); !status.ok())
      return status;
  return std::shared_ptr<const Artifact>(std::move(artifact));
}

} // namespace

Result<std::shared_ptr<const Artifact>> Artifact::open(const std::string &path, const OpenOptions &options) {
  Result<os::File> file = os::open_read(path);
  if (!file)
    return file.status();
  Result<uint64_t> bytes = os::file_bytes(*file);
  if (!bytes)
    return Status(StatusCode::kInvalidArgument, path + ": " + bytes.status().message());
  Result<os::Mapping> mapping = os::map_file(*file, 0, *bytes, os::FileAccess::kRead);
  if (!mapping)
    return Status(mapping.status().code(), path + ": " + mapping.status().message());
  return finish_open(std::make_shared<MappedArtifact>(path, *std::move(file), *std::move(mapping)), options);
}

Result<std::shared_ptr<const Artifact>> Artifact::open_bytes(std::span<const std::byte> file, const std::string &name,
                                                             const OpenOptions &options) {
  Result<os::Mapping> copy = os::map_memory(file.size(), false);
  if (!copy)
    return copy.status();
  if (!file.empty())
    std::memcpy(copy->data(), file.data(), file.size());
  return finish_open(std::make_shared<MappedArtifact>(name, os::File(), *std::move(copy)), options);
}

} // namespace llmrt
