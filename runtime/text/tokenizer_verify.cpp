#include "runtime/text/tokenizer_verify.h"

#include "runtime/text/normal/bytes.h"
#include "runtime/text/normal/utf8.h"
#include "runtime/schema/tokenizer_generated.h"

#include <string>

namespace llmrt {

using namespace schema;

namespace {

constexpr uint32_t kMostIds = 1u << 26;
constexpr uint32_t kMostPoint = 0x10ffff;
constexpr uint32_t kNone = 0xffffffff;
constexpr uint32_t kMostRepeats = 10'000;

Status corrupt(const std::string &what) {
  return Status(StatusCode::kCorrupt, "the artifact's tokenizer is damaged (" + what + "); compile the model again");
}

bool is_text(const flatbuffers::Vector<uint8_t> *bytes) {
  return utf8_invalid_at(bytes_of(bytes)) == std::string_view::npos;
}

template <typename T> uint32_t count(const flatbuffers::Vector<T> *v) { return v ? v->size() : 0; }

bool is_power_of_two(uint32_t n) { return n != 0 && (n & (n - 1)) == 0; }

class Checker {
public:
  Checker(const schema::Tokenizer &t) : t_(t), classes_(count(t.classes())), patterns_(count(t.patterns())) {}

  Status all() {
    Status s = classes();
    if (s.ok()) s = maps();
    if (s.ok()) s = normal_forms();
    for (uint32_t i = 0; s.ok() && i < patterns_; ++i) s = pattern(*t_.patterns()->Get(i));
    if (s.ok()) s = vocabulary(*t_.vocabulary());
    if (s.ok()) s = model(*t_.model());
    if (s.ok()) s = added_tokens();
    if (s.ok()) s = trie(t_.raw_trie());
    if (s.ok()) s = trie(t_.normalized_trie());
    if (s.ok()) s = steps();
    if (s.ok()) s = decoder_steps();
    if (s.ok()) s = rest();
    return s;
  }

private:
  Status classes() const {
    for (uint32_t i = 0; i < classes_; ++i) {
      uint32_t next = 0;
      for (const CharRange *r : *t_.classes()->Get(i)->ranges()) {
        if (r->first() < next || r->last() < r->first() || r->last() > kMostPoint) return corrupt("a character class");
        next = r->last() + 1;
      }
    }
    return ok_status();
  }

  Status maps() const {
    for (uint32_t i = 0; i < count(t_.maps()); ++i)
      for (const CharMapping *row : *t_.maps()->Get(i)->rows())
        if (!is_point(row->first()) || !is_point(row->second())) return corrupt("a character map");
    return ok_status();
  }

  static bool is_point(uint32_t p) { return p <= kMostPoint && !(p >= 0xd800 && p <= 0xdfff); }

  Status normal_forms() const {
    const NormalForms *forms = t_.normal_forms();
    if (!forms) return ok_status();
    const uint32_t points = forms->points()->size();
    for (const auto *rows : {forms->canonical(), forms->compatibility()})
      for (const Decomposition *row : *rows)
        if (row->first() > points || row->count() > points - row->first()) return corrupt("a decomposition");
    for (uint32_t p : *forms->points())
      if (!is_point(p)) return corrupt("a decomposition");
    for (const Composition *row : *forms->compositions())
      if (!is_point(row->result())) return corrupt("a composition");
    return ok_status();
  }

  Status pattern(const TextPattern &p) const {
    const uint32_t size = p.program()->size();
    if (size == 0 || size > (1u << 20)) return corrupt("a pattern's size");
    for (uint32_t pc = 0; pc < size; ++pc) {
      const PatternInstruction &op = *p.program()->Get(pc);
      const bool ends = op.op() == PatternOp::Match || op.op() == PatternOp::Jump || op.op() == PatternOp::Split ||
                        op.op() == PatternOp::LookEnd;
      if (!ends && pc + 1 >= size) return corrupt("a pattern's end");
      if (!is_sound(op, size)) return corrupt("a pattern's instruction");
    }
    return ok_status();
  }

