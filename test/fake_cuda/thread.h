// A thread of a workgroup while it is interpreted.
#pragma once

#include "ptx.h"

#include <bit>
#include <deque>
#include <vector>

namespace ptx {

// Special registers lie behind each other at the start of a thread's.
enum : uint32_t { kTidX, kTidY, kTidZ, kGroupX, kGroupY, kGroupZ, kGroupsX, kGroupsY, kGroupsZ, kThreadsX, kThreadsY,
                  kThreadsZ, kSpecials };

constexpr uint64_t kSharedBase = uint64_t(1) << 60; // addresses of shared memory are above all others

struct Copy { // asynchronous, on its way
  uint8_t *to;
  const uint8_t *from;
  uint64_t bytes;
};

struct Product { // of a warpgroup, on its way
  const Instruction *instruction;
  void (*multiply)(const Product &, Thread &first);
  uint64_t descriptor; // of B
  bool adds;           // to what the registers hold
};

enum class Stop { kDone, kBarrier, kWarp, kWarpgroup, kFault };

struct Thread {
  std::vector<uint64_t> registers;
  size_t at = 0; // instruction
  bool done = false;
  const char *fault = nullptr;
  std::vector<uint8_t> *shared = nullptr;
  const std::vector<uint64_t> *arguments = nullptr;
  const Lives *lives = nullptr;
  std::vector<Copy> copies;              // of no group yet
  std::deque<std::vector<Copy>> groups; // the oldest first
  Stop stop = Stop::kBarrier;
  // Of a warpgroup's first thread, as copies are:
  std::vector<Product> products;
  std::deque<std::vector<Product>> product_groups;
  bool ordered = false; // wgmma.fence has been there since the last wait
  // Products do not see what threads write to the workgroup's memory before a fence of the writer and a barrier behind it.
  std::vector<uint32_t> *unseen = nullptr; // of each word its last writer's number, from 1 on, or 0; null: not kept
  uint32_t writer = 0;
  std::vector<uint64_t> written, fenced; // words

  uint64_t value(const Operand &o) const {
    return o.kind == Operand::kRegister ? registers[o.index] + o.value : o.value;
  }
  uint32_t word(const Operand &o) const { return uint32_t(value(o)); }
  float number(const Operand &o) const { return std::bit_cast<float>(word(o)); }
  void set(const Operand &o, uint64_t v) { registers[o.index] = v; }
  void set_number(const Operand &o, float v) { registers[o.index] = std::bit_cast<uint32_t>(v); }
  void wrote(uint64_t offset, uint64_t bytes) { // of shared memory
    for (uint64_t word = offset / 4; unseen && word < (offset + bytes + 3) / 4; ++word) {
      (*unseen)[word] = writer;
      written.push_back(word);
    }
  }
  void fence() {
    fenced.insert(fenced.end(), written.begin(), written.end());
    written.clear();
  }
  void pass_barrier() {
    for (uint64_t word : fenced)
      if ((*unseen)[word] == writer) (*unseen)[word] = 0;
    fenced.clear();
  }
  // Where an access of that many bytes goes; null, and a fault, where nothing lives.
  uint8_t *place(uint64_t address, uint64_t bytes, bool reads = false) {
    static uint8_t nowhere[16];
    if (address % bytes != 0)
      fault = "an access that is not aligned";
    else if (address >= kSharedBase && address - kSharedBase + bytes <= shared->size())
      return shared->data() + (address - kSharedBase);
    else if (address >= kSharedBase || !(reads ? lives->may_read : lives->may_write)(address, bytes))
      fault = "an access outside of memory that lives, or a read between operands";
    else
      return reinterpret_cast<uint8_t *>(address);
    return nowhere;
  }
};

} // namespace ptx
