// Files that appear in a folder all at once or not at all: written under temporary names, renamed at the end.
#pragma once

#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <memory>
#include <string>
#include <vector>

namespace llmc {

class OutputFolder {
public:
  // Makes the folder if it is not there.
  static llvm::Expected<OutputFolder> open(llvm::StringRef folder);
  OutputFolder(OutputFolder &&) = default;
  // What was not committed is removed, and the folder too if it was made for this.
  ~OutputFolder();

  // A file to write into. Nothing else is opened before finish().
  llvm::Expected<llvm::raw_ostream *> start(llvm::StringRef name);
  // Writes out what is buffered; an error of any write since start() comes out here or in hasFailed().
  llvm::Error finish();
  bool hasFailed() const { return stream_ && stream_->has_error(); }
  llvm::Error write(llvm::StringRef name, llvm::StringRef text);

  // Renames all files to their names.
  llvm::Error commit();

private:
  struct File {
    std::string name;
    llvm::sys::fs::TempFile temporary;
  };
  OutputFolder(std::string folder, bool made) : folder_(std::move(folder)), made_(made) {}
  std::string pathOf(llvm::StringRef name) const;

  std::string folder_;
  bool made_ = false;
  std::vector<File> files_;
  std::unique_ptr<llvm::raw_fd_ostream> stream_;
};

} // namespace llmc