  bool is_sound(const PatternInstruction &op, uint32_t size) const {
    switch (op.op()) {
    case PatternOp::Jump:
    case PatternOp::Look: return op.a() < size && op.c() <= kMostRepeats;
    case PatternOp::Split: return op.a() < size && op.b() < size;
    case PatternOp::RepeatGreedy:
    case PatternOp::RepeatLazy:
    case PatternOp::RepeatPossessive:
      return op.a() < classes_ && op.b() <= kMostRepeats && op.c() >= op.b() &&
             (op.c() == kNone || op.c() <= kMostRepeats);
    case PatternOp::Class:
    case PatternOp::AheadClass:
    case PatternOp::NotAheadClass:
    case PatternOp::BehindClass:
    case PatternOp::NotBehindClass:
    case PatternOp::WordBoundary:
    case PatternOp::NotWordBoundary: return op.a() < classes_;
    default: return op.op() <= PatternOp::NotWordBoundary;
    }
  }

  Status vocabulary(const Vocabulary &v) {
    ids_ = v.ends()->size();
    if (ids_ > kMostIds || v.present()->size() != ids_) return corrupt("the vocabulary's size");
    if (v.scores() && v.scores()->size() != ids_) return corrupt("the vocabulary's scores");
    uint32_t begin = 0;
    for (uint32_t id = 0; id < ids_; ++id) {
      const uint32_t end = v.ends()->Get(id);
      if (end < begin || end > v.bytes()->size()) return corrupt("a spelling's place");
      if (utf8_invalid_at(bytes_of(v.bytes()).substr(begin, end - begin)) != std::string_view::npos)
        return corrupt("a spelling");
      begin = end;
    }
    bool free_slot = false;
    for (uint32_t entry : *v.slots()) {
      free_slot = free_slot || entry == 0;
      if (entry > ids_) return corrupt("the vocabulary's index");
    }
    return is_power_of_two(v.slots()->size()) && free_slot ? ok_status() : corrupt("the vocabulary's index");
  }

  bool is_id(int32_t id) const { return id >= 0 && static_cast<uint32_t>(id) < ids_; }

  Status model(const TokenModel &m) const {
    if (m.kind() > ModelKind::Unigram) return corrupt("the kind of model");
    if (m.unknown() >= 0 && !is_id(m.unknown())) return corrupt("the unknown token");
    if (m.byte_fallback() && count(m.byte_ids()) != 256) return corrupt("the byte tokens");
    for (uint32_t i = 0; i < count(m.byte_ids()); ++i)
      if (m.byte_ids()->Get(i) >= 0 && !is_id(m.byte_ids()->Get(i))) return corrupt("the byte tokens");
    if (m.kind() == ModelKind::Unigram && !t_.vocabulary()->scores()) return corrupt("the vocabulary's scores");
    for (const auto *text : {m.prefix(), m.suffix()})
      if (utf8_invalid_at(text_of(text)) != std::string_view::npos) return corrupt("a subword's mark");
    if (m.kind() != ModelKind::Bpe) return ok_status();
    if (!m.merges() || !is_power_of_two(m.merges()->size())) return corrupt("the merges");
    bool free_slot = false;
    for (const Merge *merge : *m.merges()) {
      free_slot = free_slot || merge->result() == kNone;
      if (merge->result() != kNone && merge->result() >= ids_) return corrupt("a merge");
    }
    return free_slot ? ok_status() : corrupt("the merges");
  }

  Status added_tokens() const {
    const uint32_t n = count(t_.added_tokens());
    int64_t last = -1;
    for (uint32_t i = 0; i < n; ++i) {
      const AddedToken *token = t_.added_tokens()->Get(i);
      if (token->id() <= last || token->id() >= int32_t(kMostIds)) return corrupt("an added token's id");
      if (!is_text(token->content()) || !is_text(token->decoded())) return corrupt("an added token's text");
      last = token->id();
    }
    if (count(t_.added_by_text()) != n) return corrupt("the added tokens' index");
    for (uint32_t i = 0; i < n; ++i)
      if (t_.added_by_text()->Get(i) >= n) return corrupt("the added tokens' index");
    return ok_status();
  }

