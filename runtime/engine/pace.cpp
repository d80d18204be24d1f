#include "runtime/engine/pace.h"

#include <algorithm>

namespace llmrt {

namespace {
constexpr double kRise = 0.5, kFall = 0.1; // weights of a new figure: slower steps are believed sooner than quicker ones
constexpr double kMargin = 0.75;           // of the limit is planned for, so that the 99th percentile stays below it
constexpr int64_t kFirstChunk = 16;        // tokens, while nothing is known
constexpr double kMostTokens = 1 << 30;

void follow(double *value, double measured) {
  *value = *value == 0 ? measured : *value + (measured > *value ? kRise : kFall) * (measured - *value);
}
} // namespace

void Pace::observe(int64_t prompt_tokens, int64_t decodes, double seconds) {
  if (!on() || seconds <= 0) return;
  if (decodes > 0 && prompt_tokens <= 1 && seconds > limit_) ++missed_;
  if (prompt_tokens == 0) return follow(&decode_seconds_, seconds);
  const double alone = decodes > 0 ? std::min(decode_seconds_, seconds) : 0;
  follow(&token_seconds_, (seconds - alone) / double(prompt_tokens));
}

int64_t Pace::prompt_tokens() const {
  if (token_seconds_ <= 0) return kFirstChunk;
  const double tokens = (kMargin * limit_ - decode_seconds_) / token_seconds_;
  return int64_t(std::clamp(tokens, 1.0, kMostTokens));
}

} // namespace llmrt
