// Decoder stages that join tokens: they hold back what is not settled and pass on the rest at once.
#include "runtime/text/normal/byte_chars.h"
#include "runtime/text/normal/bytes.h"
#include "runtime/text/decoder.h"
#include "runtime/text/normal/utf8.h"

namespace llmrt {

using schema::DecoderOp;
using schema::DecoderStep;

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd"; // U+FFFD

// All tokens become one.
class Fuse : public TokenSink {
public:
  explicit Fuse(TokenSink &next) : next_(next) {}
  void push(std::string_view fragment, bool) override { next_.push(fragment, false); }
  void finish() override {
    next_.push({}, true);
    next_.finish();
  }

private:
  TokenSink &next_;
};

class JoinWithSpaces : public TokenSink {
public:
  explicit JoinWithSpaces(TokenSink &next) : next_(next) {}
  void push(std::string_view fragment, bool ends) override {
    if (between_) next_.push(" ", true);
    between_ = ends;
    next_.push(fragment, ends);
  }
  void finish() override { next_.finish(); }

private:
  TokenSink &next_;
  bool between_ = false;
};

// GPT-2's printable characters back to bytes, and those to text. A token with any other character stands for itself.
class ByteLevel : public TokenSink {
public:
  explicit ByteLevel(TokenSink &next) : next_(next) {}
  void push(std::string_view fragment, bool ends) override {
    token_.append(fragment);
    if (!ends) return;
    if (!append_bytes()) bytes_.append(token_);
    token_.clear();
    pass_on(false);
  }
  void finish() override {
    pass_on(true);
    next_.push({}, true);
    next_.finish();
  }

private:
  bool append_bytes() {
    std::string bytes;
    for (size_t i = 0; i < token_.size();) {
      const Utf8Char c = utf8_first(std::string_view(token_).substr(i));
      const int byte = byte_of_char(c.point);
      if (byte < 0) return false;
      bytes += static_cast<char>(byte);
      i += c.length;
    }
    bytes_.append(bytes);
    return true;
  }
  void pass_on(bool last) {
    std::string text;
    size_t i = 0;
    while (i < bytes_.size()) {
      const Utf8Char c = utf8_first(std::string_view(bytes_).substr(i));
      if (c.truncated && !last) break;
      if (c.valid) text.append(bytes_, i, c.length);
      else text.append(kReplacement);
      i += c.length;
    }
    bytes_.erase(0, i);
    if (!text.empty()) next_.push(text, false);
  }
  TokenSink &next_;
  std::string token_, bytes_;
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A run of byte tokens is text if the whole of it is UTF-8, else one U+FFFD a byte; so it waits for its end.
class ByteFallback : public TokenSink {
public:
  explicit ByteFallback(TokenSink &next) : next_(next) {}
  void push(std::string_view fragment, bool ends) override {
    token_.append(fragment);
    if (!ends) return;
    const int byte = byte_of_token(token_);
    if (byte >= 0) {
      run_ += static_cast<char>(byte);
    } else {
      flush();
      next_.push(token_, true);
    }
    token_.clear();
  }
  void finish() override {
    flush();
    next_.finish();
  }

private:
  void flush() {
    if (run_.empty()) return;
    if (utf8_invalid_at(run_) == std::string_view::npos) next_.push(run_, true);
    else
      for (size_t i = 0; i < run_.size(); ++i) next_.push(kReplacement, true);
    run_.clear();
  }
  TokenSink &next_;
  std::string token_, run_;
};

// Takes up to `start` of one character off a token's start and up to `stop` off its end.
class Strip : public TokenSink {
public:
  Strip(const DecoderStep &step, TokenSink &next)
      : next_(next), content_(bytes_of(step.text())), start_(step.a()), stop_(step.b()), left_(step.a()) {}
  void push(std::string_view fragment, bool ends) override {
    std::string out;
    for (size_t i = 0; i < fragment.size();) {
      const uint32_t length = utf8_first(fragment.substr(i)).length;
      take(fragment.substr(i, length), out);
      i += length;
    }
    if (ends) {
      for (size_t kept = held_ > stop_ ? held_ - stop_ : 0; kept > 0; --kept) out.append(content_);
      held_ = 0;
      left_ = start_;
    }
    if (ends || !out.empty()) next_.push(out, ends);
  }
  void finish() override { next_.finish(); }

private:
  void take(std::string_view character, std::string &out) {
    if (character == content_ && left_ > 0) {
      --left_;
    } else if (character == content_ && stop_ > 0) {
      left_ = 0;
      ++held_;
    } else {
      left_ = 0;
      for (; held_ > 0; --held_) out.append(content_);
      out.append(character);
    }
  }
  TokenSink &next_;
  const std::string_view content_;
  const uint32_t start_, stop_;
  uint32_t left_;   // still to be taken off the token's start
  size_t held_ = 0; // copies of the character at the end so far
};

} // namespace

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return -1;
  const int low = hex_digit(token[4]);
  if (token[3] == '+') return low;
  const int high = hex_digit(token[3]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::unique_ptr<TokenSink> make_stream_stage(const DecoderStep &step, TokenSink &next) {
  switch (step.op()) {
  case DecoderOp::JoinWithSpaces: return std::make_unique<JoinWithSpaces>(next);
  case DecoderOp::Fuse: return std::make_unique<Fuse>(next);
  case DecoderOp::ByteLevel: return std::make_unique<ByteLevel>(next);
  case DecoderOp::ByteFallback: return std::make_unique<ByteFallback>(next);
  case DecoderOp::Strip: return std::make_unique<Strip>(step, next);
  default: return nullptr;
  }
}

} // namespace llmrt
