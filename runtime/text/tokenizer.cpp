#include "runtime/text/tokenizer.h"

#include "runtime/text/added_tokens.h"
#include "runtime/text/normal/bytes.h"
#include "runtime/text/decoder.h"
#include "runtime/text/normal/normalizer.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/token_bytes.h"
#include "runtime/text/normal/utf8.h"
#include "runtime/text/word_model.h"

#include <algorithm>

namespace llmrt {

namespace {

// Pieces of one text whose ids are known: a table that later ones overwrite, so its size is bounded.
class PieceCache {
public:
  explicit PieceCache(size_t pieces) {
    size_t size = 16;
    while (size < pieces && size < 8192) size *= 2;
    entries_.resize(size);
  }
  struct Entry {
    std::string_view piece;
    size_t first_id = 0, ids = 0; // in the output
  };
  Entry &at(std::string_view piece) { return entries_[hash_bytes(piece) & (entries_.size() - 1)]; }

private:
  std::vector<Entry> entries_;
};

class TokenizerImpl : public Tokenizer {
public:
  TokenizerImpl(const schema::Tokenizer &tables)
      : tables_(tables), classes_(tables.classes()), vocabulary_(*tables.vocabulary()) {
    const schema::TokenModel &model = *tables.model();
    switch (model.kind()) {
    case schema::ModelKind::Bpe: model_ = make_bpe(model, vocabulary_); break;
    case schema::ModelKind::WordPiece: model_ = make_word_piece(model, vocabulary_); break;
    case schema::ModelKind::Unigram: model_ = make_unigram(model, vocabulary_, *tables.vocabulary()->scores()); break;
    }
    ids_ = vocabulary_.size();
    if (const auto *added = tables.added_tokens(); added && added->size() > 0)
      ids_ = std::max<int64_t>(ids_, int64_t(added->Get(added->size() - 1)->id()) + 1);
  }

  Result<std::vector<int32_t>> encode(std::string_view text, bool add_special) const override {
    if (const size_t at = utf8_invalid_at(text); at != std::string_view::npos)
      return Status(StatusCode::kInvalidArgument, "the text is not UTF-8: byte " + std::to_string(at));
    std::vector<int32_t> ids;
    auto scratch = model_->scratch();
    std::vector<Section> sections;
    find_added_tokens(tables_, tables_.raw_trie(), classes_, text, sections);
    for (const Section &section : sections) {
      if (section.id >= 0) {
        ids.push_back(section.id);
        continue;
      }
      const std::string_view part = text.substr(section.begin, section.end - section.begin);
      if (Status s = encode_text(part, section.begin == 0, *scratch, ids); !s.ok()) return s;
    }
    return with_template(std::move(ids), add_special);
  }

  Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const override {
    const auto bad = std::find_if(ids.begin(), ids.end(), [](int32_t id) { return id < 0; });
    if (bad != ids.end())
      return Status(StatusCode::kInvalidArgument, "token id " + std::to_string(*bad) + " is negative");
    std::string out;
    const auto stream = decode_stream(skip_special);
    for (int32_t id : ids) stream->push(id, out);
    stream->finish(out);
    return out;
  }

  std::unique_ptr<DecodeStream> decode_stream(bool skip_special) const override;

  int64_t vocabulary() const override { return ids_; }

  bool is_special(int32_t id) const override {
    const schema::AddedToken *added = find_added(tables_, id);
    return added && added->hidden();
  }

  Result<std::string> token_text(int32_t id) const override {
    if (const schema::AddedToken *added = find_added(tables_, id)) return std::string(bytes_of(added->content()));
    if (id >= 0 && vocabulary_.has(static_cast<uint32_t>(id)))
      return std::string(vocabulary_.spelling(static_cast<uint32_t>(id)));
    return Status(StatusCode::kInvalidArgument, "no token has the id " + std::to_string(id));
  }

  Result<std::string> token_bytes(int32_t id) const override {
    const std::string_view token = decoded(id, false);
    if (!token.data()) return Status(StatusCode::kInvalidArgument, "no token has the id " + std::to_string(id));
    return llmrt::token_bytes(tables_, token);
  }

