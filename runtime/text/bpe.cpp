// Byte pair encoding (Sennrich et al. 2016): characters first, then the pair of lowest rank, leftmost first, until none
// is left. A heap and a linked list make it n log n in the length of a piece.
#include "runtime/text/normal/bytes.h"
#include "runtime/text/normal/utf8.h"
#include "runtime/text/word_model.h"

#include <algorithm>
#include <optional>
#include <string>

namespace llmrt {

namespace {

constexpr uint32_t kNone = 0xffffffff;

struct Symbol {
  uint32_t id;
  uint32_t previous, next; // kNone at the ends
  bool live;
};

struct Candidate { // a pair that may be merged: the symbol at `at` and the next one
  uint32_t rank, at, result;
};

// std::push_heap keeps the greatest on top: the lowest rank, then the leftmost.
struct Later {
  bool operator()(const Candidate &a, const Candidate &b) const {
    return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
  }
};

struct BpeScratch : WordModel::Scratch {
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  std::string key;
};

class Bpe : public WordModel {
public:
  Bpe(const schema::TokenModel &model, const Vocabulary &vocabulary)
      : model_(model), merges_(*model.merges()), vocabulary_(vocabulary), prefix_(text_of(model.prefix())),
        suffix_(text_of(model.suffix())) {}

  std::unique_ptr<Scratch> scratch() const override { return std::make_unique<BpeScratch>(); }

  Status encode(std::string_view piece, Scratch &base, std::vector<int32_t> &ids) const override {
    if (model_.ignore_merges()) {
      const int32_t whole = vocabulary_.find(piece);
      if (whole >= 0) {
        ids.push_back(whole);
        return ok_status();
      }
    }
    auto &scratch = static_cast<BpeScratch &>(base);
    if (Status s = split(piece, scratch); !s.ok()) return s;
    merge(scratch);
    for (const Symbol &symbol : scratch.symbols)
      if (symbol.live) ids.push_back(static_cast<int32_t>(symbol.id));
    return ok_status();
  }

private:
  const schema::Merge *find_merge(uint32_t left, uint32_t right) const {
    const uint32_t mask = merges_.size() - 1;
    for (uint32_t slot = static_cast<uint32_t>(hash_pair(left, right)) & mask;; slot = (slot + 1) & mask) {
      const schema::Merge *merge = merges_.Get(slot);
      if (merge->result() == kNone) return nullptr;
      if (merge->left() == left && merge->right() == right) return merge;
    }
  }

  static void add(BpeScratch &scratch, uint32_t id) {
    const uint32_t at = static_cast<uint32_t>(scratch.symbols.size());
    if (at > 0) scratch.symbols.back().next = at;
    scratch.symbols.push_back({id, at == 0 ? kNone : at - 1, kNone, true});
  }

  // False: some byte has no token of its own.
  bool add_bytes(std::string_view bytes, BpeScratch &scratch) const {
    const auto id_of = [&](char c) { return model_.byte_ids()->Get(static_cast<unsigned char>(c)); };
    if (!std::all_of(bytes.begin(), bytes.end(), [&](char c) { return id_of(c) >= 0; })) return false;
    for (char c : bytes) add(scratch, static_cast<uint32_t>(id_of(c)));
    return true;
  }

  // The piece's characters as symbols. An unknown one waits (`pending`) so that neighbours can be fused; as in the
  // library, bytes that stand in for a character do not end that wait.
  Status split(std::string_view piece, BpeScratch &scratch) const {
    scratch.symbols.clear();
    bool pending = false;
    for (size_t i = 0; i < piece.size();) {
      const uint32_t length = utf8_first(piece.substr(i)).length;
      std::string_view spelling = piece.substr(i, length);
      const bool decorated = (i > 0 && !prefix_.empty()) || (i + length == piece.size() && !suffix_.empty());
      if (decorated) spelling = decorate(spelling, i > 0, i + length == piece.size(), scratch.key);
      i += length;
      const int32_t id = vocabulary_.find(spelling);
      if (id >= 0) {
        if (pending) add(scratch, static_cast<uint32_t>(model_.unknown()));
        pending = false;
        add(scratch, static_cast<uint32_t>(id));
        continue;
      }
      if (model_.byte_fallback() && add_bytes(spelling, scratch)) continue;
      if (model_.unknown() == -1) continue;
      if (model_.unknown() < 0) return unknown_token_missing();
      if (pending && !model_.fuse_unknown()) add(scratch, static_cast<uint32_t>(model_.unknown()));
      pending = true;
    }
    if (pending) add(scratch, static_cast<uint32_t>(model_.unknown()));
    return ok_status();
  }

  std::string_view decorate(std::string_view spelling, bool continues, bool ends, std::string &key) const {
    key.clear();
    if (continues) key.append(prefix_);
    key.append(spelling);
    if (ends) key.append(suffix_);
    return key;
  }

  void consider(BpeScratch &scratch, uint32_t left, uint32_t right) const {
    const schema::Merge *m = find_merge(scratch.symbols[left].id, scratch.symbols[right].id);
    if (!m) return;
    scratch.heap.push_back({m->rank(), left, m->result()});
    std::push_heap(scratch.heap.begin(), scratch.heap.end(), Later());
  }

  void merge(BpeScratch &scratch) const {
    auto &symbols = scratch.symbols;
    scratch.heap.clear();
    for (uint32_t i = 0; i + 1 < symbols.size(); ++i)
      if (const schema::Merge *m = find_merge(symbols[i].id, symbols[i + 1].id))
        scratch.heap.push_back({m->rank(), i, m->result()});
    std::make_heap(scratch.heap.begin(), scratch.heap.end(), Later());
    while (!scratch.heap.empty()) {
      std::pop_heap(scratch.heap.begin(), scratch.heap.end(), Later());
      const Candidate top = scratch.heap.back();
      scratch.heap.pop_back();
      join(scratch, top);
    }
  }

  void join(BpeScratch &scratch, const Candidate &top) const {
    auto &symbols = scratch.symbols;
    Symbol &left = symbols[top.at];
    if (!left.live || left.next == kNone) return;
    Symbol &right = symbols[left.next];
    // The entry may be stale; like the library, ask only whether the pair still gives the same token.
    const schema::Merge *m = find_merge(left.id, right.id);
    if (!m || m->result() != top.result) return;
    left.id = top.result;
    left.next = right.next;
    right.live = false;
    if (left.next != kNone) symbols[left.next].previous = top.at;
    if (left.previous != kNone) consider(scratch, left.previous, top.at);
    if (left.next != kNone) consider(scratch, top.at, left.next);
  }

  const schema::TokenModel &model_;
  const flatbuffers::Vector<const schema::Merge *> &merges_;
  const Vocabulary vocabulary_;
  const std::string_view prefix_, suffix_;
};

} // namespace

std::unique_ptr<WordModel> make_bpe(const schema::TokenModel &model, const Vocabulary &vocabulary) {
  return std::make_unique<Bpe>(model, vocabulary);
}

Status unknown_token_missing() {
  return Status(StatusCode::kInvalidArgument,
                "the text has characters that the tokenizer lacks, and its unknown token is not in its vocabulary");
}

} // namespace llmrt
