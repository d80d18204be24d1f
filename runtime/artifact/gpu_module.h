// What a GPU's driver is handed without a length: it must end where its own headers say.
#pragma once

#include "runtime/base/status.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace llmrt {

// A module of a code segment of `architecture` (llmrt_architecture): SPIR-V is whole words, PTX is text that ends in
// its only zero byte, and all that a cubin's ELF headers name lies inside. Nothing is asked of a CPU's code.
Status check_module(uint32_t architecture, std::span<const std::byte> module);

} // namespace llmrt
