// Helpers of this folder's tests: a folder that goes away, files in it, safetensors made by hand.
#pragma once

#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>
#include <string>

namespace llmc {

class TestFolder {
public:
  TestFolder() { EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("llmc-import", path_)); }
  ~TestFolder() { (void)llvm::sys::fs::remove_directories(path_); }
  std::string path(llvm::StringRef name = "") const {
    llvm::SmallString<128> result(path_);
    if (!name.empty()) llvm::sys::path::append(result, name);
    return result.str().str();
  }
  std::string write(llvm::StringRef name, llvm::StringRef text) const {
    std::string file = path(name);
    (void)llvm::sys::fs::create_directories(llvm::sys::path::parent_path(file));
    std::error_code error;
    llvm::raw_fd_ostream stream(file, error);
    stream << text;
    EXPECT_FALSE(error) << file;
    return file;
  }
  size_t fileCount() const {
    std::error_code error;
    size_t count = 0;
    for (llvm::sys::fs::directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) ++count;
    return count;
  }

private:
  llvm::SmallString<128> path_;
};

inline std::string safetensors(llvm::StringRef header, llvm::StringRef data) {
  std::string file(8, '\0');
  llvm::support::endian::write64le(file.data(), header.size());
  return file + header.str() + data.str();
}

inline std::string testModel(llvm::StringRef name) { return std::string(LLMC_SOURCE_DIR "/test/models/") + name.str(); }

} // namespace llmc
