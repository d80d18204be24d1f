#include "ptx.h"
#include "half.h"
#include "thread.h"
#include "warp.h"
#include "warpgroup.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <sstream>
#include <utility>

namespace ptx {

namespace {

// ---- what instructions do ------------------------------------------------------------------------------------------

template <auto Function> void words2(const Instruction &i, Thread &t) {
  t.set(i.to, uint32_t(Function(t.word(i.a), t.word(i.b))));
}
template <auto Function> void longs2(const Instruction &i, Thread &t) {
  t.set(i.to, Function(t.value(i.a), t.value(i.b)));
}
template <auto Function> void floats1(const Instruction &i, Thread &t) { t.set_number(i.to, Function(t.number(i.a))); }
template <auto Function> void floats2(const Instruction &i, Thread &t) {
  t.set_number(i.to, Function(t.number(i.a), t.number(i.b)));
}
template <auto Function> void compare_words(const Instruction &i, Thread &t) {
  t.set(i.to, Function(t.word(i.a), t.word(i.b)));
}
template <auto Function> void compare_floats(const Instruction &i, Thread &t) {
  t.set(i.to, Function(t.number(i.a), t.number(i.b)));
}
template <auto Function> void convert(const Instruction &i, Thread &t) { t.set(i.to, Function(t.value(i.a))); }

using U = uint32_t;
using L = uint64_t;
int32_t s(U x) { return int32_t(x); }
U shift_left(U x, U n) { return n > 31 ? 0 : x << n; }
L shift_left_long(L x, L n) { return n > 63 ? 0 : x << n; }
U shift_right(U x, U n) { return n > 31 ? 0 : x >> n; }
U shift_signed(U x, U n) { return U(s(x) >> (n > 31 ? 31 : n)); }
// A division by zero gives all ones, as the hardware does.
U divide(U x, U y) { return y ? x / y : ~U(0); }
U remainder(U x, U y) { return y ? x % y : x; }
U shift_right_16(U x, U n) { return n > 15 ? 0 : U(uint16_t(x)) >> n; }
U multiply_high(U x, U y) { return U((L(x) * y) >> 32); }
// The number where one is none; +0 is above -0.
float largest(float x, float y) {
  if (x != x || y != y) return x != x ? y : x;
  return x > y || (x == y && !std::signbit(x)) ? x : y;
}
float to_float(L x) { return float(int32_t(x)); }
L bits(float x) { return std::bit_cast<U>(x); }
float of(L x) { return std::bit_cast<float>(U(x)); }
L truncate(L x) {
  float value = of(x);
  if (value != value) return 0;
  if (value >= 2147483648.0f) return 0x7fffffff;
  return U(value < -2147483648.0f ? INT32_MIN : int32_t(value));
}

void move(const Instruction &i, Thread &t) { t.set(i.to, t.value(i.a)); }
void multiply_add(const Instruction &i, Thread &t) { t.set(i.to, U(t.word(i.a) * t.word(i.b) + t.word(i.c))); }
void fuse(const Instruction &i, Thread &t) {
  t.set_number(i.to, std::fma(t.number(i.a), t.number(i.b), t.number(i.c)));
}
// Of both bf16 of a word. A product with one is exact in a float, which rounds nothing that a sum of two bf16 depends on.
void fuse_pairs(const Instruction &i, Thread &t) {
  U a = t.word(i.a), b = t.word(i.b), c = t.word(i.c), result = 0;
  for (U shift : {0u, 16u}) {
    auto half = [&](U word) { return from_bf16(word >> shift & 0xffff); };
    result |= to_bf16(std::fma(half(a), half(b), half(c))) << shift;
  }
  t.set(i.to, result);
}
void choose(const Instruction &i, Thread &t) { t.set(i.to, t.value(i.c) ? t.value(i.a) : t.value(i.b)); }
void negate(const Instruction &i, Thread &t) { t.set(i.to, !t.value(i.a)); }
void extract(const Instruction &i, Thread &t) { // bfe.u32
  U from = t.word(i.b) & 255, count = t.word(i.c) & 255, value = shift_right(t.word(i.a), from);
  t.set(i.to, count > 31 ? value : value & ((U(1) << count) - 1));
}
void extract_long(const Instruction &i, Thread &t) { // bfe.u64
  U from = t.word(i.b) & 255, count = t.word(i.c) & 255;
  L value = from > 63 ? 0 : t.value(i.a) >> from;
  t.set(i.to, count > 63 ? value : value & ((L(1) << count) - 1));
}
void extract_signed(const Instruction &i, Thread &t) { // bfe.s32
  U from = std::min<U>(t.word(i.b) & 255, 31), count = std::min<U>(t.word(i.c) & 255, 32 - from);
  t.set(i.to, count ? shift_signed(shift_left(t.word(i.a), 32 - from - count), 32 - count) : 0);
}
void permute(const Instruction &i, Thread &t) { // prmt.b32 without the sign mode, which is bit 3 of a choice
  uint64_t both = t.word(i.a) | L(t.word(i.b)) << 32;
  U result = 0;
  for (U byte = 0; byte < 4; ++byte) {
    U choice = t.word(i.c) >> (4 * byte);
    U value = U(both >> (8 * (choice & 7))) & 255;
    if (choice & 8) value = value & 128 ? 255 : 0;
    result |= value << (8 * byte);
  }
  t.set(i.to, result);
}
template <bool UnsignedA> void dot4(const Instruction &i, Thread &t) {
  U sum = t.word(i.c);
  for (U shift = 0; shift < 32; shift += 8) {
    U x = t.word(i.a) >> shift;
    sum += U((UnsignedA ? int32_t(uint8_t(x)) : int32_t(int8_t(x))) * int32_t(int8_t(t.word(i.b) >> shift)));
  }
  t.set(i.to, sum);
}
void parameter(const Instruction &i, Thread &t) { t.set(i.to, (*t.arguments)[i.a.value]); }
void nothing(const Instruction &, Thread &) {}

template <int Bytes> void load(const Instruction &i, Thread &t) {
  for (size_t n = 0; n <= i.more.size(); ++n) {
    uint64_t value = 0;
    std::memcpy(&value, t.place(t.value(i.a) + n * Bytes, Bytes, true), Bytes);
    t.set(n ? i.more[n - 1] : i.to, value);
  }
}
template <int Bytes> void store(const Instruction &i, Thread &t) { // `a` is the address, `to` the value
  for (size_t n = 0; n <= i.more.size(); ++n) {
    uint64_t value = t.value(n ? i.more[n - 1] : i.to), address = t.value(i.a) + n * Bytes;
    std::memcpy(t.place(address, Bytes), &value, Bytes);
    if (address >= kSharedBase && !t.fault) t.wrote(address - kSharedBase, Bytes);
  }
}
// Where it may go is looked at now; it takes place when it is waited for.
void copy_async(const Instruction &i, Thread &t) {
  uint64_t bytes = t.value(i.b);
  uint8_t *to = t.place(t.value(i.to), bytes);
  t.copies.push_back({to, t.place(t.value(i.a), bytes, true), bytes});
}
void commit_copies(const Instruction &, Thread &t) { t.groups.push_back(std::exchange(t.copies, {})); }
void wait_for_copies(const Instruction &i, Thread &t) {
  for (; t.groups.size() > t.value(i.to); t.groups.pop_front())
    for (const Copy &copy : t.groups.front()) {
      std::memcpy(copy.to, copy.from, copy.bytes);
      t.wrote(uint64_t(copy.to - t.shared->data()), copy.bytes);
    }
}
void fence_proxy(const Instruction &, Thread &t) { t.fence(); }
template <auto Function> void atomic(const Instruction &i, Thread &t) {
  uint8_t *place = t.place(t.value(i.a), 4);
  U old, next;
  std::memcpy(&old, place, 4);
  next = Function(old, t.word(i.b));
  std::memcpy(place, &next, 4);
  if (i.to.kind == Operand::kRegister) t.set(i.to, old);
}

// Comparisons of the standard library as PTX has more of them.
template <typename Compare> struct Signed {
  bool operator()(U x, U y) const { return Compare{}(s(x), s(y)); }
};
template <typename Compare> struct Unless { // true for NaN too
  bool operator()(float x, float y) const { return !Compare{}(x, y); }
};
struct Smaller {
  U operator()(U x, U y) const { return x < y ? x : y; }
};
struct Larger {
  U operator()(U x, U y) const { return x < y ? y : x; }
};

const std::map<std::string, Action> &actions() {
  static const std::map<std::string, Action> table = {
      {"mov.b16", move}, {"mov.u32", move}, {"mov.b32", move}, {"mov.u64", move}, {"mov.b64", move}, {"mov.f32", move},
      {"mov.pred", move}, {"cvta.to.global.u64", move}, {"cvt.u64.u32", move},
      {"cvt.u32.u64", convert<[](L x) { return L(U(x)); }>},
      {"cvt.s64.s32", convert<[](L x) { return L(int64_t(int32_t(x))); }>},
      {"cvt.u16.u32", convert<[](L x) { return L(uint16_t(x)); }>}, {"cvt.u32.u16", convert<[](L x) { return L(uint16_t(x)); }>},
      {"shr.u16", words2<shift_right_16>}, {"and.b16", words2<std::bit_and<U>{}>},
      {"add.s16", words2<[](U x, U y) { return U(uint16_t(x + y)); }>},
      {"add.s32", words2<std::plus<U>{}>}, {"add.u32", words2<std::plus<U>{}>}, {"sub.s32", words2<std::minus<U>{}>},
      {"mul.lo.s32", words2<std::multiplies<U>{}>}, {"mul.lo.u32", words2<std::multiplies<U>{}>},
      {"mul.hi.u32", words2<multiply_high>}, {"mad.lo.s32", multiply_add}, {"div.u32", words2<divide>},
      {"rem.u32", words2<remainder>}, {"and.b32", words2<std::bit_and<U>{}>}, {"or.b32", words2<std::bit_or<U>{}>},
      {"xor.b32", words2<std::bit_xor<U>{}>}, {"not.b32", convert<[](L x) { return L(U(~x)); }>},
      {"neg.s32", convert<[](L x) { return L(U(-x)); }>}, {"shl.b32", words2<shift_left>},
      {"shr.u32", words2<shift_right>}, {"shr.s32", words2<shift_signed>}, {"bfe.u32", extract}, {"bfe.u64", extract_long},
      {"bfe.s32", extract_signed}, {"cvt.s32.s8", convert<[](L x) { return L(U(int8_t(x))); }>},
      {"mul.wide.u16", words2<[](U x, U y) { return (x & 0xffff) * (y & 0xffff); }>},
      {"min.u32", words2<Smaller{}>}, {"max.u32", words2<Larger{}>},
      {"add.s64", longs2<std::plus<L>{}>}, {"sub.s64", longs2<std::minus<L>{}>}, {"and.b64", longs2<std::bit_and<L>{}>},
      {"or.b64", longs2<std::bit_or<L>{}>}, {"shl.b64", longs2<shift_left_long>},
      {"mul.wide.u32", longs2<[](L x, L y) { return L(U(x)) * U(y); }>},
      {"mul.wide.s32", longs2<[](L x, L y) { return L(int64_t(int32_t(x)) * int32_t(y)); }>},
      {"and.pred", longs2<std::bit_and<L>{}>}, {"or.pred", longs2<std::bit_or<L>{}>},
      {"xor.pred", longs2<std::bit_xor<L>{}>}, {"not.pred", negate},
      {"selp.b32", choose}, {"selp.f32", choose}, {"selp.b64", choose}, {"selp.b16", choose}, {"selp.u32", choose}, {"selp.s32", choose},
      {"setp.eq.b32", compare_words<std::equal_to<U>{}>}, {"setp.ne.b32", compare_words<std::not_equal_to<U>{}>},
      {"setp.eq.s32", compare_words<std::equal_to<U>{}>}, {"setp.ne.s32", compare_words<std::not_equal_to<U>{}>},
      {"setp.lt.u32", compare_words<std::less<U>{}>}, {"setp.le.u32", compare_words<std::less_equal<U>{}>},
      {"setp.gt.u32", compare_words<std::greater<U>{}>}, {"setp.ge.u32", compare_words<std::greater_equal<U>{}>},
      {"setp.lt.s32", compare_words<Signed<std::less<>>{}>},
      {"setp.le.s32", compare_words<Signed<std::less_equal<>>{}>},
      {"setp.gt.s32", compare_words<Signed<std::greater<>>{}>},
      {"setp.ge.s32", compare_words<Signed<std::greater_equal<>>{}>},
      {"setp.eq.f32", compare_floats<std::equal_to<float>{}>}, {"setp.lt.f32", compare_floats<std::less<float>{}>},
      {"setp.le.f32", compare_floats<std::less_equal<float>{}>}, {"setp.gt.f32", compare_floats<std::greater<float>{}>},
      {"setp.ge.f32", compare_floats<std::greater_equal<float>{}>},
      {"setp.neu.f32", compare_floats<Unless<std::equal_to<>>{}>},
      {"setp.ltu.f32", compare_floats<Unless<std::greater_equal<>>{}>},
      {"setp.leu.f32", compare_floats<Unless<std::greater<>>{}>},
      {"setp.gtu.f32", compare_floats<Unless<std::less_equal<>>{}>},
      {"setp.geu.f32", compare_floats<Unless<std::less<>>{}>},
      {"setp.nan.f32", compare_floats<[](float x, float y) { return x != x || y != y; }>},
      {"setp.num.f32", compare_floats<[](float x, float y) { return x == x && y == y; }>},
      {"add.rn.f32", floats2<std::plus<float>{}>}, {"sub.rn.f32", floats2<std::minus<float>{}>},
      {"mul.rn.f32", floats2<std::multiplies<float>{}>}, {"div.rn.f32", floats2<std::divides<float>{}>},
      {"fma.rn.f32", fuse}, {"fma.rn.bf16x2", fuse_pairs},
      {"sqrt.rn.f32", floats1<[](float x) { return std::sqrt(x); }>},
      {"max.f32", floats2<largest>}, {"min.f32", floats2<[](float x, float y) { return -largest(-x, -y); }>},
      {"rcp.rn.f32", floats1<[](float x) { return 1 / x; }>},
      {"neg.f32", floats1<[](float x) { return -x; }>}, {"abs.f32", floats1<[](float x) { return std::fabs(x); }>},
      {"copysign.f32", floats2<[](float x, float y) { return std::copysign(y, x); }>}, // PTX names the sign first
      {"cvt.rni.f32.f32", floats1<[](float x) { return std::nearbyint(x); }>},
      {"cvt.rzi.s32.f32", convert<truncate>}, {"cvt.rn.f32.s32", convert<[](L x) { return bits(to_float(x)); }>},
      {"cvt.rn.f32.u32", convert<[](L x) { return bits(float(U(x))); }>},
      {"ld.param.u64", parameter}, {"ld.param.b64", parameter},
      {"ld.global.b32", load<4>}, {"ld.global.u32", load<4>}, {"ld.global.b64", load<8>}, {"ld.shared.b32", load<4>},
      {"ld.shared.b64", load<8>}, {"st.global.b32", store<4>}, {"st.global.b64", store<8>}, {"st.shared.b32", store<4>},
      {"st.shared.b64", store<8>},
      {"atom.global.and.b32", atomic<std::bit_and<U>{}>},
      {"atom.global.or.b32", atomic<std::bit_or<U>{}>}, {"atom.shared.add.u32", atomic<std::plus<U>{}>},
      {"cp.async.ca.shared.global", copy_async}, {"cp.async.cg.shared.global", copy_async},
      {"cp.async.commit_group", commit_copies}, {"cp.async.wait_group", wait_for_copies},
      {"fence.proxy.async.shared::cta", fence_proxy},
      {"prmt.b32", permute}, {"dp4a.s32.s32", dot4<false>}, {"dp4a.u32.s32", dot4<true>},
      {"bra", nothing}, {"bra.uni", nothing}, {"bar.sync", nothing}, {"barrier.sync", nothing}, {"ret", nothing},
  };
  return table;
}

} // namespace

// ---- the text ------------------------------------------------------------------------------------------------------

class Parser {
public:
  explicit Parser(std::string &problem) : problem_(problem) {
    const char *names[] = {"%tid", "%ctaid", "%nctaid", "%ntid"};
    for (uint32_t i = 0; i < kSpecials; ++i)
      registers_[std::string(names[i / 3]) + "." + "xyz"[i % 3]] = i;
  }

