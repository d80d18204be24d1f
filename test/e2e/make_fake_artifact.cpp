// make_fake_artifact FILE
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/base/os.h"

#include <cstdio>

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: make_fake_artifact FILE\n");
    return 2;
  }
  auto bytes = llmrt::testing::build_artifact(llmrt::testing::fake_model());
  auto file = llmrt::os::AtomicFile::create(argv[1]);
  bool good = file.ok() && file->write(bytes).ok() && file->commit().ok();
  return good ? 0 : 1;
}
