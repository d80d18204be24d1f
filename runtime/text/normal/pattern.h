// Runs a compiled pattern (schema::TextPattern) over text: leftmost match, alternatives in order, as Oniguruma does.
// Time is bounded whatever the text: see PatternMatcher::find_all.
#pragma once

#include "runtime/base/status.h"
#include "runtime/text/normal/char_classes.h"

#include <string_view>
#include <vector>

namespace llmrt {

struct Span {
  size_t begin = 0, end = 0;
};

// One pattern over one text. The program has been verified (tokenizer_verify.h).
class PatternMatcher {
public:
  // `remembers_at_once` is for tests: find_all() does from its first step what it else does after many.
  PatternMatcher(const schema::TextPattern &pattern, const CharClasses &classes, bool remembers_at_once = false);

  // All matches from left to right, without overlap; an empty match right after another one does not count. `text` is
  // UTF-8. Plain backtracking at first; after about 64 steps a byte, positions that failed are remembered, which makes
  // the whole scan linear in |text| x |program| (kExhausted where that memory would pass 256 MiB, or where a nested
  // lookaround or atomic group alone takes too long).
  Status find_all(std::string_view text, std::vector<Span> &matches);

private:
  enum class Mark : uint32_t { Choice, Run, Lazy, Atomic, Look };
  struct Frame {
    Mark mark;
    uint32_t pc;
    size_t pos;
    size_t low; // Run: no shorter than this; Lazy: characters it may still take
  };
  struct Outcome {
    bool matched = false;
    size_t end = 0;
  };

  Result<Outcome> match_at(size_t start);
  bool step(uint32_t &pc, size_t &pos); // false: backtrack
  bool backtrack(uint32_t &pc, size_t &pos);
  bool enter_look(uint32_t &pc, size_t &pos);
  bool leave_look(uint32_t &pc, size_t &pos);
  void leave_atomic();
  bool run_greedy(uint32_t pc, size_t &pos);
  bool run_possessive(uint32_t pc, size_t &pos);
  bool run_lazy(uint32_t pc, size_t &pos);
  bool extend_lazy(uint32_t &pc, size_t &pos);
  bool assertion(const schema::PatternInstruction &op, size_t pos) const;
  bool is_in(uint32_t char_class, size_t pos, uint32_t &length) const;
  bool skip_least(const schema::PatternInstruction &op, size_t &pos, uint32_t &count);
  bool seen(uint32_t pc, size_t pos); // marks it; true: was marked
  Status start_remembering();
  void forget(size_t pos);

  const flatbuffers::Vector<const schema::PatternInstruction *> &program_;
  const CharClasses &classes_;
  std::string_view text_;
  std::vector<Frame> stack_;
  uint32_t enclosed_ = 0; // Look and Atomic frames on the stack
  uint64_t steps_ = 0;
  const bool remembers_at_once_;
  bool remembering_ = false;
  std::vector<uint32_t> slot_of_; // of instructions that are remembered; kNoSlot for others
  uint32_t slots_ = 0;
  std::vector<uint64_t> failed_; // [position][slot] bits
};

} // namespace llmrt
