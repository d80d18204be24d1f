// What the parts of the verifier share.
#pragma once

#include "runtime/artifact/verify.h"

#include <string>
#include <type_traits>
#include <vector>

namespace llmrt::verify_internal {

// A tier's kernels.
struct Tier {
  std::string name;
  CodeTable table;
  std::string_view target;
};
using Tiers = std::vector<const Tier *>;

struct Context {
  const schema::Artifact &meta;
  std::span<const std::byte> file;
  uint32_t groups = 0;                 // cache groups, checked
  std::vector<Polynomial> pool_bytes;  // of each cache group
  int64_t page_tokens = 0;             // the smallest of all groups; 0 without groups
  std::vector<Polynomial> buffer_offset, buffer_bytes;
  std::vector<Tier> tiers;
};

inline Status corrupt(std::string message) { return Status(StatusCode::kCorrupt, std::move(message)); }
inline Status corrupt(const std::string &where, const char *what) { return corrupt(where + ": " + what); }
std::string printable(std::string_view text); // for messages: at most 80 bytes of ASCII
std::string named(const char *kind, uint32_t index, const flatbuffers::String *name); // "weight 3 (lm_head)"

// flatbuffers' own verifier checks where a vector begins, not that its elements are aligned: those with 64 bits,
// and structs of such, must be looked at before they are read. (Empty vectors are written unaligned.)
template <typename T> bool is_aligned(const flatbuffers::Vector<T> *vector) {
  return count_of(vector) == 0 || reinterpret_cast<uintptr_t>(vector->Data()) % alignof(std::remove_pointer_t<T>) == 0;
}

// A symbol of sizes and scalars: pages only of groups that there are.
bool symbol_exists(const Context &context, schema::Symbol symbol);

// Symbols exist, coefficients are not negative.
Status check_size(const Context &context, const schema::Size *size, const std::string &where);

Status check_model(const Context &context);                // verify_model.cpp
Status check_memory(Context &context);                     // cache groups, arena, buffers
Status check_weights(const Context &context);              // verify.cpp
Status check_random_weights(const Context &context);       // verify_random.cpp
Status check_programs(const Context &context);             // verify_program.cpp
Status check_goldens(const Context &context);              // verify_golden.cpp

// What an operand of a dispatch points at.
struct Target {
  Polynomial offset; // from an address aligned to kMaxOperandAlignment, the operand's own offset included
  Polynomial start;  // the operand's own offset
  Polynomial bytes;  // of what it lies in
  bool writable = false;
  // Bounds of the int32 values there: each is below every one of these. Empty: not known.
  std::vector<Polynomial> value_bounds;
};
Result<Target> check_operand(const Context &context, const schema::Operand &operand, const std::string &where);

// verify_kernel.cpp: one dispatch against the tiers that run it.
Status check_kernel_dispatch(const Context &context, const schema::KernelDispatch &dispatch, const Tiers &tiers,
                             const std::string &where);

} // namespace llmrt::verify_internal
