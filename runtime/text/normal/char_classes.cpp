#include "runtime/text/normal/char_classes.h"

#include <algorithm>

namespace llmrt {

CharClasses::CharClasses(const flatbuffers::Vector<flatbuffers::Offset<schema::CharClass>> *classes) {
  if (!classes) return;
  classes_.resize(classes->size());
  for (uint32_t i = 0; i < classes->size(); ++i) {
    Class &c = classes_[i];
    c.ranges = classes->Get(i)->ranges();
    for (const schema::CharRange *range : *c.ranges) {
      if (range->first() >= 128) break;
      for (uint32_t p = range->first(); p <= std::min<uint32_t>(range->last(), 127); ++p)
        c.ascii[p >> 6] |= uint64_t(1) << (p & 63);
    }
  }
}

bool CharClasses::search(const Class &c, uint32_t point) {
  uint32_t low = 0, high = c.ranges->size();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const schema::CharRange *range = c.ranges->Get(middle);
    if (point < range->first()) high = middle;
    else if (point > range->last()) low = middle + 1;
    else return true;
  }
  return false;
}

const schema::CharMapping *find_mapping(const schema::CharMap &map, uint32_t point) {
  uint32_t low = 0, high = map.rows()->size();
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    const schema::CharMapping *row = map.rows()->Get(middle);
    if (point == row->from()) return row;
    if (point < row->from()) high = middle;
    else low = middle + 1;
  }
  return nullptr;
}

} // namespace llmrt
