#include "runtime/session/text_stream.h"

#include <algorithm>

namespace llmrt {

TextStream::TextStream(const Tokenizer *tokenizer, const TextOptions &options)
    : matcher_(options.stop, options.include_stop), include_stop_(options.include_stop),
      min_tokens_(options.min_tokens) {
  if (tokenizer)
    decoder_.emplace(*tokenizer, options.skip_special);
}

void TextStream::continue_after(std::span<const int32_t> prompt) {
  static constexpr size_t kContext = 6; // as many as vLLM looks at; decoders look back at one
  if (!decoder_)
    return;
  for (int32_t id : prompt.last(std::min(prompt.size(), kContext)))
    (void)decoder_->push(id);
}

std::string TextStream::push(int32_t id) {
  if (!decoder_)
    return {};
  std::string piece = decoder_->push(id);
  return ++pushed_ <= min_tokens_ ? matcher_.push_unsearched(piece) : matcher_.push(piece);
}

std::string TextStream::finish() {
  if (!decoder_ || matcher_.matched())
    return {};
  std::string out = matcher_.push(decoder_->finish());
  if (!matcher_.matched())
    out += matcher_.finish();
  return out;
}

} // namespace llmrt
