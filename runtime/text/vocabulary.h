// The model's vocabulary, in place: spelling to id and back.
#pragma once

#include "runtime/schema/tokenizer_generated.h"
#include "runtime/schema/token_hash.h"

#include <string_view>

namespace llmrt {

class Vocabulary {
public:
  explicit Vocabulary(const schema::Vocabulary &tables)
      : bytes_(reinterpret_cast<const char *>(tables.bytes()->data())), ends_(*tables.ends()), slots_(*tables.slots()),
        present_(*tables.present()) {}

  uint32_t size() const { return ends_.size(); } // ids, holes included
  bool has(uint32_t id) const { return id < size() && present_.Get(id) != 0; }
  std::string_view spelling(uint32_t id) const {
    const uint32_t begin = id == 0 ? 0 : ends_.Get(id - 1);
    return {bytes_ + begin, ends_.Get(id) - begin};
  }
  int32_t find(std::string_view spelling) const { return find(spelling, hash_bytes(spelling)); }
  // `hash` is hash_bytes(text); -1: not there.
  int32_t find(std::string_view text, uint64_t hash) const {
    const uint32_t mask = slots_.size() - 1;
    for (uint32_t slot = static_cast<uint32_t>(hash) & mask;; slot = (slot + 1) & mask) {
      const uint32_t entry = slots_.Get(slot);
      if (entry == 0) return -1;
      if (spelling(entry - 1) == text) return static_cast<int32_t>(entry - 1);
    }
  }

private:
  const char *bytes_;
  const flatbuffers::Vector<uint32_t> &ends_;
  const flatbuffers::Vector<uint32_t> &slots_;
  const flatbuffers::Vector<uint8_t> &present_;
};

} // namespace llmrt
