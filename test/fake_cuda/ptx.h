// An interpreter of the PTX that llmc writes: one kernel a module, words and pointers, memory shared by a workgroup,
// barriers, what a warp does together and what four of them do. Threads of a workgroup run one after the other from barrier
// to barrier. An asynchronous copy, or product, takes place no sooner than it must. Every access is checked to lie in memory
// that lives.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ptx {

struct Operand {
  enum Kind : uint8_t { kNone, kRegister, kConstant } kind = kNone;
  uint32_t index = 0;   // of the register
  uint64_t value = 0;   // the constant, or what is added to the register in an address
};

struct Thread;
struct Instruction;
using Action = void (*)(const Instruction &, Thread &); // of a warp's threads, or a warpgroup's: with the first

struct Instruction {
  Action action = nullptr;
  Operand to, a, b, c;
  std::vector<Operand> more; // the rest of a vector access; all operands of what a warp does together
  int guard = -1;            // a predicate's register; -1: always
  bool guard_not = false;
  uint32_t target = 0;       // of a branch
  // kWarp: by 32 threads together, kWarpgroup: by 128
  enum Flow : uint8_t { kNext, kBranch, kBarrier, kWarp, kWarpgroup, kReturn } flow = kNext;
};

// What may be accessed of [address, address + bytes).
struct Lives {
  std::function<bool(uint64_t address, uint64_t bytes)> may_write, may_read;
};

class Program {
public:
  // Null, with what is wrong in `problem`, for what is not such PTX.
  static std::unique_ptr<Program> parse(const std::string &text, std::string &problem);

  size_t parameter_count() const { return parameters_; }
  // False, with a reason, where a thread leaves memory or waits at a barrier that others do not reach.
  bool run(const std::vector<uint64_t> &arguments, uint32_t groups, uint32_t threads, const Lives &lives,
           std::string &problem) const;

private:
  friend class Parser;
  bool run_group(Thread *threads, uint32_t count, std::string &problem) const;

  std::vector<Instruction> code_;
  size_t parameters_ = 0;
  uint32_t registers_ = 0, shared_bytes_ = 0, threads_ = 0;
  bool warpgroups_ = false; // there are instructions of warpgroups
};

} // namespace ptx
