#include "runtime/server/json.h"

namespace llmrt::server {

// nlohmann's parser does not recurse, but what walks the value afterwards does.
static bool depth_is_bounded(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"')
      in_string = true;
    else if (c == '[' || c == '{') {
      if (++depth > kMaxJsonDepth)
        return false;
    } else if (c == ']' || c == '}')
      --depth;
  }
  return true;
}

Result<Json> parse_json(std::string_view text) {
  if (!depth_is_bounded(text))
    return Status(StatusCode::kInvalidArgument,
                  "the JSON is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels");
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::exception &error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: ..." without the library's own tag.
    std::string_view what = error.what();
    size_t tag = what.find("] ");
    return Status(StatusCode::kInvalidArgument,
                  "not valid JSON: " + std::string(tag == what.npos ? what : what.substr(tag + 2)));
  }
}

std::string dump_json(const Json &value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

} // namespace llmrt::server
