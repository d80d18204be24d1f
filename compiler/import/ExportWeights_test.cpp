#include "compiler/import/Checkpoint.h"
#include "compiler/import/TestFiles.h"

#include <csignal>
#include <gmock/gmock.h>
#include <sys/resource.h>

using namespace llmc;
using models::TensorRole;
using testing::HasSubstr;

namespace {

const std::vector<models::TensorSpec> kSpecs = {{"model.embed.weight", {300, 1000}, TensorRole::Weight},
                                                {"model.b.bias", {7}, TensorRole::Bias},
                                                {"model.norm.weight", {1000}, TensorRole::NormWeight}};

Checkpoint checkpointIn(const TestFolder &folder) {
  folder.write("config.json", R"({"model_type":"x","rms_norm_eps":1e-05})");
  folder.write("tokenizer.json", "{\"any\": \"bytes\"}");
  folder.write("merges.txt", "a b\n");
  return llvm::cantFail(openCheckpoint(folder.path(), false));
}

TEST(ExportWeights, ComesBackAsItWas) {
  TestFolder from, to;
  Checkpoint checkpoint = checkpointIn(from);
  for (ElementType element : {ElementType::F32, ElementType::F16, ElementType::BF16}) {
    auto random = makeRandomTensors(kSpecs, 3, 0.02, element);
    llvm::Error error = exportWeights(checkpoint, kSpecs, *random, to.path("deep/out"));
    ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
    Checkpoint back = llvm::cantFail(openCheckpoint(to.path("deep/out"), true));
    EXPECT_EQ(back.config, checkpoint.config);
    EXPECT_EQ(back.tokenizerJson, checkpoint.tokenizerJson);
    EXPECT_TRUE(llvm::sys::fs::exists(to.path("deep/out/merges.txt")));
    EXPECT_EQ(back.tensors->names(), random->names());
    for (const models::TensorSpec &spec : kSpecs) {
      const TensorInfo *tensor = back.tensors->find(spec.name);
      EXPECT_EQ(tensor->element, element);
      ASSERT_EQ(tensor->shape, spec.shape);
      int64_t rows = spec.shape[0], columns = spec.shape.size() > 1 ? spec.shape[1] : 1;
      std::vector<float> a(rows * columns), b(rows * columns);
      llvm::cantFail(back.tensors->readRows(*tensor, 0, rows, false, a));
      llvm::cantFail(random->readRows(*random->find(spec.name), 0, rows, false, b));
      EXPECT_EQ(a, b) << spec.name;
    }
  }
}

TEST(ExportWeights, RefusesTheModelsOwnFolder) {
  TestFolder from;
  Checkpoint checkpoint = checkpointIn(from);
  auto random = makeRandomTensors(kSpecs, 3, 0.02, ElementType::F32);
  EXPECT_THAT(llvm::toString(exportWeights(checkpoint, kSpecs, *random, from.path() + "/.")), HasSubstr("own folder"));
  EXPECT_FALSE(llvm::sys::fs::exists(from.path("model.safetensors")));
}

TEST(ExportWeights, AFileWhereTheFolderShouldBeStays) {
  TestFolder from, to;
  Checkpoint checkpoint = checkpointIn(from);
  auto random = makeRandomTensors(kSpecs, 3, 0.02, ElementType::F32);
  to.write("file", "precious");
  EXPECT_THAT(llvm::toString(exportWeights(checkpoint, kSpecs, *random, to.path("file"))), HasSubstr("give a folder"));
  EXPECT_TRUE(llvm::sys::fs::exists(to.path("file")));
}

// A full disk, as a limit on the size of a file.
class FileLimit {
public:
  explicit FileLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

private:
  rlimit before_;
  void (*handler_)(int);
};

TEST(ExportWeights, AFullDiskLeavesNothingBehind) {
  TestFolder from, to;
  Checkpoint checkpoint = checkpointIn(from);
  auto random = makeRandomTensors(kSpecs, 3, 0.02, ElementType::F32);
  for (rlim_t bytes : {10, 1000, 500'000, 1'200'000}) {
    std::string message;
    {
      FileLimit limit(bytes);
      message = llvm::toString(exportWeights(checkpoint, kSpecs, *random, to.path("out")));
    }
    EXPECT_THAT(message, HasSubstr("out/")) << bytes;
    EXPECT_THAT(message, HasSubstr("free some space")) << bytes;
    EXPECT_EQ(to.fileCount(), 0u) << "the folder was made for this and must be gone";
  }
  to.write("out/kept", "x");
  {
    FileLimit limit(1000);
    llvm::consumeError(exportWeights(checkpoint, kSpecs, *random, to.path("out")));
  }
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(to.path("out"), error), end; it != end; it.increment(error))
    EXPECT_EQ(llvm::sys::path::filename(it->path()), "kept");
}

TEST(ExportWeights, AFolderThatCannotBe) {
  TestFolder from, to;
  Checkpoint checkpoint = checkpointIn(from);
  auto random = makeRandomTensors(kSpecs, 3, 0.02, ElementType::F32);
  std::string file = to.write("file", "x");
  EXPECT_THAT(llvm::toString(exportWeights(checkpoint, kSpecs, *random, file + "/sub")), HasSubstr("sub: "));
}

} // namespace
