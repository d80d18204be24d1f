// The chat page, compiled in.
#pragma once

#include <span>
#include <string_view>

namespace llmrt::server {

struct PageFile {
  const char *path, *content_type;
  std::string_view text;
};
std::span<const PageFile> page_files(); // the first one is the page itself

} // namespace llmrt::server