  std::unique_ptr<Program> parse(const std::string &text) {
    std::istringstream lines(text);
    for (std::string line, more; std::getline(lines, line) && problem_.empty();) {
      line = line.substr(0, line.find("//"));
      bool wide = line.find("mma.sync") != std::string::npos; // the one instruction that goes over several lines
      while (wide && line.find(';') == std::string::npos && std::getline(lines, more)) line += more;
      statement(line);
    }
    for (auto [at, label] : branches_) {
      if (!labels_.count(label)) return fail("there is no label " + label);
      program_->code_[at].target = labels_[label];
    }
    program_->registers_ = uint32_t(registers_.size());
    if (program_->code_.empty() || !leaves(program_->code_.back())) fail("it does not end in ret or a branch");
    return problem_.empty() ? std::move(program_) : nullptr;
  }

private:
  std::unique_ptr<Program> fail(const std::string &what) {
    if (problem_.empty()) problem_ = what;
    return nullptr;
  }

  // Nothing behind it is reached by it.
  static bool leaves(const Instruction &one) {
    return one.guard < 0 && (one.flow == Instruction::kReturn || one.flow == Instruction::kBranch);
  }

  static std::vector<std::string> split(const std::string &line) {
    std::vector<std::string> words;
    std::string word;
    for (char c : line + " ") {
      bool bracket = std::strchr("[]{}", c) && c;
      if (std::isspace(static_cast<unsigned char>(c)) || c == ',' || c == ';' || bracket) {
        if (!word.empty()) words.push_back(word);
        word.clear();
        if (bracket) words.push_back(std::string(1, c));
      } else {
        word += c;
      }
    }
    return words;
  }

