// linear_heads in all its kinds, and the kernels that it stands for.
#pragma once

#include "test/conformance/KernelHarness.h"

namespace llmc::conformance {

namespace heads {

struct Case {
  const char *scheme, *element, *activations;
  bool bias;
  const char *rope;
  bool norm;
  const char *cache;
  int64_t heads, kvHeads, keyDim, valueDim, half;
  int64_t K = 172;

  int64_t queries() const { return heads * keyDim; }
  int64_t keys() const { return kvHeads * keyDim; }
  int64_t values() const { return kvHeads * valueDim; }
  int64_t N() const { return queries() + keys() + values(); }
  int64_t halfPad() const { return ceilDiv(half, 16) * 16; }
  bool turns() const { return rope != std::string("none"); }
  bool changes() const { return turns() || norm; }
};

inline std::string linearConfig(const Case &c) {
  return std::string("scheme = \"") + c.scheme + "\", element = \"" + c.element + "\", activations = \"" + c.activations +
         "\", vectors = " + (c.bias ? "1" : "0") + " : i64";
}
inline std::string ropeConfig(const Case &c) {
  return std::string("\", norm = \"") + (c.norm ? "rms" : "none") + "\", epsilon = 1.0e-6 : f64";
}
inline std::string epilogue(const Case &c) {
  return c.bias ? " epilogue (%a: f32, %b: f32) {\n %s = arith.addf %a, %b : f32\n llm.yield %s }" : "";
}
inline std::string headsText(const Case &c) {
  return "exec.kernel @k \"linear_heads\" {" + linearConfig(c) + ", rope = \"" + c.rope + ropeConfig(c) + ", cache = \"" +
         c.cache + "\"}" + epilogue(c);
}
inline std::string linearText(const Case &c) {
  return "exec.kernel @k \"linear\" {" + linearConfig(c) + ", gated = false, rows = 0 : i64}" + epilogue(c);
}
inline std::string ropeText(const Case &c) {
  return std::string("exec.kernel @k \"rope\" {kind = \"") + c.rope + ropeConfig(c) + "}";
}
inline std::string cacheWriteText(const Case &c) {
  return std::string("exec.kernel @k \"cache_write\" {element = \"") + c.cache + "\"}";
}

// Every kind of page with a norm and without, every rope, every kind of input.
inline constexpr Case kCases[] = {
    {"none", "f32", "float", true, "half", false, "f32", 4, 2, 32, 32, 16},
    {"none", "f16", "float", false, "none", true, "bf16", 2, 1, 48, 16, 0},
    {"q4_g32", "f32", "float", false, "interleaved", true, "int8", 3, 1, 16, 32, 5},
    {"q4_g32", "f32", "int8", false, "half", false, "bf16", 4, 2, 64, 64, 32},
    {"q4_g32", "f32", "int8", true, "half", true, "f32", 2, 2, 80, 48, 20},
    {"q8_g32", "f32", "int8", false, "interleaved", false, "f16", 4, 1, 32, 32, 16},
    {"q4_g128", "f32", "int8", true, "none", true, "f16", 3, 3, 32, 16, 0, 300},
    {"q4_g32", "f32", "bf16", false, "half", true, "bf16", 4, 1, 64, 64, 24},
    {"q8_g128", "f32", "bf16", true, "half", false, "int8", 2, 1, 48, 80, 24},
    {"none", "bf16", "bf16", false, "none", false, "int8", 2, 2, 32, 16, 0},
};

} // namespace heads

} // namespace llmc::conformance
