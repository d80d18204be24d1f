// The registry of schemes: one row each.
#include "codegen/schemes/Scheme.h"

namespace llmc {

const std::vector<Scheme> &schemes() {
  static const std::vector<Scheme> all = {
      {"q4_g32", 4, 32, 8},   {"q4_g64", 4, 64, 8},     {"q4_g128", 4, 128, 8},
      {"q8_g32", 8, 32, 128}, {"q8_g128", 8, 128, 128},
  };
  return all;
}

const Scheme *findScheme(llvm::StringRef name) {
  for (const Scheme &scheme : schemes())
    if (name == scheme.name) return &scheme;
  return nullptr;
}

const char *packStatusText(PackStatus status) {
  switch (status) {
  case PackStatus::Ok: return "is fine";
  case PackStatus::NotFinite: return "holds a NaN or an infinity";
  case PackStatus::TooLarge: return "holds a value too large for its scheme or element type";
  }
  return "";
}

} // namespace llmc
