// Finds stop strings in text that comes in pieces, holding back only what may still become one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt {

class StopMatcher {
public:
  // Empty strings are not allowed. `include`: the stop string itself is part of the text.
  explicit StopMatcher(std::vector<std::string> stops = {}, bool include = false);

  // Text that can be shown now. After a match everything that follows is dropped.
  std::string push(std::string_view piece);
  // Text that cannot be the start of a stop string and is shown without being searched (min_tokens).
  std::string push_unsearched(std::string_view piece);
  // What was held back, when no more text will come.
  std::string finish();

  bool matched() const { return match_ >= 0; }
  const std::string &match() const { return stops_[static_cast<size_t>(match_)]; } // only when matched()

private:
  size_t held_suffix() const;

  std::vector<std::string> stops_;
  bool include_;
  std::string held_;
  int match_ = -1; // index of the stop string that was found
};

} // namespace llmrt
