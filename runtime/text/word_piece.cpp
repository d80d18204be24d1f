// WordPiece as BERT uses it: the longest spelling first, from the left; a word that does not come out whole is unknown.
#include "runtime/text/normal/bytes.h"
#include "runtime/text/normal/utf8.h"
#include "runtime/text/word_model.h"

#include <algorithm>

namespace llmrt {

namespace {

struct WordPieceScratch : WordModel::Scratch {
  std::vector<std::pair<size_t, uint64_t>> ends; // where a spelling may end, and its hash so far
};

class WordPiece : public WordModel {
public:
  WordPiece(const schema::TokenModel &model, const Vocabulary &vocabulary)
      : model_(model), vocabulary_(vocabulary), prefix_(text_of(model.prefix())) {
    for (char c : prefix_) prefix_hash_ = hash_step(prefix_hash_, static_cast<unsigned char>(c));
  }

  std::unique_ptr<Scratch> scratch() const override { return std::make_unique<WordPieceScratch>(); }

  Status encode(std::string_view piece, Scratch &base, std::vector<int32_t> &ids) const override {
    const auto characters = std::count_if(piece.begin(), piece.end(),
                                          [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    if (static_cast<uint64_t>(characters) > model_.max_word_chars()) return add_unknown(ids);
    auto &scratch = static_cast<WordPieceScratch &>(base);
    const size_t before = ids.size();
    for (size_t begin = 0; begin < piece.size();) {
      const auto [id, end] = longest(piece, begin, scratch);
      if (id < 0) {
        ids.resize(before);
        return add_unknown(ids);
      }
      ids.push_back(id);
      begin = end;
    }
    return ok_status();
  }

private:
  std::pair<int32_t, size_t> longest(std::string_view piece, size_t begin, WordPieceScratch &scratch) const {
    scratch.ends.clear();
    uint64_t hash = begin > 0 ? prefix_hash_ : kHashStart;
    const size_t most = std::min<size_t>(piece.size() - begin, model_.max_token_bytes());
    for (size_t length = 1; length <= most; ++length) {
      hash = hash_step(hash, static_cast<unsigned char>(piece[begin + length - 1]));
      scratch.ends.push_back({begin + length, hash});
    }
    std::string spelling;
    for (size_t i = scratch.ends.size(); i > 0; --i) {
      const auto [end, state] = scratch.ends[i - 1];
      std::string_view text = piece.substr(begin, end - begin);
      if (begin > 0) text = spelling.assign(prefix_).append(text);
      const int32_t id = vocabulary_.find(text, mix_hash(state));
      if (id >= 0) return {id, end};
    }
    return {-1, begin};
  }

  Status add_unknown(std::vector<int32_t> &ids) const {
    if (model_.unknown() < 0) return unknown_token_missing();
    ids.push_back(model_.unknown());
    return ok_status();
  }

  const schema::TokenModel &model_;
  const Vocabulary vocabulary_;
  const std::string_view prefix_;
  uint64_t prefix_hash_ = kHashStart;
};

} // namespace

std::unique_ptr<WordModel> make_word_piece(const schema::TokenModel &model, const Vocabulary &vocabulary) {
  return std::make_unique<WordPiece>(model, vocabulary);
}

} // namespace llmrt
