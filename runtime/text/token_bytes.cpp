#include "runtime/text/token_bytes.h"

#include "runtime/text/decoder.h"
#include "runtime/text/normal/byte_chars.h"
#include "runtime/text/normal/bytes.h"
#include "runtime/text/normal/normalizer.h"
#include "runtime/text/normal/utf8.h"

namespace llmrt {

using schema::DecoderOp;
using schema::DecoderStep;

namespace {

// GPT-2's printable characters back to bytes; a token with any other character stands for itself.
std::string from_byte_chars(const std::string &token) {
  std::string bytes;
  for (size_t i = 0; i < token.size();) {
    const Utf8Char c = utf8_first(std::string_view(token).substr(i));
    const int byte = byte_of_char(c.point);
    if (byte < 0) return token;
    bytes += static_cast<char>(byte);
    i += c.length;
  }
  return bytes;
}

std::string strip(const DecoderStep &step, std::string text) {
  const std::string_view content = bytes_of(step.text());
  for (uint32_t i = 0; i < step.a() && !content.empty() && text.starts_with(content); ++i)
    text.erase(0, content.size());
  for (uint32_t i = 0; i < step.b() && !content.empty() && text.ends_with(content); ++i)
    text.resize(text.size() - content.size());
  return text;
}

Status depends_on_neighbours(DecoderOp op) {
  return Status(StatusCode::kUnsupported, std::string("this tokenizer's decoder has the step ") +
                                              schema::EnumNameDecoderOp(op) +
                                              ", under which the text of a token depends on the tokens beside it");
}

// One step over one token. After `fused` a step sees the whole text, so that only its ends differ.
Result<std::string> apply(const DecoderStep &step, std::string token, bool fused, bool *is_byte) {
  switch (step.op()) {
  case DecoderOp::Fuse: return token;
  case DecoderOp::Strip:
    if (fused && step.b() == 0) return token;
    if (fused) return depends_on_neighbours(step.op());
    return strip(step, std::move(token));
  case DecoderOp::ByteLevel: return from_byte_chars(token);
  case DecoderOp::ReplaceText:
    if (fused && bytes_of(step.text()).size() > 1) return depends_on_neighbours(step.op());
    return replace_all(token, bytes_of(step.text()), bytes_of(step.content()));
  case DecoderOp::ByteFallback: {
    const int byte = fused ? -1 : byte_of_token(token);
    if (byte < 0) return token;
    *is_byte = true;
    return std::string(1, static_cast<char>(byte));
  }
  case DecoderOp::Metaspace:
    if (fused) return depends_on_neighbours(step.op());
    return replace_all(token, bytes_of(step.text()), " ");
  case DecoderOp::JoinWithSpaces: return fused ? token : " " + token;
  default: return depends_on_neighbours(step.op());
  }
}

} // namespace

Result<std::string> token_bytes(const schema::Tokenizer &tables, std::string_view token) {
  std::string text(token);
  const auto *steps = tables.decoder();
  bool fused = false, is_byte = false;
  for (uint32_t i = 0; i < (steps ? steps->size() : 0); ++i) {
    const DecoderStep &step = *steps->Get(i);
    if (is_byte && step.op() != DecoderOp::Fuse && step.op() != DecoderOp::Strip)
      return depends_on_neighbours(step.op());
    Result<std::string> next = apply(step, std::move(text), fused, &is_byte);
    if (!next.ok()) return next;
    text = std::move(*next);
    fused |= step.op() == DecoderOp::Fuse || step.op() == DecoderOp::ByteLevel;
  }
  return text;
}

} // namespace llmrt
