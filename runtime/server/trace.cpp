#include "runtime/server/trace.h"

#include "runtime/session/version.h"

#include <cstdio>

namespace llmrt::server {

namespace {

std::string hex(uint64_t value) {
  char text[17];
  snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

bool is_id(std::string_view text, size_t digits) {
  bool any = false;
  for (char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
      return false;
    any |= c != '0';
  }
  return any && text.size() == digits;
}

Json value_of(const Json &value) {
  if (value.is_boolean())
    return Json{{"boolValue", value}};
  if (value.is_number_float())
    return Json{{"doubleValue", value}};
  if (value.is_number())
    return Json{{"intValue", std::to_string(value.get<int64_t>())}}; // 64 bits are strings in JSON
  return Json{{"stringValue", value}};
}

Json attributes_of(const Json &attributes) {
  Json out = Json::array();
  for (auto it = attributes.begin(); it != attributes.end(); ++it)
    out.push_back(Json{{"key", it.key()}, {"value", value_of(it.value())}});
  return out;
}

Json span_of(const Span &span, uint64_t (*random)()) {
  constexpr int kServer = 2, kOk = 1, kError = 2; // SpanKind and StatusCode
  Json out;
  out["traceId"] = span.context.trace_id.empty() ? hex(random()) + hex(random()) : span.context.trace_id;
  out["spanId"] = hex(random());
  if (!span.context.parent_id.empty())
    out["parentSpanId"] = span.context.parent_id;
  out["name"] = "llm_request";
  out["kind"] = kServer;
  out["startTimeUnixNano"] = std::to_string(span.start_ns);
  out["endTimeUnixNano"] = std::to_string(span.end_ns);
  out["attributes"] = attributes_of(span.attributes);
  out["status"] = Json{{"code", span.failed ? kError : kOk}};
  return out;
}

} // namespace

TraceContext parse_traceparent(std::string_view header) {
  // version-trace-parent-flags
  if (header.size() < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-')
    return {};
  std::string_view trace = header.substr(3, 32), parent = header.substr(36, 16);
  if (!is_id(trace, 32) || !is_id(parent, 16))
    return {};
  return {std::string(trace), std::string(parent)};
}

Json export_body(const std::vector<Span> &spans, uint64_t (*random)()) {
  Json list = Json::array();
  for (const Span &span : spans)
    list.push_back(span_of(span, random));
  Json scope{{"scope", {{"name", "llmrt"}, {"version", kVersion}}}, {"spans", std::move(list)}};
  Json resource{{"attributes", attributes_of(Json{{"service.name", "llmrt"}})}};
  Json one{{"resource", std::move(resource)}, {"scopeSpans", Json::array({std::move(scope)})}};
  return Json{{"resourceSpans", Json::array({std::move(one)})}};
}

} // namespace llmrt::server
