#include "codegen/common/TemporaryFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

namespace llmc::codegen {

using namespace llvm;

Expected<std::string> writeTemporary(StringRef suffix, StringRef content) {
  int descriptor = -1;
  SmallString<128> path;
  if (auto error = sys::fs::createTemporaryFile("llmc", suffix, descriptor, path)) return errorCodeToError(error);
  raw_fd_ostream stream(descriptor, /*shouldClose=*/true);
  stream << content;
  stream.close();
  if (stream.has_error()) {
    Error error = createStringError("cannot write " + path + ": " + stream.error().message());
    stream.clear_error();
    return error;
  }
  return std::string(path);
}

} // namespace llmc::codegen
