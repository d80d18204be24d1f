#include "runtime/server/sse.h"

namespace llmrt::server {

std::string sse_event(const Json &value) { return "data: " + dump_json(value) + "\n\n"; }

std::string sse_event(const char *name, const Json &value) { return "event: " + std::string(name) + "\n" + sse_event(value); }

} // namespace llmrt::server
