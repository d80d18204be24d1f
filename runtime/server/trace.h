// Spans of requests for OpenTelemetry: OTLP over HTTP with JSON (https://opentelemetry.io/docs/specs/otlp/), the names and
// attributes as vLLM gives them.
#pragma once

#include "runtime/server/json.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::server {

struct TraceContext {
  std::string trace_id, parent_id; // hexadecimal, 32 and 16 digits; empty: the request came without
};
// A traceparent header (https://www.w3.org/TR/trace-context/); empty members if it is none.
TraceContext parse_traceparent(std::string_view header);

struct Span {
  TraceContext context;
  uint64_t start_ns = 0, end_ns = 0; // since 1970
  bool failed = false;
  Json attributes = Json::object();
};

// The body of one export. Spans without a trace get one of their own; `random` is called for each 8 random bytes.
Json export_body(const std::vector<Span> &spans, uint64_t (*random)());

} // namespace llmrt::server
