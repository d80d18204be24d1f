#include "runtime/text/tokenizer.h"

namespace llmrt {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Gives out what decode() gives but for a tail of U+FFFD, which may be the start of a character.
class RepeatedDecode : public DecodeStream {
public:
  RepeatedDecode(const Tokenizer &tokenizer, bool skip_special) : tokenizer_(tokenizer), skip_special_(skip_special) {}

  void push(int32_t id, std::string &out) override {
    ids_.push_back(id);
    Result<std::string> text = tokenizer_.decode(ids_, skip_special_);
    if (!text.ok()) {
      ids_.pop_back();
      return;
    }
    std::string_view settled = *text;
    while (settled.ends_with(kReplacement)) settled.remove_suffix(kReplacement.size());
    append(settled, out);
  }
  void finish(std::string &out) override {
    if (Result<std::string> text = tokenizer_.decode(ids_, skip_special_); text.ok()) append(*text, out);
  }

private:
  void append(std::string_view text, std::string &out) {
    if (text.size() <= given_) return;
    out.append(text.substr(given_));
    given_ = text.size();
  }
  const Tokenizer &tokenizer_;
  const bool skip_special_;
  std::vector<int32_t> ids_;
  size_t given_ = 0; // bytes
};

} // namespace

std::unique_ptr<DecodeStream> Tokenizer::decode_stream(bool skip_special) const {
  return std::make_unique<RepeatedDecode>(*this, skip_special);
}

StreamDecoder::StreamDecoder(const Tokenizer &tokenizer, bool skip_special)
    : stream_(tokenizer.decode_stream(skip_special)) {}

std::string StreamDecoder::push(int32_t id) {
  std::string out;
  stream_->push(id, out);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out;
  stream_->finish(out);
  return out;
}

} // namespace llmrt
