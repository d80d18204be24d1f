#include "runtime/session/stop_matcher.h"

#include <algorithm>

namespace llmrt {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool include) : stops_(std::move(stops)), include_(include) {}

std::string StopMatcher::push(std::string_view piece) {
  if (matched())
    return {};
  held_.append(piece);
  size_t at = std::string::npos;
  for (size_t i = 0; i < stops_.size(); ++i) {
    size_t found = held_.find(stops_[i]);
    if (found < at) {
      at = found;
      match_ = static_cast<int>(i);
    }
  }
  std::string out;
  if (matched()) {
    out = held_.substr(0, at + (include_ ? match().size() : 0));
    held_.clear();
    return out;
  }
  size_t keep = held_suffix();
  out = held_.substr(0, held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

std::string StopMatcher::push_unsearched(std::string_view piece) {
  if (matched())
    return {};
  std::string out = finish();
  out.append(piece);
  return out;
}

std::string StopMatcher::finish() {
  std::string out;
  out.swap(held_);
  return out;
}

// The longest end of held_ that is a proper beginning of a stop string.
size_t StopMatcher::held_suffix() const {
  size_t best = 0;
  std::string_view held = held_;
  for (const std::string &stop : stops_) {
    size_t longest = std::min(held.size(), stop.size() - 1);
    for (size_t n = longest; n > best; --n)
      if (held.substr(held.size() - n) == std::string_view(stop).substr(0, n)) {
        best = n;
        break;
      }
  }
  return best;
}

} // namespace llmrt
