#include "runtime/session/text_stream.h"

#include "runtime/session/byte_tokenizer.h"

#include <gtest/gtest.h>

namespace llmrt {
namespace {

using testing::ByteTokenizer;

std::string push_all(TextStream &stream, std::string_view bytes) {
  std::string out;
  for (char c : bytes)
    out += stream.push(static_cast<unsigned char>(c));
  return out;
}

TEST(TextStream, NeverShowsHalfACharacter) {
  ByteTokenizer tokenizer;
  TextStream stream(&tokenizer, {});
  EXPECT_EQ(stream.push('a'), "a");
  EXPECT_EQ(stream.push(0xE2), "");
  EXPECT_EQ(stream.push(0x82), "");
  EXPECT_EQ(stream.push(0xAC), "\u20AC");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, WhatStaysHalfComesOutAtTheEnd) {
  ByteTokenizer tokenizer;
  TextStream stream(&tokenizer, {});
  EXPECT_EQ(push_all(stream, "x\xE2"), "x");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

TEST(TextStream, StopsAtAStopString) {
  ByteTokenizer tokenizer;
  TextOptions options;
  options.stop = {"stop"};
  TextStream stream(&tokenizer, options);
  EXPECT_EQ(push_all(stream, "do not sto"), "do not ");
  EXPECT_FALSE(stream.stopped());
  EXPECT_EQ(push_all(stream, "p"), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.stop_string(), "stop");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, TheFirstTokensAreNotSearched) {
  ByteTokenizer tokenizer;
  TextOptions options;
  options.stop = {"ab"};
  options.min_tokens = 2;
  TextStream stream(&tokenizer, options);
  EXPECT_EQ(push_all(stream, "ab"), "ab");
  EXPECT_FALSE(stream.stopped());
  EXPECT_EQ(push_all(stream, "xab"), "x");
  EXPECT_TRUE(stream.stopped());
}

TEST(TextStream, SpecialTokensAreSkippedUnlessWanted) {
  ByteTokenizer tokenizer;
  TextOptions keep;
  keep.skip_special = false;
  TextStream skipping(&tokenizer, {}), keeping(&tokenizer, keep);
  EXPECT_EQ(skipping.push(testing::kEnd) + skipping.finish(), "");
  EXPECT_EQ(keeping.push(testing::kEnd) + keeping.finish(), "</s>");
}

TEST(TextStream, TheIdThatStopsIsLeftOutUnlessWanted) {
  ByteTokenizer tokenizer;
  TextOptions include;
  include.include_stop = true;
  TextStream without(&tokenizer, {}), with(&tokenizer, include);
  EXPECT_EQ(without.push_stop_id('!') + without.finish(), "");
  EXPECT_EQ(with.push_stop_id('!') + with.finish(), "!");
}

// Like SentencePiece's: the first space of a text is dropped.
class StrippingTokenizer : public ByteTokenizer {
public:
  Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const override {
    Result<std::string> text = ByteTokenizer::decode(ids, skip_special);
    return text.ok() && !text->empty() && text->front() == ' ' ? Result<std::string>(text->substr(1)) : text;
  }
};

TEST(TextStream, GoesOnWhereThePromptEnds) {
  StrippingTokenizer tokenizer;
  const std::vector<int32_t> prompt = {testing::kBegin, ' ', 'a', 'b'};
  TextStream alone(&tokenizer, {}), after(&tokenizer, {});
  after.continue_after(prompt);
  EXPECT_EQ(push_all(alone, " cd") + alone.finish(), "cd");
  EXPECT_EQ(push_all(after, " cd") + after.finish(), " cd");
}

TEST(TextStream, WithoutATokenizerThereIsNoText) {
  TextStream stream(nullptr, {});
  EXPECT_EQ(stream.push(3) + stream.finish(), "");
}

} // namespace
} // namespace llmrt
