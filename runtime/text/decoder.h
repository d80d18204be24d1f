// Ids to text, as a chain of stages that tokens are pushed through one by one: a whole sequence and a stream take the
// same way, so they give the same text.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/normal/char_classes.h"

#include <memory>
#include <string>
#include <string_view>

namespace llmrt {

// Takes tokens in fragments of whole characters; `ends` is true for a token's last fragment.
class TokenSink {
public:
  virtual ~TokenSink() = default;
  virtual void push(std::string_view fragment, bool ends) = 0;
  virtual void finish() = 0;
};

class DecoderChain {
public:
  // Appends text to `out` as soon as it is settled; never half a character.
  static std::unique_ptr<DecoderChain> create(const schema::Tokenizer &tables, const CharClasses &classes);
  virtual ~DecoderChain() = default;
  virtual void push(std::string_view token, std::string &out) = 0;
  virtual void finish(std::string &out) = 0;
};

// One stage that feeds `next`. In decoder_stages.cpp: per-token rewriting; in decoder_streams.cpp: joining.
std::unique_ptr<TokenSink> make_rewrite_stage(const schema::DecoderStep &step, const schema::Tokenizer &tables,
                                              const CharClasses &classes, TokenSink &next);
std::unique_ptr<TokenSink> make_stream_stage(const schema::DecoderStep &step, TokenSink &next);

// "<0x41>" is 0x41; -1 for any other token. Like Rust's from_str_radix it takes "+5" for 5.
int byte_of_token(std::string_view token);

} // namespace llmrt
