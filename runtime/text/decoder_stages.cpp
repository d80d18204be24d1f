// Decoder stages that rewrite one token at a time.
#include "runtime/text/normal/bytes.h"
#include "runtime/text/decoder.h"
#include "runtime/text/normal/normalizer.h"
#include "runtime/text/normal/pattern.h"

#include <vector>

namespace llmrt {

using schema::DecoderOp;
using schema::DecoderStep;

namespace {

// English punctuation and contractions closed up, in the library's order.
std::string clean_up(std::string text) {
  static constexpr std::string_view kRules[][2] = {
      {" .", "."},       {" ?", "?"},     {" !", "!"},   {" ,", ","},             {" ' ", "'"},  {" n't", "n't"},
      {" 'm", "'m"},     {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"},   {" 're", "'re"}};
  for (const auto &rule : kRules) text = replace_all(text, rule[0], rule[1]);
  return text;
}

class Rewrite : public TokenSink {
public:
  explicit Rewrite(TokenSink &next) : next_(next) {}
  void push(std::string_view fragment, bool ends) override {
    token_.append(fragment);
    if (!ends) return;
    take(std::move(token_), count_++);
    token_.clear();
  }
  void finish() override {
    last();
    next_.finish();
  }

protected:
  virtual void take(std::string token, size_t index) = 0;
  virtual void last() {}
  TokenSink &next_;

private:
  std::string token_;
  size_t count_ = 0;
};

class ReplaceText : public Rewrite {
public:
  ReplaceText(const DecoderStep &step, TokenSink &next)
      : Rewrite(next), what_(bytes_of(step.text())), with_(bytes_of(step.content())) {}
  void take(std::string token, size_t) override { next_.push(replace_all(token, what_, with_), true); }

private:
  const std::string_view what_, with_;
};

class ReplacePattern : public Rewrite {
public:
  ReplacePattern(const DecoderStep &step, const schema::TextPattern &pattern, const CharClasses &classes,
                 TokenSink &next)
      : Rewrite(next), matcher_(pattern, classes), with_(bytes_of(step.content())) {}
  void take(std::string token, size_t) override {
    std::vector<Span> matches;
    std::string out;
    size_t from = 0;
    if (!matcher_.find_all(token, matches).ok()) matches.clear(); // a token is short: only a made-up table gets here
    for (const Span &m : matches) {
      out.append(token, from, m.begin - from).append(with_);
      from = m.end;
    }
    next_.push(out.append(token, from), true);
  }

private:
  PatternMatcher matcher_;
  const std::string_view with_;
};

class Metaspace : public Rewrite {
public:
  Metaspace(const DecoderStep &step, TokenSink &next)
      : Rewrite(next), what_(bytes_of(step.text())), drops_first_(step.a() == 1) {}
  void take(std::string token, size_t index) override {
    next_.push(replace_all(token, what_, index == 0 && drops_first_ ? "" : " "), true);
  }

private:
  const std::string_view what_;
  const bool drops_first_;
};

class WordPiece : public Rewrite {
public:
  WordPiece(const DecoderStep &step, TokenSink &next)
      : Rewrite(next), prefix_(bytes_of(step.text())), cleans_(step.a() == 1) {}
  void take(std::string token, size_t index) override {
    if (index > 0) {
      if (std::string_view(token).substr(0, prefix_.size()) == prefix_) token.erase(0, prefix_.size());
      else token.insert(0, " ");
    }
    next_.push(cleans_ ? clean_up(std::move(token)) : token, true);
  }

private:
  const std::string_view prefix_;
  const bool cleans_;
};

// The suffix becomes a space, and nothing in the last token; so one token waits.
class BpeSuffix : public Rewrite {
public:
  BpeSuffix(const DecoderStep &step, TokenSink &next) : Rewrite(next), suffix_(bytes_of(step.text())) {}
  void take(std::string token, size_t index) override {
    if (index > 0) next_.push(replace_all(waiting_, suffix_, " "), true);
    waiting_ = std::move(token);
    any_ = true;
  }
  void last() override {
    if (any_) next_.push(replace_all(waiting_, suffix_, ""), true);
  }

private:
  const std::string_view suffix_;
  std::string waiting_;
  bool any_ = false;
};

class Ctc : public Rewrite {
public:
  Ctc(const DecoderStep &step, TokenSink &next)
      : Rewrite(next), padding_(bytes_of(step.text())), delimiter_(bytes_of(step.content())), cleans_(step.a() == 1) {}
  void take(std::string token, size_t index) override {
    if (index > 0 && token == previous_) return;
    previous_ = token;
    if (!padding_.empty()) token = replace_all(token, padding_, "");
    if (cleans_) token = clean_up(std::move(token));
    if (cleans_ && !delimiter_.empty()) token = replace_all(token, delimiter_, " ");
    if (!token.empty()) next_.push(token, true);
  }

private:
  const std::string_view padding_, delimiter_;
  const bool cleans_;
  std::string previous_;
};

} // namespace

std::unique_ptr<TokenSink> make_rewrite_stage(const DecoderStep &step, const schema::Tokenizer &tables,
                                              const CharClasses &classes, TokenSink &next) {
  switch (step.op()) {
  case DecoderOp::ReplacePattern:
    return std::make_unique<ReplacePattern>(step, *tables.patterns()->Get(step.a()), classes, next);
  case DecoderOp::Metaspace: return std::make_unique<Metaspace>(step, next);
  case DecoderOp::WordPiece: return std::make_unique<WordPiece>(step, next);
  case DecoderOp::BpeSuffix: return std::make_unique<BpeSuffix>(step, next);
  case DecoderOp::Ctc: return std::make_unique<Ctc>(step, next);
  default: return std::make_unique<ReplaceText>(step, next);
  }
}

} // namespace llmrt
