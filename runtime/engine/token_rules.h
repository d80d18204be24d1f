// Which tokens a request's answer may be made of, as a grammar or the like says it. The engine knows no more of it than
// this page.
#pragma once

#include "runtime/base/status.h"

#include <cstdint>
#include <memory>
#include <span>

namespace llmrt {

// One answer's way through the rules. Used by one thread at a time; takes memory of its own, which must be bounded.
class TokenMatch {
public:
  virtual ~TokenMatch() = default;
  // A bit an id of the vocabulary, 1: may come next, (vocabulary + 31) / 32 words; valid until the next call. The
  // model's end ids are among them where the answer may end.
  virtual Result<std::span<const uint32_t>> mask() = 0;
  // The token is part of the answer from now on. kInvalidArgument if the last mask did not have it.
  virtual Status accept(int32_t id) = 0;
  // Nothing may follow: the answer is over, with or without an end id.
  virtual bool finished() const = 0;
};

class TokenRules {
public:
  virtual ~TokenRules() = default;
  // From the start. May be called from any thread.
  virtual std::unique_ptr<TokenMatch> begin() const = 0;
};

} // namespace llmrt
