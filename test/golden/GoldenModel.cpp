#include "test/golden/GoldenModel.h"

#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace llmc::golden {

static const char *kModels = LLMC_SOURCE_DIR "/test/golden/models";

std::string readFile(const std::filesystem::path &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path.string());
  EXPECT_TRUE(bool(buffer)) << path;
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

std::filesystem::path folderOf(const std::string &name) { return std::filesystem::path(kModels) / name; }

std::vector<std::string> names() {
  std::vector<std::string> result;
  for (const auto &entry : std::filesystem::directory_iterator(kModels))
    if (entry.is_directory())
      result.push_back(entry.path().filename().string());
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<std::vector<int32_t>> readIds(const std::string &name) {
  std::vector<std::vector<int32_t>> sequences;
  std::string text = readFile(folderOf(name) / "ids.txt");
  llvm::SmallVector<llvm::StringRef> lines, ids;
  llvm::StringRef(text).split(lines, '\n', -1, false);
  for (llvm::StringRef line : lines) {
    ids.clear();
    line.split(ids, ',');
    sequences.emplace_back();
    for (llvm::StringRef id : ids)
      sequences.back().push_back(std::stoi(id.str()));
  }
  return sequences;
}

static std::vector<float> readNpy(const std::filesystem::path &path) {
  std::string file = readFile(path);
  EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  size_t header = 10 + uint8_t(file[8]) + 256 * uint8_t(file[9]);
  EXPECT_NE(file.substr(0, header).find("'descr': '<f4', 'fortran_order': False"), std::string::npos);
  std::vector<float> values((file.size() - header) / sizeof(float));
  std::memcpy(values.data(), file.data() + header, values.size() * sizeof(float));
  return values;
}

std::vector<float> readLogits(const std::string &name) { return readNpy(folderOf(name) / "logits.npy"); }

std::vector<std::string> namesWithHidden() {
  std::vector<std::string> result = names();
  std::erase_if(result, [](const std::string &name) { return !std::filesystem::exists(folderOf(name) / "hidden.npy"); });
  return result;
}

std::vector<float> readHidden(const std::string &name) { return readNpy(folderOf(name) / "hidden.npy"); }

Model::Model(const std::filesystem::path &folder)
    : context(std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED)) {
  llvm::Expected<Checkpoint> opened = openCheckpoint(folder.string(), true);
  if (!opened) {
    ADD_FAILURE() << llvm::toString(opened.takeError());
    return;
  }
  checkpoint = std::move(*opened);
  llvm::Expected<models::ImportedModel> model = models::importModel(*context, checkpoint.config);
  if (!model) {
    ADD_FAILURE() << llvm::toString(model.takeError());
    return;
  }
  llvm::Error wrong = checkTensors(model->tensors, *checkpoint.tensors);
  EXPECT_FALSE(bool(wrong)) << llvm::toString(std::move(wrong));
  imported = std::move(*model);
}

reference::Values Model::evaluate(llvm::ArrayRef<std::vector<int32_t>> sequences,
                                  const reference::EvaluateOptions &options) const {
  const TensorSource &tensors = *checkpoint.tensors;
  auto readRows = [&](llvm::StringRef name, int64_t first, int64_t count, bool transpose,
                      llvm::MutableArrayRef<float> out) -> llvm::Error {
    const TensorInfo *info = tensors.find(name);
    return info ? tensors.readRows(*info, first, count, transpose, out)
                : llvm::createStringError("no tensor " + name);
  };
  llvm::Expected<reference::Matrix> logits = reference::evaluate(*imported.module, readRows, sequences, options);
  if (!logits) {
    ADD_FAILURE() << llvm::toString(logits.takeError());
    return {};
  }
  return std::move(logits->values);
}

double relativeError(llvm::ArrayRef<double> values, llvm::ArrayRef<double> expected) {
  if (values.size() != expected.size())
    return INFINITY;
  double largest = 0, worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::fabs(expected[i]));
    double error = std::fabs(values[i] - expected[i]);
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  return worst / largest;
}

std::string testName(const std::string &name) {
  std::string result = name;
  std::replace(result.begin(), result.end(), '-', '_');
  return result;
}

} // namespace llmc::golden
