#include "compiler/emit/HugeWrites.h"

#include <algorithm>

namespace llmc {

llvm::Error HugeWrites::write(uint64_t fileOffset, llvm::ArrayRef<char> bytes) {
  while (!bytes.empty()) {
    uint64_t count = std::min<uint64_t>(bytes.size(), kPieceBytes - fileOffset % kPieceBytes);
    if (llvm::Error error = add(fileOffset, bytes.take_front(count))) return error;
    fileOffset += count;
    bytes = bytes.drop_front(count);
  }
  return llvm::Error::success();
}

// Bytes within one piece.
llvm::Error HugeWrites::add(uint64_t offset, llvm::ArrayRef<char> bytes) {
  uint64_t first = std::max(begin, offset / kPieceBytes * kPieceBytes);
  uint64_t last = std::min(end, offset / kPieceBytes * kPieceBytes + kPieceBytes);
  std::vector<char> whole;
  {
    std::lock_guard lock(mutex);
    auto [found, fresh] = pieces.try_emplace(first);
    Piece &piece = found->second;
    if (fresh) {
      piece.bytes.resize(last - first);
      piece.missing = last - first;
    }
    std::copy(bytes.begin(), bytes.end(), piece.bytes.begin() + (offset - first));
    piece.missing -= bytes.size();
    if (piece.missing > 0) return llvm::Error::success();
    whole = std::move(piece.bytes);
    pieces.erase(found);
  }
  return sink(first, whole);
}

} // namespace llmc
