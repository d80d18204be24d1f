#include "compiler/import/OutputFolder.h"
#include "compiler/import/Json.h"

#include "llvm/Support/Path.h"

namespace llmc {

namespace fs = llvm::sys::fs;

llvm::Expected<OutputFolder> OutputFolder::open(llvm::StringRef folder) {
  bool there = fs::exists(folder);
  if (there && !fs::is_directory(folder)) return importError(folder, "is a file; give a folder");
  if (!there)
    if (std::error_code error = fs::create_directories(folder)) return importError(folder, error.message());
  return OutputFolder(folder.str(), !there);
}

OutputFolder::~OutputFolder() {
  if (stream_) stream_->clear_error(); // raw_fd_ostream ends the program over an error that nobody looked at
  stream_.reset();
  for (File &file : files_) llvm::consumeError(file.temporary.discard());
  if (made_ && !folder_.empty()) (void)fs::remove(folder_); // which only an empty folder lets happen
}

std::string OutputFolder::pathOf(llvm::StringRef name) const {
  llvm::SmallString<128> path(folder_);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

llvm::Expected<llvm::raw_ostream *> OutputFolder::start(llvm::StringRef name) {
  auto temporary = fs::TempFile::create(pathOf(name) + ".%%%%%%.tmp");
  if (!temporary) return importError(pathOf(name), llvm::toString(temporary.takeError()));
  int descriptor = temporary->FD;
  files_.push_back({name.str(), std::move(*temporary)});
  stream_ = std::make_unique<llvm::raw_fd_ostream>(descriptor, /*shouldClose=*/false);
  return stream_.get();
}

llvm::Error OutputFolder::finish() {
  stream_->flush();
  std::error_code error = stream_->error();
  stream_->clear_error();
  stream_.reset();
  if (!error) return llvm::Error::success();
  return importError(pathOf(files_.back().name),
                     error.message() + "; nothing was left behind, free some space or choose another folder");
}

llvm::Error OutputFolder::write(llvm::StringRef name, llvm::StringRef text) {
  auto stream = start(name);
  if (!stream) return stream.takeError();
  **stream << text;
  return finish();
}

llvm::Error OutputFolder::commit() {
  while (!files_.empty()) {
    File file = std::move(files_.back());
    files_.pop_back();
    if (llvm::Error error = file.temporary.keep(pathOf(file.name))) {
      llvm::consumeError(file.temporary.discard());
      return importError(pathOf(file.name), llvm::toString(std::move(error)));
    }
  }
  made_ = false;
  return llvm::Error::success();
}

} // namespace llmc
