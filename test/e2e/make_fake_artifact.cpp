// make_fake_artifact FILE [cuda] [goldens]: with code for CUDA as well, with golden vectors
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/base/os.h"

#include <cstdio>
#include <cstring>

int main(int argc, char **argv) {
  llmrt::testing::ArtifactSpec model = llmrt::testing::fake_model();
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "cuda") == 0)
      llmrt::testing::add_fake_cuda(model);
    else if (std::strcmp(argv[i], "goldens") == 0)
      llmrt::testing::add_fake_goldens(model);
    else
      argc = 0;
  }
  if (argc < 2) {
    fprintf(stderr, "usage: make_fake_artifact FILE [cuda] [goldens]\n");
    return 2;
  }
  auto bytes = llmrt::testing::build_artifact(model);
  auto file = llmrt::os::AtomicFile::create(argv[1]);
  bool good = file.ok() && file->write(bytes).ok() && file->commit().ok();
  return good ? 0 : 1;
}
