// Sets and maps of characters, read in place from the artifact.
#pragma once

#include "runtime/schema/tokenizer_generated.h"

#include <cstdint>
#include <vector>

namespace llmrt {

class CharClasses {
public:
  CharClasses() = default;
  explicit CharClasses(const flatbuffers::Vector<flatbuffers::Offset<schema::CharClass>> *classes);

  size_t size() const { return classes_.size(); }
  bool contains(uint32_t index, uint32_t point) const {
    const Class &c = classes_[index];
    if (point < 128) return (c.ascii[point >> 6] >> (point & 63)) & 1;
    return search(c, point);
  }

private:
  struct Class {
    uint64_t ascii[2] = {0, 0};
    const flatbuffers::Vector<const schema::CharRange *> *ranges = nullptr;
  };
  static bool search(const Class &c, uint32_t point);
  std::vector<Class> classes_;
};

// The row of `point`, or null.
const schema::CharMapping *find_mapping(const schema::CharMap &map, uint32_t point);

} // namespace llmrt
