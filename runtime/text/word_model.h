// A piece of text to ids: what BPE, WordPiece and Unigram have in common.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/vocabulary.h"

#include <memory>
#include <string_view>
#include <vector>

namespace llmrt {

class WordModel {
public:
  // Working memory of one encode call, kept from piece to piece.
  class Scratch {
  public:
    virtual ~Scratch() = default;
  };

  virtual ~WordModel() = default;
  virtual std::unique_ptr<Scratch> scratch() const = 0;
  // Appends the ids of `piece` (UTF-8, not empty).
  virtual Status encode(std::string_view piece, Scratch &scratch, std::vector<int32_t> &ids) const = 0;
};

// All refer to the verified tables, which must outlive them.
std::unique_ptr<WordModel> make_bpe(const schema::TokenModel &model, const Vocabulary &vocabulary);
std::unique_ptr<WordModel> make_word_piece(const schema::TokenModel &model, const Vocabulary &vocabulary);
std::unique_ptr<WordModel> make_unigram(const schema::TokenModel &model, const Vocabulary &vocabulary,
                                        const flatbuffers::Vector<double> &scores);

Status unknown_token_missing();

} // namespace llmrt