  int32_t find(std::string_view token) const override {
    if (const schema::AddedToken *added = find_added(tables_, token)) return added->id();
    return vocabulary_.find(token);
  }

  // What decoders see of an id; null data: nothing.
  std::string_view decoded(int32_t id, bool skip_special) const {
    if (const schema::AddedToken *added = find_added(tables_, id))
      return skip_special && added->hidden() ? std::string_view() : bytes_of(added->decoded());
    if (id < 0 || !vocabulary_.has(static_cast<uint32_t>(id))) return {};
    return vocabulary_.spelling(static_cast<uint32_t>(id));
  }

  const schema::Tokenizer &tables() const { return tables_; }
  const CharClasses &classes() const { return classes_; }

private:
  // `first`: the text is the start of the whole input.
  Status encode_text(std::string_view text, bool first, WordModel::Scratch &scratch, std::vector<int32_t> &ids) const {
    Result<NormalizedText> normalized = normalize(tables_, classes_, text);
    if (!normalized.ok()) return normalized.status();
    std::vector<Section> sections;
    find_added_tokens(tables_, tables_.normalized_trie(), classes_, normalized->text, sections);
    for (const Section &section : sections) {
      if (section.id >= 0) {
        ids.push_back(section.id);
        continue;
      }
      PieceList list;
      list.text = normalized->text.substr(section.begin, section.end - section.begin);
      list.pieces.push_back({0, list.text.size(), first && section.begin == 0 && normalized->keeps_start});
      if (Status s = pre_tokenize(tables_, classes_, list); !s.ok()) return s;
      if (Status s = encode_pieces(list, scratch, ids); !s.ok()) return s;
    }
    return ok_status();
  }

  Status encode_pieces(const PieceList &list, WordModel::Scratch &scratch, std::vector<int32_t> &ids) const {
    PieceCache cache(list.pieces.size());
    for (const Piece &piece : list.pieces) {
      const std::string_view text(list.text.data() + piece.begin, piece.end - piece.begin);
      PieceCache::Entry &entry = cache.at(text);
      if (entry.piece == text) {
        for (size_t i = 0; i < entry.ids; ++i) {
          const int32_t id = ids[entry.first_id + i];
          ids.push_back(id);
        }
        continue;
      }
      const size_t before = ids.size();
      if (Status s = model_->encode(text, scratch, ids); !s.ok()) return s;
      entry = {text, before, ids.size() - before};
    }
    return ok_status();
  }

  std::vector<int32_t> with_template(std::vector<int32_t> ids, bool add_special) const {
    const auto *pattern = tables_.template_ids();
    if (!pattern || pattern->size() == 0) return ids;
    std::vector<int32_t> out;
    out.reserve(ids.size() + pattern->size());
    for (int32_t id : *pattern) {
      if (id < 0) out.insert(out.end(), ids.begin(), ids.end());
      else if (add_special) out.push_back(id);
    }
    return out;
  }

  const schema::Tokenizer &tables_;
  const CharClasses classes_;
  const Vocabulary vocabulary_;
  std::unique_ptr<WordModel> model_;
  int64_t ids_ = 0;
};

class Stream : public DecodeStream {
public:
  Stream(const TokenizerImpl &tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special),
        chain_(DecoderChain::create(tokenizer.tables(), tokenizer.classes())) {}
  void push(int32_t id, std::string &out) override {
    const std::string_view token = tokenizer_.decoded(id, skip_special_);
    if (token.data()) chain_->push(token, out);
  }
  void finish(std::string &out) override { chain_->finish(out); }

private:
  const TokenizerImpl &tokenizer_;
  const bool skip_special_;
  std::unique_ptr<DecoderChain> chain_;
};

std::unique_ptr<DecodeStream> TokenizerImpl::decode_stream(bool skip_special) const {
  return std::make_unique<Stream>(*this, skip_special);
}

} // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::create(const schema::Tokenizer &tables) {
  if (!tables.vocabulary() || !tables.model())
    return Status(StatusCode::kUnsupported,
                  "the artifact has no tokenizer: give token ids, or compile a folder that has a tokenizer.json");
  return std::unique_ptr<Tokenizer>(std::make_unique<TokenizerImpl>(tables));
}

} // namespace llmrt