  void statement(const std::string &line) {
    std::vector<std::string> words = split(line);
    if (words.empty() || words[0] == "{" || words[0] == "}" || words[0] == ")") return;
    if (words[0].back() == ':') {
      labels_[words[0].substr(0, words[0].size() - 1)] = uint32_t(program_->code_.size());
      return;
    }
    if (words[0][0] == '.') directive(words);
    else instruction(words);
  }

  void directive(const std::vector<std::string> &words) {
    if (words[0] == ".param") parameters_[words.back()] = program_->parameters_++;
    if (words[0] == ".maxntid" || words[0] == ".reqntid") program_->threads_ = uint32_t(std::stoul(words[1]));
    if (words[0] == ".shared") { // .shared .align 4 .b8 name [ bytes ]
      // Aligned as it says and no better: what needs more is seen to.
      uint32_t align = uint32_t(std::stoul(words[2])), at = (program_->shared_bytes_ + align - 1) / align * align;
      shared_[words[4]] = at += at % (2 * align) ? 0 : align;
      program_->shared_bytes_ = at + uint32_t((std::stoul(words[6]) + 3) / 4 * 4);
    }
  }

  Operand operand(const std::string &text) {
    Operand o;
    size_t plus = text[0] == '%' ? text.find('+') : std::string::npos;
    if (text[0] == '%') {
      o.kind = Operand::kRegister;
      o.index = registers_.emplace(text.substr(0, plus), uint32_t(registers_.size())).first->second;
      if (plus != std::string::npos) o.value = uint64_t(std::stoll(text.substr(plus + 1)));
      return o;
    }
    o.kind = Operand::kConstant;
    size_t end = text.find('+');
    std::string name = text.substr(0, end);
    if (text.substr(0, 2) == "0f")
      o.value = std::stoull(text.substr(2), nullptr, 16);
    else if (parameters_.count(text))
      o.value = parameters_[text];
    else if (shared_.count(name))
      o.value = kSharedBase + shared_[name] + (end == std::string::npos ? 0 : std::stoull(text.substr(end + 1)));
    else if (std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '-')
      o.value = uint64_t(std::stoll(text, nullptr, 0));
    else
      fail("'" + text + "' is not an operand");
    return o;
  }

