// The registry of schemes: one row each.
#include "runtime/packing/scheme.h"

namespace llmrt::packing {

std::span<const Scheme> schemes() {
  static constexpr Scheme kAll[] = {
      {"q4_g32", 4, 32, 8},   {"q4_g64", 4, 64, 8},     {"q4_g128", 4, 128, 8},
      {"q8_g32", 8, 32, 128}, {"q8_g128", 8, 128, 128}, {"q4a_g32", 4, 32, 8, true},
  };
  return kAll;
}

const Scheme *find_scheme(std::string_view name) {
  for (const Scheme &scheme : schemes())
    if (name == scheme.name)
      return &scheme;
  return nullptr;
}

int64_t block_bytes(const Scheme *scheme, std::string_view element, int64_t columns) {
  return scheme ? scheme->chunks(columns) * scheme->chunk_bytes() : 16 * columns * (element == "f32" ? 4 : 2);
}

const char *pack_status_text(PackStatus status) {
  switch (status) {
  case PackStatus::kOk: return "is fine";
  case PackStatus::kNotFinite: return "holds a NaN or an infinity";
  case PackStatus::kTooLarge: return "holds a value too large for its scheme or element type";
  }
  return "";
}

} // namespace llmrt::packing