  Status trie(const Trie *trie) const {
    if (!trie) return ok_status();
    const uint32_t nodes = trie->nodes()->size(), edges = trie->edges()->size();
    if (nodes == 0) return corrupt("the added tokens' trie");
    for (uint32_t i = 0; i < nodes; ++i) {
      const TrieNode *node = trie->nodes()->Get(i);
      if (node->first_edge() > edges || node->edge_count() > edges - node->first_edge() ||
          (node->added() >= 0 && static_cast<uint32_t>(node->added()) >= count(t_.added_tokens())))
        return corrupt("the added tokens' trie");
    }
    for (const TrieEdge *edge : *trie->edges())
      if (edge->target() >= nodes) return corrupt("the added tokens' trie");
    return ok_status();
  }

  // An edge that leads back gives a wrong match at worst: a walk is as long as the text.
  Status steps() const {
    for (uint32_t i = 0; i < count(t_.normalizer()); ++i)
      if (!is_sound(*t_.normalizer()->Get(i))) return corrupt("normalizer step " + std::to_string(i));
    for (uint32_t i = 0; i < count(t_.pre_tokenizer()); ++i)
      if (!is_sound(*t_.pre_tokenizer()->Get(i))) return corrupt("pre-tokenizer step " + std::to_string(i));
    return ok_status();
  }

  bool is_sound(const NormalizerStep &step) const {
    switch (step.op()) {
    case NormalizerOp::Precompiled: // the map itself is checked as it is read
      return step.a() < classes_ && step.b() < classes_ && step.c() < classes_;
    case NormalizerOp::Nfc:
    case NormalizerOp::Nfd:
    case NormalizerOp::Nfkc:
    case NormalizerOp::Nfkd: return t_.normal_forms() != nullptr;
    case NormalizerOp::Map: return step.a() < count(t_.maps());
    case NormalizerOp::Remove:
    case NormalizerOp::MapClass:
    case NormalizerOp::Surround:
    case NormalizerOp::Strip: return step.a() < classes_ && is_text(step.content());
    case NormalizerOp::ReplaceText: return count(step.text()) > 0 && is_text(step.text()) && is_text(step.content());
    case NormalizerOp::ReplacePattern: return step.a() < patterns_ && is_text(step.content());
    case NormalizerOp::Prepend: return is_text(step.content());
    case NormalizerOp::ByteLevel: return true;
    }
    return false;
  }

  bool is_sound(const PreTokenizerStep &step) const {
    if (step.behavior() > SplitBehavior::Contiguous || !is_text(step.text()) || !is_text(step.content())) return false;
    switch (step.op()) {
    case PreTokenizerOp::SplitPattern: return step.a() < patterns_;
    case PreTokenizerOp::SplitClass: return step.a() < classes_;
    case PreTokenizerOp::SplitText:
    case PreTokenizerOp::Replace: return count(step.text()) > 0;
    case PreTokenizerOp::SplitLength: return step.a() > 0;
    default: return step.op() <= PreTokenizerOp::ByteLevel;
    }
  }

  Status decoder_steps() const {
    for (uint32_t i = 0; i < count(t_.decoder()); ++i) {
      const DecoderStep *step = t_.decoder()->Get(i);
      const bool needs_text = step->op() == DecoderOp::ReplaceText || step->op() == DecoderOp::Metaspace ||
                              step->op() == DecoderOp::BpeSuffix;
      const bool sound = step->op() <= DecoderOp::Ctc && is_text(step->text()) && is_text(step->content()) &&
                         !(needs_text && count(step->text()) == 0) &&
                         !(step->op() == DecoderOp::ReplacePattern && step->a() >= patterns_);
      if (!sound) return corrupt("decoder step " + std::to_string(i));
    }
    return ok_status();
  }

  Status rest() const {
    for (int32_t c : {t_.word_class(), t_.space_class()})
      if (c >= 0 && static_cast<uint32_t>(c) >= classes_) return corrupt("the added tokens' classes");
    if (count(t_.template_ids()) > 65536) return corrupt("the post-processor's template");
    return ok_status();
  }

  const schema::Tokenizer &t_;
  const uint32_t classes_, patterns_;
  uint32_t ids_ = 0;
};

} // namespace

Status verify_tokenizer(const schema::Tokenizer &tables, uint32_t /*vocabulary*/) {
  if (!tables.vocabulary() && !tables.model()) return ok_status(); // an artifact without a tokenizer
  if (!tables.vocabulary() || !tables.model()) return corrupt("half of it is missing");
  return Checker(tables).all();
}

} // namespace llmrt