  void instruction(std::vector<std::string> words) {
    Instruction one;
    if (words[0][0] == '@') {
      one.guard_not = words[0][1] == '!';
      one.guard = int(operand(words[0].substr(one.guard_not ? 2 : 1)).index);
      words.erase(words.begin());
    }
    std::string name = words[0];
    bool vector = false;
    for (const char *wide : {".v2", ".v4"})
      if (size_t at = name.find(wide); at != std::string::npos) {
        name.erase(at, 3);
        vector = true;
      }
    Action of_warp = warp_action(name), of_warpgroup = warpgroup_action(name), together = of_warp ? of_warp : of_warpgroup;
    auto found = actions().find(name);
    if (!together && found == actions().end()) {
      fail("the interpreter has no " + name);
      return;
    }
    one.action = together ? together : found->second;
    if (together) {
      one.flow = of_warp ? Instruction::kWarp : Instruction::kWarpgroup;
      program_->warpgroups_ |= !of_warp;
      for (size_t i = 1; i < words.size(); ++i)
        if (words[i] != "{" && words[i] != "}") one.more.push_back(operand(words[i]));
    } else if (name.substr(0, 3) == "bra" && name.substr(0, 4) != "barr") {
      one.flow = Instruction::kBranch;
      branches_.push_back({program_->code_.size(), words[1]});
    } else if (name.substr(0, 3) == "bar") {
      one.flow = Instruction::kBarrier;
    } else if (name == "ret") {
      one.flow = Instruction::kReturn;
    } else {
      operands(one, words, name.substr(0, 3) == "st.", vector);
    }
    program_->code_.push_back(one);
  }

