// Chat templates: the part of Jinja that Hugging Face's templates use, limited in steps and output. Links alone.
#pragma once

#include "runtime/base/status.h"

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace llmrt {

struct RenderLimits {
  uint64_t steps = 10'000'000;
  uint64_t output_bytes = 64 << 20; // intermediate values may take 16 times as much
  int64_t now = -1;                 // seconds since 1970 for strftime_now, shown in local time; -1: this moment
};

class ChatTemplate {
public:
  // Parses with transformers' settings (trim_blocks, lstrip_blocks). Errors name line and column.
  static Result<std::unique_ptr<ChatTemplate>> parse(std::string_view source);
  virtual ~ChatTemplate() = default;

  // `variables` is an object: messages, tools, add_generation_prompt, bos_token, ... raise_exception in the template is
  // kInvalidArgument with its message; so is whatever Python refuses. What Python can and this cannot is kUnsupported,
  // a limit kExhausted. Takes at most 512 KiB of stack. May be called by several threads at once.
  virtual Result<std::string> render(const nlohmann::ordered_json &variables,
                                     const RenderLimits &limits = {}) const = 0;
};

} // namespace llmrt
