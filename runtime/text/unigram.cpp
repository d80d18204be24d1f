// Unigram (Kudo 2018): of all ways to spell a piece the one with the highest sum of scores, found from left to right;
// of equal ones the first found, which is the one whose last token is longest.
#include "runtime/text/normal/utf8.h"
#include "runtime/text/word_model.h"

#include <algorithm>

namespace llmrt {

namespace {

struct PathNode {
  double score = 0;
  size_t begin = SIZE_MAX; // of the last token; SIZE_MAX: nothing ends here
  int32_t id = -1;
};

struct UnigramScratch : WordModel::Scratch {
  std::vector<PathNode> nodes;
  std::vector<std::pair<size_t, size_t>> tokens; // last first
};

class Unigram : public WordModel {
public:
  Unigram(const schema::TokenModel &model, const Vocabulary &vocabulary, const flatbuffers::Vector<double> &scores)
      : model_(model), vocabulary_(vocabulary), scores_(scores) {}

  std::unique_ptr<Scratch> scratch() const override { return std::make_unique<UnigramScratch>(); }

  Status encode(std::string_view piece, Scratch &base, std::vector<int32_t> &ids) const override {
    auto &scratch = static_cast<UnigramScratch &>(base);
    if (Status s = find_path(piece, scratch); !s.ok()) return s;
    scratch.tokens.clear();
    bool was_unknown = false;
    for (size_t end = piece.size(); end > 0;) {
      const PathNode &node = scratch.nodes[end];
      const bool unknown = node.id == model_.unknown();
      if (unknown && was_unknown) scratch.tokens.back().first = node.begin;
      else scratch.tokens.push_back({node.begin, end});
      was_unknown = unknown;
      end = node.begin;
    }
    for (size_t i = scratch.tokens.size(); i > 0; --i) {
      const auto [begin, end] = scratch.tokens[i - 1];
      if (Status s = add(piece.substr(begin, end - begin), ids); !s.ok()) return s;
    }
    return ok_status();
  }

private:
  static void offer(PathNode &node, double score, size_t begin, int32_t id) {
    if (node.begin == SIZE_MAX || score > node.score) node = {score, begin, id};
  }

  Status find_path(std::string_view piece, UnigramScratch &scratch) const {
    scratch.nodes.assign(piece.size() + 1, {});
    for (size_t begin = 0; begin < piece.size();) {
      const double score = scratch.nodes[begin].score;
      const uint32_t first = utf8_first(piece.substr(begin)).length;
      const size_t most = std::min<size_t>(piece.size() - begin, model_.max_token_bytes());
      bool alone = false; // the one character is a token
      uint64_t hash = kHashStart;
      for (size_t length = 1; length <= most; ++length) {
        hash = hash_step(hash, static_cast<unsigned char>(piece[begin + length - 1]));
        const int32_t id = vocabulary_.find(piece.substr(begin, length), mix_hash(hash));
        if (id < 0) continue;
        offer(scratch.nodes[begin + length], scores_.Get(static_cast<uint32_t>(id)) + score, begin, id);
        alone = alone || length == first;
      }
      if (!alone) {
        if (model_.unknown() < 0) return unknown_token_missing();
        offer(scratch.nodes[begin + first], model_.unknown_score() + score, begin, model_.unknown());
      }
      begin += first;
    }
    return ok_status();
  }

  Status add(std::string_view token, std::vector<int32_t> &ids) const {
    const int32_t id = vocabulary_.find(token);
    if (id >= 0) {
      ids.push_back(id);
      return ok_status();
    }
    const auto byte_id = [&](char c) { return model_.byte_ids()->Get(static_cast<unsigned char>(c)); };
    if (model_.byte_fallback() && std::all_of(token.begin(), token.end(), [&](char c) { return byte_id(c) >= 0; })) {
      for (char c : token) ids.push_back(byte_id(c));
      return ok_status();
    }
    if (model_.unknown() < 0) return unknown_token_missing();
    ids.push_back(model_.unknown());
    return ok_status();
  }

  const schema::TokenModel &model_;
  const Vocabulary vocabulary_;
  const flatbuffers::Vector<double> &scores_;
};

} // namespace

std::unique_ptr<WordModel> make_unigram(const schema::TokenModel &model, const Vocabulary &vocabulary,
                                        const flatbuffers::Vector<double> &scores) {
  return std::make_unique<Unigram>(model, vocabulary, scores);
}

} // namespace llmrt
