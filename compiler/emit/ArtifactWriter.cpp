#include "compiler/emit/ArtifactWriter.h"

#include "compiler/emit/HugeWrites.h"
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/prefix.h"
#include "runtime/base/os.h"
#include "llvm/Support/Signals.h"

#include <csignal>

namespace llmc {
namespace {

llvm::Error toError(const llmrt::Status &status) {
  return status.ok() ? llvm::Error::success() : llvm::createStringError(status.message());
}

std::span<const std::byte> asBytes(const void *data, size_t bytes) {
  return {static_cast<const std::byte *>(data), bytes};
}

// A signal that ends the process removes the file first; a write beyond RLIMIT_FSIZE is an error like a full disk.
class RemovedOnSignal {
public:
  RemovedOnSignal() {
#ifdef SIGXFSZ
    std::signal(SIGXFSZ, SIG_IGN);
#endif
  }
  ~RemovedOnSignal() { watch(""); }
  RemovedOnSignal(const RemovedOnSignal &) = delete;

  // From now on this file, and not the one before.
  void watch(const std::string &next) {
    if (!path.empty()) llvm::sys::DontRemoveFileOnSignal(path);
    path = next;
    if (!path.empty()) llvm::sys::RemoveFileOnSignal(path);
  }

private:
  std::string path;
};

uint64_t alignUp(uint64_t value) {
  return (value + llmrt::kSegmentAlignment - 1) / llmrt::kSegmentAlignment * llmrt::kSegmentAlignment;
}

// Code first, then the weights; the metadata's size does not depend on where they lie.
llvm::Expected<FileLayout> layoutFile(const ArtifactContents &contents) {
  FileLayout layout;
  auto placeAll = [&](uint64_t end) {
    layout.code.clear();
    auto place = [&](uint64_t bytes) {
      SegmentPlace segment{alignUp(end), bytes};
      end = segment.offset + bytes;
      return segment;
    };
    for (const codegen::CodeSegment &code : contents.code) layout.code.push_back(place(code.bytes.size()));
    layout.weights = contents.random ? SegmentPlace{0, contents.weights.bytes} : place(contents.weights.bytes);
    layout.end = end;
  };
  placeAll(llmrt::kPrefixBytes);
  auto metadata = buildMetadata(contents, layout);
  if (!metadata) return metadata.takeError();
  placeAll(llmrt::kPrefixBytes + metadata->size());
  return layout;
}

llvm::Expected<SegmentHashes> writeSegments(llmrt::os::AtomicFile &file, const ArtifactContents &contents,
                                            const FileLayout &layout, const TensorSource &tensors,
                                            const WeightWriterOptions &options) {
  for (const auto &[code, place] : llvm::zip_equal(contents.code, layout.code))
    if (llvm::Error error = toError(file.write_at(place.offset, asBytes(code.bytes.data(), code.bytes.size()))))
      return std::move(error);
  if (contents.random) { // made for their hashes alone
    SegmentSink nowhere = [](uint64_t, llvm::ArrayRef<char>) { return llvm::Error::success(); };
    return writeWeights(contents.weights, tensors, nowhere, options);
  }
  const SegmentPlace &place = layout.weights;
  HugeWrites pieces(
      [&](uint64_t offset, llvm::ArrayRef<char> bytes) {
        return toError(file.write_at(offset, asBytes(bytes.data(), bytes.size())));
      },
      place.offset, place.offset + place.bytes);
  SegmentSink sink = [&](uint64_t offset, llvm::ArrayRef<char> bytes) {
    return pieces.write(place.offset + offset, bytes);
  };
  return writeWeights(contents.weights, tensors, sink, options);
}

llvm::Error writeHead(llmrt::os::AtomicFile &file, const flatbuffers::DetachedBuffer &metadata, uint64_t fileBytes) {
  std::span<const std::byte> bytes = asBytes(metadata.data(), metadata.size());
  llmrt::Prefix prefix;
  prefix.file_bytes = fileBytes;
  prefix.metadata_offset = llmrt::kPrefixBytes;
  prefix.metadata_bytes = metadata.size();
  prefix.metadata_sha256 = llmrt::sha256(bytes);
  if (llvm::Error error = toError(file.write_at(0, llmrt::serialize_prefix(prefix)))) return error;
  return toError(file.write_at(llmrt::kPrefixBytes, bytes));
}

} // namespace

llvm::Expected<WrittenArtifact> writeArtifact(const ArtifactContents &contents, const TensorSource &tensors,
                                              const std::string &path, const WeightWriterOptions &options) {
  auto layout = layoutFile(contents);
  if (!layout) return layout.takeError();
  RemovedOnSignal guard;
  auto file = llmrt::os::AtomicFile::create(path, [&](const std::string &temporary) { guard.watch(temporary); });
  if (!file) return toError(file.status());

  auto hashes = writeSegments(*file, contents, *layout, tensors, options);
  if (!hashes) return hashes.takeError();
  std::vector<llmrt::Sha256Digest> code;
  for (const codegen::CodeSegment &segment : contents.code)
    code.push_back(llmrt::sha256(asBytes(segment.bytes.data(), segment.bytes.size())));
  auto metadata = buildMetadata(contents, *layout);
  if (!metadata) return metadata.takeError();
  setHashes(*metadata, code, *hashes);
  uint64_t bytes = layout->end;
  if (llvm::Error error = writeHead(*file, *metadata, bytes)) return std::move(error);

  auto opened = llmrt::Artifact::open(file->temporary_path());
  if (!opened)
    return llvm::createStringError("the artifact that was written does not pass the verifier, which is a mistake in "
                                   "llmc: " + opened.status().message());
  WrittenArtifact result{(*opened)->root_hash(), bytes, contents.weights.bytes};
  if (llvm::Error error = toError(file->commit())) return std::move(error);
  return result;
}

} // namespace llmc
