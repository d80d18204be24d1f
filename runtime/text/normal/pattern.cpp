#include "runtime/text/normal/pattern.h"

#include "runtime/text/normal/utf8.h"

namespace llmrt {

using schema::PatternInstruction;
using schema::PatternOp;

namespace {
constexpr uint32_t kNoSlot = 0xffffffff;
constexpr uint32_t kNoLimit = 0xffffffff;
constexpr uint64_t kPlainStepsPerByte = 64, kPlainSteps = 100'000;
constexpr uint64_t kMostStepsPerByte = 4'000, kMostSteps = 10'000'000;
constexpr size_t kMostFailedBytes = size_t(256) << 20;
} // namespace

PatternMatcher::PatternMatcher(const schema::TextPattern &pattern, const CharClasses &classes, bool remembers_at_once)
    : program_(*pattern.program()), classes_(classes), remembers_at_once_(remembers_at_once) {}

Status PatternMatcher::find_all(std::string_view text, std::vector<Span> &matches) {
  text_ = text;
  steps_ = 0;
  remembering_ = false;
  failed_.clear();
  size_t start = 0, last_end = std::string_view::npos;
  while (start <= text.size()) {
    Result<Outcome> outcome = match_at(start);
    if (!outcome.ok()) return outcome.status();
    const bool adjacent = outcome->matched && outcome->end == start && start == last_end;
    if (outcome->matched && !adjacent) {
      matches.push_back({start, outcome->end});
      last_end = outcome->end;
      if (remembering_) forget(outcome->end);
    }
    if (outcome->matched && outcome->end > start) {
      start = outcome->end;
    } else {
      if (start == text.size()) break;
      start += utf8_first(text.substr(start)).length;
    }
  }
  return ok_status();
}

Result<PatternMatcher::Outcome> PatternMatcher::match_at(size_t start) {
  stack_.clear();
  enclosed_ = 0;
  uint32_t pc = 0;
  size_t pos = start;
  while (true) {
    const bool many = ++steps_ > kPlainStepsPerByte * text_.size() + kPlainSteps || remembers_at_once_;
    if (many && !remembering_)
      if (Status s = start_remembering(); !s.ok()) return s;
    if (steps_ > kMostStepsPerByte * text_.size() + kMostSteps)
      return Status(StatusCode::kExhausted, "the tokenizer's pattern takes too long on this text; send less text");
    if (program_.Get(pc)->op() == PatternOp::Match) return Outcome{true, pos};
    if (!step(pc, pos) && !backtrack(pc, pos)) return Outcome{};
  }
}

bool PatternMatcher::is_in(uint32_t char_class, size_t pos, uint32_t &length) const {
  if (pos >= text_.size()) return false;
  const unsigned char lead = static_cast<unsigned char>(text_[pos]);
  if (lead < 128) {
    length = 1;
    return classes_.contains(char_class, lead);
  }
  const Utf8Char c = utf8_first(text_.substr(pos));
  length = c.length;
  return classes_.contains(char_class, c.point);
}

bool PatternMatcher::step(uint32_t &pc, size_t &pos) {
  const PatternInstruction &op = *program_.Get(pc);
  uint32_t length = 0;
  switch (op.op()) {
  case PatternOp::Char: {
    if (pos >= text_.size()) return false;
    const Utf8Char c = utf8_first(text_.substr(pos));
    if (c.point != op.a()) return false;
    pos += c.length;
    break;
  }
  case PatternOp::Class:
    if (!is_in(op.a(), pos, length)) return false;
    pos += length;
    break;
  case PatternOp::Jump: pc = op.a(); return true;
  case PatternOp::Split:
    if (seen(pc, pos)) return false;
    stack_.push_back({Mark::Choice, op.b(), pos, 0});
    pc = op.a();
    return true;
  case PatternOp::RepeatGreedy:
    if (!run_greedy(pc, pos)) return false;
    break;
  case PatternOp::RepeatPossessive:
    if (!run_possessive(pc, pos)) return false;
    break;
  case PatternOp::RepeatLazy:
    if (!run_lazy(pc, pos)) return false;
    break;
  case PatternOp::Look: return enter_look(pc, pos);
  case PatternOp::LookEnd: return leave_look(pc, pos);
  case PatternOp::Atomic:
    stack_.push_back({Mark::Atomic, pc, pos, 0});
    ++enclosed_;
    break;
  case PatternOp::AtomicEnd: leave_atomic(); break;
  default:
    if (!assertion(op, pos)) return false;
  }
  ++pc;
  return true;
}

bool PatternMatcher::backtrack(uint32_t &pc, size_t &pos) {
  while (!stack_.empty()) {
    ++steps_;
    Frame &frame = stack_.back();
    if (frame.mark == Mark::Run && frame.pos > frame.low) {
      frame.pos = utf8_previous(text_, frame.pos);
      pos = frame.pos;
      pc = frame.pc;
      return true;
    }
    if (frame.mark == Mark::Lazy) {
      if (extend_lazy(pc, pos)) return true;
      continue;
    }
    const Frame top = frame;
    stack_.pop_back();
    if (top.mark == Mark::Choice) {
      pc = top.pc;
      pos = top.pos;
      return true;
    }
    if (top.mark == Mark::Atomic) --enclosed_;
    if (top.mark == Mark::Look) {
      --enclosed_;
      if (program_.Get(top.pc)->b() == 1) { // negated: its body failed, so it holds
        pc = program_.Get(top.pc)->a();
        pos = top.pos;
        return true;
      }
    }
  }
  return false;
}

bool PatternMatcher::enter_look(uint32_t &pc, size_t &pos) {
  const PatternInstruction &op = *program_.Get(pc);
  size_t start = pos;
  uint32_t back = op.c();
  while (back > 0 && start > 0) {
    start = utf8_previous(text_, start);
    --back;
  }
  if (back > 0) { // not that many characters before: the body cannot match
    if (op.b() != 1) return false;
    pc = op.a();
    return true;
  }
  stack_.push_back({Mark::Look, pc, pos, 0});
  ++enclosed_;
  ++pc;
  pos = start;
  return true;
}

bool PatternMatcher::leave_look(uint32_t &pc, size_t &pos) {
  while (!stack_.empty()) {
    const Frame top = stack_.back();
    stack_.pop_back();
    if (top.mark == Mark::Atomic) --enclosed_;
    if (top.mark != Mark::Look) continue;
    --enclosed_;
    const PatternInstruction &op = *program_.Get(top.pc);
    pc = op.a();
    pos = top.pos;
    return op.b() != 1;
  }
  return false;
}

void PatternMatcher::leave_atomic() {
  while (!stack_.empty()) {
    const Mark mark = stack_.back().mark;
    if (mark == Mark::Look) return; // only a malformed program gets here
    stack_.pop_back();
    if (mark != Mark::Atomic) continue;
    --enclosed_;
    return;
  }
}

bool PatternMatcher::skip_least(const PatternInstruction &op, size_t &pos, uint32_t &count) {
  uint32_t length = 0;
  for (count = 0; count < op.b(); ++count) {
    if (!is_in(op.a(), pos, length)) return false;
    pos += length;
    ++steps_;
  }
  return true;
}

bool PatternMatcher::run_greedy(uint32_t pc, size_t &pos) {
  const PatternInstruction &op = *program_.Get(pc);
  uint32_t count = 0, length = 0;
  if (!skip_least(op, pos, count)) return false;
  const bool endless = op.c() == kNoLimit;
  const size_t low = pos;
  if (endless && seen(pc, pos)) return false;
  while ((endless || count < op.c()) && is_in(op.a(), pos, length)) {
    if (endless && seen(pc, pos + length)) break; // longer ones failed before
    pos += length;
    if (!endless) ++count;
    ++steps_;
  }
  if (pos > low) stack_.push_back({Mark::Run, pc + 1, pos, low});
  return true;
}

bool PatternMatcher::run_possessive(uint32_t pc, size_t &pos) {
  const PatternInstruction &op = *program_.Get(pc);
  uint32_t count = 0, length = 0;
  if (!skip_least(op, pos, count)) return false;
  const bool endless = op.c() == kNoLimit;
  if (endless && seen(pc, pos)) return false;
  while ((endless || count < op.c()) && is_in(op.a(), pos, length)) {
    if (endless && seen(pc, pos + length)) return false; // it ends where one that failed ended
    pos += length;
    if (!endless) ++count;
    ++steps_;
  }
  return true;
}

// Takes as few as it may; extend_lazy() adds one each time what follows fails.
bool PatternMatcher::run_lazy(uint32_t pc, size_t &pos) {
  const PatternInstruction &op = *program_.Get(pc);
  uint32_t count = 0;
  if (!skip_least(op, pos, count)) return false;
  const bool endless = op.c() == kNoLimit;
  if (endless && seen(pc, pos)) return false;
  stack_.push_back({Mark::Lazy, pc, pos, endless ? size_t(kNoLimit) : op.c() - count});
  return true;
}

// The frame is the stack's last; it goes when it can grow no more.
bool PatternMatcher::extend_lazy(uint32_t &pc, size_t &pos) {
  Frame &frame = stack_.back();
  const PatternInstruction &op = *program_.Get(frame.pc);
  const bool endless = op.c() == kNoLimit;
  uint32_t length = 0;
  if (frame.low == 0 || !is_in(op.a(), frame.pos, length) || (endless && seen(frame.pc, frame.pos + length))) {
    stack_.pop_back();
    return false;
  }
  frame.pos += length;
  if (!endless) --frame.low;
  pos = frame.pos;
  pc = frame.pc + 1;
  return true;
}

bool PatternMatcher::assertion(const PatternInstruction &op, size_t pos) const {
  uint32_t length = 0;
  const auto behind = [&](uint32_t c) { return pos > 0 && is_in(c, utf8_previous(text_, pos), length); };
  switch (op.op()) {
  case PatternOp::AheadClass: return is_in(op.a(), pos, length);
  case PatternOp::NotAheadClass: return !is_in(op.a(), pos, length);
  case PatternOp::BehindClass: return behind(op.a());
  case PatternOp::NotBehindClass: return !behind(op.a());
  case PatternOp::LineStart: return pos == 0 || (text_[pos - 1] == '\n' && pos < text_.size());
  case PatternOp::LineEnd: return pos == text_.size() || text_[pos] == '\n';
  case PatternOp::TextStart: return pos == 0;
  case PatternOp::TextEnd: return pos == text_.size();
  case PatternOp::TextEndOrNewline: return pos == text_.size() || (pos + 1 == text_.size() && text_[pos] == '\n');
  case PatternOp::WordBoundary: return behind(op.a()) != is_in(op.a(), pos, length);
  case PatternOp::NotWordBoundary: return behind(op.a()) == is_in(op.a(), pos, length);
  default: return false;
  }
}

// Whether what follows an instruction can match depends on (pc, position) alone, for there are no captures and a group
// always continues at the same place. So a state that failed once fails again, whatever start a later attempt has. The
// bodies of lookarounds and atomic groups are left out: a state in them may have led to the body's end and failed only
// behind it, which is another failure than that of the body.
bool PatternMatcher::seen(uint32_t pc, size_t pos) {
  if (!remembering_ || enclosed_ > 0) return false;
  const size_t bit = pos * slots_ + slot_of_[pc];
  uint64_t &word = failed_[bit >> 6];
  const uint64_t mask = uint64_t(1) << (bit & 63);
  if (word & mask) return true;
  word |= mask;
  return false;
}

// After a match that ends at `pos` the next attempt starts there: states of that position lay on the way to a success,
// not to a failure. Those further on were all tried to their end and failed.
void PatternMatcher::forget(size_t pos) {
  for (uint32_t slot = 0; slot < slots_; ++slot) {
    const size_t bit = pos * slots_ + slot;
    failed_[bit >> 6] &= ~(uint64_t(1) << (bit & 63));
  }
}

Status PatternMatcher::start_remembering() {
  slot_of_.assign(program_.size(), kNoSlot);
  slots_ = 0;
  for (uint32_t pc = 0; pc < program_.size(); ++pc) {
    const PatternOp op = program_.Get(pc)->op();
    if (op == PatternOp::Split || op == PatternOp::RepeatGreedy || op == PatternOp::RepeatLazy ||
        op == PatternOp::RepeatPossessive)
      slot_of_[pc] = slots_++;
  }
  const size_t words = ((text_.size() + 1) * slots_ + 63) / 64;
  if (words > kMostFailedBytes / 8)
    return Status(StatusCode::kExhausted, "the tokenizer's pattern needs too much memory on this text; send less text");
  failed_.assign(words, 0);
  remembering_ = true;
  return ok_status();
}

} // namespace llmrt
