// JSON as the server reads and writes it: nothing throws, nothing recurses without bound.
#pragma once

#include "runtime/base/status.h"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace llmrt::server {

using Json = nlohmann::ordered_json; // the same type as chat templates take; keys keep their order

inline constexpr int kMaxJsonDepth = 64;

// kInvalidArgument with the place of the mistake; also for what is nested deeper than kMaxJsonDepth and for text
// that is not UTF-8.
Result<Json> parse_json(std::string_view text);

// Bytes that are not UTF-8 become U+FFFD.
std::string dump_json(const Json &value);

} // namespace llmrt::server
