// An artifact, mapped and verified. After open() every offset, size, count and index in it has been checked, so that
// nobody downstream checks again.
#pragma once

#include "runtime/base/sha256.h"
#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace llmrt {

namespace schema {
struct Artifact; // generated from runtime/schema/artifact.fbs
}

struct OpenOptions {
  bool verify_weights = false; // read and hash every weight; else only everything but the weights
};

class Artifact {
public:
  // Maps the file read-only and runs the verifier (runtime/artifact/verify.h). Errors say what is wrong and where.
  static Result<std::shared_ptr<const Artifact>> open(const std::string &path, const OpenOptions &options = {});
  // The same for a file that lies in memory (copied; `name` stands for its path). It has no file descriptor.
  static Result<std::shared_ptr<const Artifact>> open_bytes(std::span<const std::byte> file, const std::string &name,
                                                            const OpenOptions &options = {});
  virtual ~Artifact() = default;

  virtual const std::string &path() const = 0;
  virtual std::span<const std::byte> bytes() const = 0;                  // the whole file
  virtual const schema::Artifact &meta() const = 0;
  virtual std::span<const std::byte> segment(uint32_t index) const = 0;  // empty: made-up weights that are not made yet
  virtual uint64_t segment_offset(uint32_t index) const = 0;             // in the file, for mapping code
  virtual std::span<const std::byte> weight(uint32_t index) const = 0;
  virtual const Sha256Digest &root_hash() const = 0; // SHA-256 over the metadata's hash, then each segment's
  virtual int file_descriptor() const = 0;           // open while the artifact lives; -1 for one in memory
};

// Hashes weight segments, but for those that are not made, chunk by chunk against the artifact's hashes; `whole` checks each segment's own hash as well
// (it reads once and hashes twice). `progress` is told the bytes done and the total before each chunk and returns
// false to stop (kCancelled). For the check at opening, and for one in the background after the server is ready.
using WeightProgress = std::function<bool(uint64_t done, uint64_t total)>;
Status verify_weights(const Artifact &artifact, bool whole, const WeightProgress &progress = {});

} // namespace llmrt
