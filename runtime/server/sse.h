// Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as OpenAI's streams use them.
#pragma once

#include "runtime/server/json.h"

#include <string>

namespace llmrt::server {

inline constexpr const char *kSseContentType = "text/event-stream; charset=utf-8";
inline constexpr const char *kSseDone = "data: [DONE]\n\n";

// "data: {...}\n\n"; JSON as dumped here has no line breaks, so one line is enough.
std::string sse_event(const Json &value);
// "event: NAME\ndata: {...}\n\n"
std::string sse_event(const char *name, const Json &value);

} // namespace llmrt::server
