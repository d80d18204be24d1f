// A request's text as it grows: ids to whole characters, stop strings cut out.
#pragma once

#include "runtime/session/stop_matcher.h"
#include "runtime/text/tokenizer.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace llmrt {

struct TextOptions {
  std::vector<std::string> stop;
  bool include_stop = false; // a stop string, or the id that ended the request, stays in the text
  bool skip_special = true;
  int32_t min_tokens = 0; // the text of these first tokens is not searched for stop strings
};

class TextStream {
public:
  // `tokenizer` may be null: then there is no text. It must outlive the stream.
  TextStream(const Tokenizer *tokenizer, const TextOptions &options);

  // The ids that stand before the text: what follows continues theirs, so that a space between the two is not lost.
  // Before the first push().
  void continue_after(std::span<const int32_t> prompt);

  // The text that this id adds; empty while a character or a stop string is incomplete.
  std::string push(int32_t id);
  // For the id that ended the request: its text is left out unless include_stop.
  std::string push_stop_id(int32_t id) { return include_stop_ ? push(id) : std::string(); }
  std::string finish();

  // A stop string was found; the request should be cancelled and no more ids pushed.
  bool stopped() const { return matcher_.matched(); }
  const std::string &stop_string() const { return matcher_.match(); }

private:
  std::optional<StreamDecoder> decoder_;
  StopMatcher matcher_;
  bool include_stop_;
  int32_t min_tokens_, pushed_ = 0;
};

} // namespace llmrt
