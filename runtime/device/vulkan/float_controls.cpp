#include "runtime/device/vulkan/float_controls.h"

#include <array>
#include <cstring>

namespace llmrt::vk {

namespace {

constexpr uint32_t kMagic = 0x07230203, kHeaderWords = 5;
constexpr uint32_t kExtension = 10, kImport = 11, kMemoryModel = 14, kEntryPoint = 15, kExecutionMode = 16,
                   kCapability = 17; // opcodes
// The modes and the capabilities of the same names.
constexpr uint32_t kKeepDenormals = 4459, kKeepDenormalsCapability = 4464;
constexpr uint32_t kKeepSpecial = 4461, kKeepSpecialCapability = 4466;
constexpr uint32_t kRoundToEven = 4462, kRoundToEvenCapability = 4467;

constexpr uint32_t instruction(uint32_t opcode, uint32_t words) { return words << 16 | opcode; }

// Where the sections end that something is added to, in words.
struct Places {
  size_t capabilities = 0, extensions = 0, modes = 0;
  uint32_t entry_point = 0; // its id
};

llmrt::Result<Places> find_places(std::span<const uint32_t> module) {
  Status corrupt(StatusCode::kCorrupt, "a module is not SPIR-V with one entry point");
  if (module.size() < kHeaderWords || module[0] != kMagic)
    return corrupt;
  Places places;
  for (size_t at = kHeaderWords; at < module.size();) {
    uint32_t opcode = module[at] & 0xffff, words = module[at] >> 16;
    if (words == 0 || words > module.size() - at)
      return corrupt;
    size_t end = at + words;
    if (opcode == kCapability)
      places.capabilities = places.extensions = end;
    else if (opcode == kExtension)
      places.extensions = end;
    else if (opcode == kEntryPoint || opcode == kExecutionMode)
      places.modes = end;
    else if (opcode != kImport && opcode != kMemoryModel)
      break;
    if (opcode == kEntryPoint && (words < 3 || places.entry_point))
      return corrupt;
    if (opcode == kEntryPoint)
      places.entry_point = module[at + 2];
    at = end;
  }
  // In this order, or something would be put where it does not belong.
  if (places.capabilities == 0 || !places.entry_point || places.modes < places.extensions)
    return corrupt;
  return places;
}

} // namespace

llmrt::Result<std::vector<uint32_t>> declare_float_controls(std::span<const uint32_t> module,
                                                            const FloatControls &controls) {
  llmrt::Result<Places> places = find_places(module);
  if (!places)
    return places.status();
  char name[24] = "SPV_KHR_float_controls"; // with the zeros that fill its last word
  std::array<uint32_t, sizeof name / 4> name_words;
  std::memcpy(name_words.data(), name, sizeof name);
  std::vector<uint32_t> capabilities, modes, extension = {instruction(kExtension, 1 + name_words.size())};
  extension.insert(extension.end(), name_words.begin(), name_words.end());
  auto declare = [&](bool wanted, uint32_t mode, uint32_t capability) {
    if (!wanted)
      return;
    capabilities.insert(capabilities.end(), {instruction(kCapability, 2), capability});
    modes.insert(modes.end(), {instruction(kExecutionMode, 4), places->entry_point, mode, 32});
  };
  declare(controls.keep_denormals, kKeepDenormals, kKeepDenormalsCapability);
  declare(controls.keep_special, kKeepSpecial, kKeepSpecialCapability);
  declare(controls.round_to_even, kRoundToEven, kRoundToEvenCapability);

  std::vector<uint32_t> out;
  size_t from = 0;
  auto insert = [&](size_t place, const std::vector<uint32_t> &words) {
    out.insert(out.end(), module.begin() + ptrdiff_t(from), module.begin() + ptrdiff_t(place));
    out.insert(out.end(), words.begin(), words.end());
    from = place;
  };
  if (!controls.any())
    return std::vector<uint32_t>(module.begin(), module.end());
  insert(places->capabilities, capabilities);
  insert(places->extensions, extension);
  insert(places->modes, modes);
  insert(module.size(), {});
  return out;
}

} // namespace llmrt::vk
