// A flatbuffer's byte vector as text; a missing one is empty.
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <string_view>

namespace llmrt {

inline std::string_view bytes_of(const flatbuffers::Vector<uint8_t> *bytes) {
  if (!bytes) return {};
  return {reinterpret_cast<const char *>(bytes->data()), bytes->size()};
}

inline std::string_view text_of(const flatbuffers::String *text) {
  if (!text) return {};
  return {text->c_str(), text->size()};
}

} // namespace llmrt
