#include "runtime/artifact/gpu_module.h"

#include "runtime/abi/kernel.h"

#include <cstring>

namespace llmrt {

namespace {

Status corrupt(const char *message) { return Status(StatusCode::kCorrupt, message); }

// Integers of an ELF64 file, little-endian, at places that have been checked.
template <typename T> T read(std::span<const std::byte> bytes, uint64_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

bool lies_in(std::span<const std::byte> bytes, uint64_t at, uint64_t count) {
  return at <= bytes.size() && count <= bytes.size() - at;
}

constexpr uint64_t kHeaderBytes = 64, kSectionBytes = 64, kProgramBytes = 56;
constexpr uint16_t kMachineCuda = 190;
constexpr uint32_t kNoBits = 8; // a section without bytes in the file

Status check_cubin(std::span<const std::byte> file) {
  constexpr uint8_t kIdent[] = {0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little-endian */};
  if (reinterpret_cast<uintptr_t>(file.data()) % 8 != 0 || file.size() < kHeaderBytes ||
      std::memcmp(file.data(), kIdent, sizeof kIdent) != 0 || read<uint16_t>(file, 18) != kMachineCuda)
    return corrupt("its module is not a cubin");
  uint64_t programs = read<uint64_t>(file, 32), sections = read<uint64_t>(file, 40);
  uint64_t program_count = read<uint16_t>(file, 56), section_count = read<uint16_t>(file, 60);
  if ((program_count && read<uint16_t>(file, 54) != kProgramBytes) ||
      (section_count && read<uint16_t>(file, 58) != kSectionBytes) ||
      !lies_in(file, programs, program_count * kProgramBytes) ||
      !lies_in(file, sections, section_count * kSectionBytes))
    return corrupt("the tables of its cubin do not lie in it");
  for (uint64_t at = programs; at < programs + program_count * kProgramBytes; at += kProgramBytes)
    if (!lies_in(file, read<uint64_t>(file, at + 8), read<uint64_t>(file, at + 32)))
      return corrupt("a part of its cubin does not lie in it");
  for (uint64_t at = sections; at < sections + section_count * kSectionBytes; at += kSectionBytes)
    if (read<uint32_t>(file, at + 4) != kNoBits &&
        !lies_in(file, read<uint64_t>(file, at + 24), read<uint64_t>(file, at + 32)))
      return corrupt("a section of its cubin does not lie in it");
  return ok_status();
}

} // namespace

Status check_module(uint32_t architecture, std::span<const std::byte> module) {
  if (architecture == LLMRT_ARCH_SPIRV && module.size() % 4 != 0)
    return corrupt("its module is not whole words");
  if (architecture == LLMRT_ARCH_PTX &&
      (module.empty() || std::memchr(module.data(), 0, module.size()) != &module.back()))
    return corrupt("its PTX does not end in its only zero byte");
  return architecture == LLMRT_ARCH_CUBIN ? check_cubin(module) : ok_status();
}

} // namespace llmrt
