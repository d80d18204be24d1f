#include "runtime/text/decoder.h"

#include <vector>

namespace llmrt {

using schema::DecoderOp;

namespace {

class TextSink : public TokenSink {
public:
  void push(std::string_view fragment, bool) override { text.append(fragment); }
  void finish() override {}
  std::string text;
};

class Chain : public DecoderChain {
public:
  Chain(const schema::Tokenizer &tables, const CharClasses &classes) {
    first_ = &sink_;
    const auto *steps = tables.decoder();
    for (uint32_t i = steps ? steps->size() : 0; i > 0; --i) {
      const schema::DecoderStep &step = *steps->Get(i - 1);
      auto stage = make_stream_stage(step, *first_);
      if (!stage) stage = make_rewrite_stage(step, tables, classes, *first_);
      first_ = stage.get();
      stages_.push_back(std::move(stage));
    }
  }
  void push(std::string_view token, std::string &out) override {
    first_->push(token, true);
    drain(out);
  }
  void finish(std::string &out) override {
    first_->finish();
    drain(out);
  }

private:
  void drain(std::string &out) {
    out.append(sink_.text);
    sink_.text.clear();
  }
  TextSink sink_;
  TokenSink *first_;
  std::vector<std::unique_ptr<TokenSink>> stages_;
};

} // namespace

std::unique_ptr<DecoderChain> DecoderChain::create(const schema::Tokenizer &tables, const CharClasses &classes) {
  return std::make_unique<Chain>(tables, classes);
}

} // namespace llmrt