  void operands(Instruction &one, const std::vector<std::string> &words, bool is_store, bool vector) {
    std::vector<Operand> all, inside;
    bool in_vector = false;
    for (size_t i = 1; i < words.size(); ++i) {
      if (words[i] == "{" || words[i] == "}") in_vector = words[i] == "{";
      else if (words[i] == "[" || words[i] == "]" || words[i] == "_") continue;
      else (in_vector ? inside : all).push_back(operand(words[i]));
    }
    if (is_store || vector) { // `to` and `more` are the values, `a` the address
      one.a = all[0];
      if (!vector) inside = {is_store ? all[1] : all[0]};
      one.to = inside[0];
      one.more.assign(inside.begin() + 1, inside.end());
      return;
    }
    Operand *const slots[] = {&one.to, &one.a, &one.b, &one.c};
    for (size_t i = 0; i < all.size() && i < 4; ++i) *slots[i] = all[i];
  }

  std::string &problem_;
  std::unique_ptr<Program> program_ = std::make_unique<Program>();
  std::map<std::string, uint32_t> registers_, labels_, shared_;
  std::map<std::string, size_t> parameters_;
  std::vector<std::pair<size_t, std::string>> branches_;
};

std::unique_ptr<Program> Program::parse(const std::string &text, std::string &problem) {
  problem.clear();
  return Parser(problem).parse(text);
}

// ---- running -------------------------------------------------------------------------------------------------------

namespace {

// Until a barrier, something that the warp does together, or the end.
Stop run_thread(const std::vector<Instruction> &code, Thread &thread) {
  while (!thread.fault) {
    const Instruction &one = code[thread.at++];
    if (one.guard >= 0 && bool(thread.registers[size_t(one.guard)]) == one.guard_not) continue;
    switch (one.flow) {
    case Instruction::kNext: one.action(one, thread); break;
    case Instruction::kBranch: thread.at = one.target; break;
    case Instruction::kBarrier: return Stop::kBarrier;
    case Instruction::kWarp: return Stop::kWarp;
    case Instruction::kWarpgroup: return Stop::kWarpgroup;
    case Instruction::kReturn: thread.done = true; return Stop::kDone;
    }
  }
  return Stop::kFault;
}

// Until all its threads are at a barrier, at what their warpgroup does, or at their end. False, with a reason, where one is at
// none of these.
bool run_warp(const std::vector<Instruction> &code, Thread *threads, uint32_t count, std::string &problem) {
  while (true) {
    uint32_t together = 0, here = 0;
    for (uint32_t i = 0; i < count; ++i) {
      if (!threads[i].done) threads[i].stop = run_thread(code, threads[i]);
      if (threads[i].fault) problem = threads[i].fault;
      if (threads[i].fault) return false;
      together += threads[i].stop == Stop::kWarp;
      here += threads[i].at == threads[0].at;
    }
    if (together == 0) return true;
    if (together != count || here != count || (count != kWarpThreads && !lone_warp(code[threads[0].at - 1], count))) {
      problem = "what a warp does together without all of its threads";
      return false;
    }
    const Instruction &one = code[threads[0].at - 1];
    one.action(one, threads[0]);
  }
}

// Until all its threads are at a barrier or at their end, likewise.
bool run_warpgroup(const std::vector<Instruction> &code, Thread *threads, uint32_t count, std::string &problem) {
  while (true) {
    for (uint32_t i = 0; i < count; i += kWarpThreads)
      if (!run_warp(code, threads + i, std::min(kWarpThreads, count - i), problem)) return false;
    uint32_t together = 0, here = 0;
    for (uint32_t i = 0; i < count; ++i) {
      together += threads[i].stop == Stop::kWarpgroup;
      here += threads[i].at == threads[0].at;
    }
    if (together == 0) return true;
    if (together != count || here != count || count != kWarpgroupThreads) {
      problem = "what a warpgroup does together without all of its threads";
      return false;
    }
    const Instruction &one = code[threads[0].at - 1];
    one.action(one, threads[0]);
  }
}

} // namespace

bool Program::run_group(Thread *threads, uint32_t count, std::string &problem) const {
  for (uint32_t waiting = 1, done = 0; waiting > 0;) {
    waiting = done = 0;
    for (uint32_t i = 0; i < count; i += kWarpgroupThreads)
      if (!run_warpgroup(code_, threads + i, std::min(kWarpgroupThreads, count - i), problem)) return false;
    for (uint32_t i = 0; i < count; ++i) {
      threads[i].pass_barrier();
      waiting += threads[i].stop == Stop::kBarrier;
      done += threads[i].done;
    }
    if (waiting > 0 && done > 0) {
      problem = "a barrier that not all threads of a workgroup reach";
      return false;
    }
  }
  return true;
}

bool Program::run(const std::vector<uint64_t> &arguments, uint32_t groups, uint32_t threads, const Lives &lives,
                  std::string &problem) const {
  if (threads_ && threads > threads_) {
    problem = "more threads than the kernel was made for";
    return false;
  }
  std::vector<uint8_t> shared(shared_bytes_);
  std::vector<uint32_t> unseen(shared_bytes_ / 4);
  std::vector<Thread> all(threads);
  for (uint32_t group = 0; group < groups; ++group) {
    std::fill(shared.begin(), shared.end(), uint8_t(0xcd)); // nothing is zero at first
    std::fill(unseen.begin(), unseen.end(), 0);
    for (uint32_t i = 0; i < threads; ++i) {
      Thread &thread = all[i];
      thread.registers.assign(registers_, 0xcdcdcdcdcdcdcdcd);
      std::fill_n(thread.registers.begin(), kSpecials, 0);
      thread.registers[kTidX] = i;
      thread.registers[kGroupX] = group;
      thread.registers[kGroupsX] = groups;
      thread.registers[kGroupsY] = thread.registers[kGroupsZ] = 1;
      thread.registers[kThreadsX] = threads;
      thread.registers[kThreadsY] = thread.registers[kThreadsZ] = 1;
      thread.at = 0;
      thread.done = false;
      thread.stop = Stop::kBarrier;
      thread.copies.clear();
      thread.groups.clear();
      thread.products.clear();
      thread.product_groups.clear();
      thread.ordered = false;
      thread.unseen = warpgroups_ ? &unseen : nullptr;
      thread.writer = i + 1;
      thread.written.clear();
      thread.fenced.clear();
      thread.shared = &shared;
      thread.arguments = &arguments;
      thread.lives = &lives;
    }
    if (!run_group(all.data(), threads, problem)) return false;
  }
  return true;
}

} // namespace ptx
