// Hashes of weights, chunk by chunk.
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/prefix.h"
#include "runtime/artifact/verify.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace llmrt {

namespace {

bool same(const Sha256Digest &digest, const schema::Sha256 &expected) {
  return std::memcmp(digest.data(), expected.bytes()->Data(), digest.size()) == 0;
}

Status damaged(const Artifact &artifact, const schema::Segment &segment, const std::string &what) {
  return Status(StatusCode::kCorrupt, artifact.path() + ": segment " + std::string(text_of(segment.name())) + ", " +
                                          what + ": the weights are damaged; copy or compile the file again");
}

uint64_t weight_bytes(const Artifact &artifact) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < count_of(artifact.meta().segments()); ++i)
    if (holds_weights(*artifact.meta().segments()->Get(i)))
      total += artifact.segment(i).size();
  return total;
}

} // namespace

Status verify_weights(const Artifact &artifact, bool whole, const WeightProgress &progress) {
  const auto *segments = artifact.meta().segments();
  uint64_t done = 0, total = weight_bytes(artifact);
  for (uint32_t i = 0; i < count_of(segments); ++i) {
    const schema::Segment &segment = *segments->Get(i);
    if (!holds_weights(segment) || artifact.segment(i).size() != segment.bytes())
      continue; // made-up weights that are not made
    std::span<const std::byte> rest = artifact.segment(i);
    std::optional<Sha256> all;
    if (whole)
      all.emplace();
    for (uint32_t chunk = 0; !rest.empty(); ++chunk) {
      if (progress && !progress(done, total))
        return Status(StatusCode::kCancelled, "the check of the weights was stopped");
      std::span<const std::byte> bytes = rest.subspan(0, std::min<size_t>(rest.size(), kHashChunk));
      if (!same(sha256(bytes), *segment.chunk_sha256()->Get(chunk)))
        return damaged(artifact, segment, "MiB " + std::to_string(chunk));
      if (whole)
        all->update(bytes);
      done += bytes.size();
      rest = rest.subspan(bytes.size());
    }
    if (whole && !same(all->finish(), *segment.sha256()))
      return damaged(artifact, segment, "its own hash");
  }
  return ok_status();
}

} // namespace llmrt
