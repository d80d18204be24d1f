#include "compiler/import/tokenizer/Regex.h"

#include "compiler/import/tokenizer/RegexParser.h"

namespace llmc::tokenizer {

using llmrt::schema::PatternInstruction;
using llmrt::schema::PatternOp;
using Kind = RegexNode::Kind;
using Mode = RegexNode::Mode;

namespace {

constexpr size_t kMaxInstructions = 1 << 16;

class Emitter {
public:
  Emitter(WordChars word, const std::function<uint32_t(const CharSet &)> &classIndex)
      : word(word), classIndex(classIndex) {}

  llvm::Expected<std::vector<PatternInstruction>> run(const RegexNode &root) {
    emit(root);
    add(PatternOp::Match);
    if (!problem.empty()) return llvm::createStringError(llvm::inconvertibleErrorCode(), problem);
    return std::move(program);
  }

private:
  uint32_t here() const { return uint32_t(program.size()); }

  uint32_t add(PatternOp op, uint32_t a = 0, uint32_t b = 0, uint32_t c = 0) {
    if (program.size() >= kMaxInstructions) problem = "the expression is too large once its repeats are written out";
    else program.push_back(PatternInstruction(op, a, b, c));
    return here() - 1;
  }

  void set(uint32_t at, uint32_t a, uint32_t b, uint32_t c = 0) {
    program[at] = PatternInstruction(program[at].op(), a, b, c);
  }

  void emit(const RegexNode &node) {
    if (!problem.empty()) return;
    switch (node.kind) {
    case Kind::Empty: return;
    case Kind::Set: return emitSet(node.set);
    case Kind::Concat:
      for (const auto &child : node.children) emit(*child);
      return;
    case Kind::Alternate: return emitAlternate(node);
    case Kind::Repeat: return emitRepeat(node);
    case Kind::Atomic:
      add(PatternOp::Atomic);
      emit(*node.children[0]);
      add(PatternOp::AtomicEnd);
      return;
    case Kind::Look: return emitLook(*node.children[0], node.behind, node.negated);
    case Kind::Assert: {
      bool boundary = node.assertion == PatternOp::WordBoundary || node.assertion == PatternOp::NotWordBoundary;
      add(node.assertion, boundary ? classIndex(word == WordChars::Rust ? rustWord() : onigurumaWord()) : 0);
      return;
    }
    }
  }

  void emitSet(const CharSet &set) {
    if (auto point = set.single()) add(PatternOp::Char, *point);
    else add(PatternOp::Class, classIndex(set));
  }

  void emitAlternate(const RegexNode &node) {
    std::vector<uint32_t> jumps;
    for (size_t i = 0; i < node.children.size() && problem.empty(); ++i) {
      bool last = i + 1 == node.children.size();
      uint32_t split = last ? 0 : add(PatternOp::Split);
      emit(*node.children[i]);
      if (last || !problem.empty()) continue;
      jumps.push_back(add(PatternOp::Jump));
      set(split, split + 1, here());
    }
    if (!problem.empty()) return;
    for (uint32_t jump : jumps) set(jump, here(), 0);
  }

  void emitRepeat(const RegexNode &node) {
    const RegexNode &body = *node.children[0];
    if (body.kind == Kind::Set) {
      PatternOp op = node.mode == Mode::Greedy ? PatternOp::RepeatGreedy
                     : node.mode == Mode::Lazy ? PatternOp::RepeatLazy
                                               : PatternOp::RepeatPossessive;
      add(op, classIndex(body.set), node.least, node.most);
      return;
    }
    if (node.mode == Mode::Possessive) add(PatternOp::Atomic);
    for (uint32_t i = 0; i < node.least && problem.empty(); ++i) emit(body);
    if (node.most == kNoLimit) emitLoop(body, node.mode);
    else emitOptional(body, node.mode, node.most - node.least);
    if (node.mode == Mode::Possessive) add(PatternOp::AtomicEnd);
  }

  // A split whose body comes next and whose other way is `out`.
  void setSplit(uint32_t split, Mode mode, uint32_t out) {
    if (mode == Mode::Lazy) set(split, out, split + 1);
    else set(split, split + 1, out);
  }

  void emitLoop(const RegexNode &body, Mode mode) {
    uint32_t split = add(PatternOp::Split);
    emit(body);
    add(PatternOp::Jump, split);
    if (problem.empty()) setSplit(split, mode, here());
  }

  void emitOptional(const RegexNode &body, Mode mode, uint32_t count) {
    std::vector<uint32_t> splits;
    for (uint32_t i = 0; i < count && problem.empty(); ++i) {
      splits.push_back(add(PatternOp::Split));
      emit(body);
    }
    if (!problem.empty()) return;
    for (uint32_t split : splits) setSplit(split, mode, here());
  }

  void emitLook(const RegexNode &body, bool behind, bool negated) {
    if (body.kind == Kind::Set) {
      PatternOp ahead = negated ? PatternOp::NotAheadClass : PatternOp::AheadClass;
      PatternOp back = negated ? PatternOp::NotBehindClass : PatternOp::BehindClass;
      add(behind ? back : ahead, classIndex(body.set));
      return;
    }
    if (behind && !body.width() && body.kind == Kind::Alternate) return emitBehindAlternatives(body, negated);
    if (behind && !body.width()) {
      problem = "unsupported: a lookbehind whose length varies";
      return;
    }
    uint32_t look = add(PatternOp::Look);
    emit(body);
    add(PatternOp::LookEnd);
    if (problem.empty()) set(look, here(), negated, behind ? *body.width() : 0);
  }

  // Each alternative has its own length: one lookbehind each. Negated, all of them must hold.
  void emitBehindAlternatives(const RegexNode &body, bool negated) {
    std::vector<uint32_t> jumps;
    for (size_t i = 0; i < body.children.size() && problem.empty(); ++i) {
      bool last = i + 1 == body.children.size();
      uint32_t split = negated || last ? 0 : add(PatternOp::Split);
      emitLook(*body.children[i], /*behind=*/true, negated);
      if (negated || last || !problem.empty()) continue;
      jumps.push_back(add(PatternOp::Jump));
      set(split, split + 1, here());
    }
    if (!problem.empty()) return;
    for (uint32_t jump : jumps) set(jump, here(), 0);
  }

  WordChars word;
  const std::function<uint32_t(const CharSet &)> &classIndex;
  std::vector<PatternInstruction> program;
  std::string problem;
};

} // namespace

llvm::Expected<std::vector<PatternInstruction>>
compileRegex(llvm::StringRef source, WordChars word, const std::function<uint32_t(const CharSet &)> &classIndex) {
  auto root = RegexParser(source, word).parse();
  if (!root) return root.takeError();
  return Emitter(word, classIndex).run(**root);
}

} // namespace llmc::tokenizer
