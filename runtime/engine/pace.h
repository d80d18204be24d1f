// How many prompt tokens a step may take so that those who wait for their next token wait no longer than they should.
// From measured times, as a line: a step's time = what decoding alone takes + time a prompt token x prompt tokens.
#pragma once

#include <cstdint>

namespace llmrt {

class Pace {
public:
  // `limit_seconds`: of a step that someone's next token waits for; 0: none.
  explicit Pace(double limit_seconds) : limit_(limit_seconds) {}

  bool on() const { return limit_ > 0; }
  // A step has run with so many tokens of prompts, beside `decodes` requests that wanted their next token.
  void observe(int64_t prompt_tokens, int64_t decodes, double seconds);
  // Prompt tokens for a step with decodes; at least 1, so that prompts do end.
  int64_t prompt_tokens() const;
  // Steps that took longer than the limit although they took one prompt token, or none: no chunk is small enough.
  uint64_t missed() const { return missed_; }

private:
  double limit_;
  double decode_seconds_ = 0; // of a step without prompts; 0: not known
  double token_seconds_ = 0;  // of a prompt token
  uint64_t missed_ = 0;
};

} // namespace llmrt
