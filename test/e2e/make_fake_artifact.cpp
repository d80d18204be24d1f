// make_fake_artifact FILE [cuda]: with code for CUDA as well
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/base/os.h"

#include <cstdio>
#include <cstring>

int main(int argc, char **argv) {
  bool cuda = argc == 3 && std::strcmp(argv[2], "cuda") == 0;
  if (argc != 2 && !cuda) {
    fprintf(stderr, "usage: make_fake_artifact FILE [cuda]\n");
    return 2;
  }
  llmrt::testing::ArtifactSpec model = llmrt::testing::fake_model();
  if (cuda)
    llmrt::testing::add_fake_cuda(model);
  auto bytes = llmrt::testing::build_artifact(model);
  auto file = llmrt::os::AtomicFile::create(argv[1]);
  bool good = file.ok() && file->write(bytes).ok() && file->commit().ok();
  return good ? 0 : 1;
}
