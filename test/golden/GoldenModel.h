// The folders of test/golden/models and what tests do with them.
#pragma once

#include "codegen/reference/Interpreter.h"
#include "compiler/import/Checkpoint.h"
#include "models/Registry.h"

#include <filesystem>
#include <memory>

namespace llmc::golden {

std::string readFile(const std::filesystem::path &path); // fails the test where there is none

// The folders' names, sorted.
std::vector<std::string> names();
std::filesystem::path folderOf(const std::string &name);
std::vector<std::vector<int32_t>> readIds(const std::string &name);
// Of a little-endian float32 .npy of version 1 in C order.
std::vector<float> readLogits(const std::string &name);
// The folders that have a hidden.npy, and what is in it.
std::vector<std::string> namesWithHidden();
std::vector<float> readHidden(const std::string &name);

// A checkpoint and its module; fails the test where it cannot be imported.
struct Model {
  explicit Model(const std::filesystem::path &folder);
  explicit operator bool() const { return bool(imported.module); }
  // Empty, and the test failed, where the interpreter gives up.
  reference::Values evaluate(llvm::ArrayRef<std::vector<int32_t>> sequences,
                             const reference::EvaluateOptions &options = {}) const;

  std::unique_ptr<mlir::MLIRContext> context;
  Checkpoint checkpoint;
  models::ImportedModel imported;
};

// The largest difference, relative to the largest expected value.
double relativeError(llvm::ArrayRef<double> values, llvm::ArrayRef<double> expected);

// A name as GoogleTest takes it.
std::string testName(const std::string &name);

} // namespace llmc::golden
