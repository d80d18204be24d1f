#include "runtime/server/sse.h"

namespace llmrt::server {

std::string sse_event(const Json &value) { return "data: " + dump_json(value) + "\n\n"; }

} // namespace llmrt::server
