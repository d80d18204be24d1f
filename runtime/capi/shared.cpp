// libllmrt.so is made of llmrt_capi's objects; a library needs a source of its own.
#include "runtime/include/llmrt.h"

static_assert(LLMRT_API_VERSION == 1);
