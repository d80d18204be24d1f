// A tokenizer for tests: an id below 256 is that byte; 256 begins and 257 ends a text, both special.
#pragma once

#include "runtime/text/tokenizer.h"

namespace llmrt::testing {

inline constexpr int32_t kBegin = 256, kEnd = 257, kVocabulary = 258;

class ByteTokenizer : public Tokenizer {
public:
  Result<std::vector<int32_t>> encode(std::string_view text, bool add_special) const override {
    std::vector<int32_t> out;
    if (add_special)
      out.push_back(kBegin);
    for (char c : text)
      out.push_back(static_cast<unsigned char>(c));
    return out;
  }
  Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const override {
    std::string out;
    for (int32_t id : ids) {
      if (id < 0 || id >= kVocabulary)
        return Status(StatusCode::kInvalidArgument, "token id " + std::to_string(id) + " is out of range");
      if (id < 256)
        out += static_cast<char>(id);
      else if (!skip_special)
        out += id == kBegin ? "<s>" : "</s>";
    }
    return repaired(out);
  }
  int64_t vocabulary() const override { return kVocabulary; }
  bool is_special(int32_t id) const override { return id >= 256; }
  Result<std::string> token_text(int32_t id) const override { return decode({&id, 1}, false); }
  Result<std::string> token_bytes(int32_t id) const override {
    return id >= 0 && id < 256 ? Result<std::string>(std::string(1, static_cast<char>(id))) : token_text(id);
  }
  int32_t find(std::string_view token) const override {
    return token.size() == 1 ? static_cast<unsigned char>(token[0]) : -1;
  }

private:
  // Bytes that are not UTF-8 as U+FFFD, as real tokenizers give them.
  static std::string repaired(const std::string &text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
      unsigned char c = static_cast<unsigned char>(text[i]);
      size_t length = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
      bool whole = length > 0 && i + length <= text.size();
      for (size_t k = 1; whole && k < length; ++k)
        whole = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
      out += whole ? text.substr(i, length) : std::string("\xEF\xBF\xBD");
      i += whole ? length : 1;
    }
    return out;
  }
};

} // namespace llmrt::testing
