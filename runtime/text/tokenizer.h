// Text to ids and back, from the tables that llmc compiled into the artifact. Agrees with Hugging Face's tokenizers
// library on the model's tokenizer.json.
#pragma once

#include "runtime/base/status.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt {

namespace schema {
struct Tokenizer; // generated from runtime/schema/tokenizer.fbs
}

// Ids to text piece by piece. What push() and finish() append is, taken together, what decode() gives.
class DecodeStream {
public:
  virtual ~DecodeStream() = default;
  virtual void push(int32_t id, std::string &out) = 0; // an id that decode() would refuse gives nothing
  virtual void finish(std::string &out) = 0;           // once, at the end
};

class Tokenizer {
public:
  // `tables` must outlive the tokenizer; the artifact's verifier has checked them.
  static Result<std::unique_ptr<Tokenizer>> create(const schema::Tokenizer &tables);
  virtual ~Tokenizer() = default;

  // `text` is UTF-8 (invalid: kInvalidArgument with the byte offset). `add_special`: the post-processor's tokens.
  // Special tokens written in the text are recognised either way.
  virtual Result<std::vector<int32_t>> encode(std::string_view text, bool add_special) const = 0;
  // As decode(ids, skip_special_tokens, clean_up_tokenization_spaces=False). A negative id: kInvalidArgument; an id
  // without a token (a padded vocabulary has some) gives nothing, as in the library.
  virtual Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const = 0;
  // Without an override: decodes all ids again at each push, for tokenizers of tests.
  virtual std::unique_ptr<DecodeStream> decode_stream(bool skip_special) const;
  virtual int64_t vocabulary() const = 0; // the largest id that has a token, and one
  virtual bool is_special(int32_t id) const = 0;
  virtual Result<std::string> token_text(int32_t id) const = 0;  // the vocabulary's own spelling
  // The bytes that the id adds to a text that goes on; not always whole characters. A special token's own spelling.
  // kUnsupported: with this decoder they depend on the ids beside it. Without an override: decode() of it alone.
  virtual Result<std::string> token_bytes(int32_t id) const { return decode({&id, 1}, false); }
  virtual int32_t find(std::string_view token) const = 0;        // -1: none
};

// Turns ids into text as they come: what push() has returned so far plus finish() is what decode() gives for all of
// them, and it never ends in half a character.
class StreamDecoder {
public:
  StreamDecoder(const Tokenizer &tokenizer, bool skip_special);
  std::string push(int32_t id);
  std::string finish();

private:
  std::unique_ptr<DecodeStream> stream_;
};

} // namespace llmrt
