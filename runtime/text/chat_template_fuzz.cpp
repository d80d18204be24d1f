// A template of any bytes, rendered over a conversation with tools: text or an error within its limits.
#include "runtime/text/chat_template.h"

#include <nlohmann/json.hpp>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const nlohmann::ordered_json variables = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be brief."},
      {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
      {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function",
        "function": {"name": "f", "arguments": {"x": 1.5, "y": [null, true]}}}]}, {"role": "tool", "content": "ok"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": {"type": "number"}}}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "n": 3})");
  auto parsed = llmrt::ChatTemplate::parse(std::string_view(reinterpret_cast<const char *>(data), size));
  if (!parsed.ok()) return 0;
  llmrt::RenderLimits limits;
  limits.steps = 100'000;
  limits.output_bytes = 1 << 20;
  (void)(*parsed)->render(variables, limits);
  return 0;
}
