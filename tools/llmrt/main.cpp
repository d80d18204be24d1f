#include "tools/llmrt/verbs.h"

#include <csignal>
#include <cstdio>
#include <exception>

int main(int argc, char **argv) {
  using namespace llmrt::tool;
  std::signal(SIGPIPE, SIG_IGN); // a reader that left shows as a failed write
  try {
    return run_command_line(all_verbs(), argc, argv);
  } catch (const std::exception &error) { // out of memory, mostly
    fprintf(stderr, "llmrt: %s\n", error.what());
    return 1;
  }
}
