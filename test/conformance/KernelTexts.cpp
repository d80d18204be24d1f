#include "test/conformance/KernelTexts.h"

#include "codegen/schemes/Scheme.h"
#include "test/conformance/HeadsCases.h"

#include <tuple>

namespace llmc::conformance {

namespace {

const char *const kGate = " epilogue (%g: f32, %u: f32) {\n %s = llm.scalar_activation silu %g\n %v = arith.mulf %s, %u : "
                          "f32\n llm.yield %v }";
const char *const kResidual = " epilogue (%a: f32, %r: f32, %b: f32) {\n %s = arith.addf %a, %b : f32\n %v = arith.addf %s, "
                              "%r : f32\n llm.yield %v }";

std::string kernel(const std::string &kind, const std::string &config, const std::string &epilogue = "") {
  return "exec.kernel @k \"" + kind + "\" {" + config + "}" + epilogue;
}

std::string linear(const char *scheme, const char *element, const char *activations, bool gated, bool residual) {
  std::string counts = residual ? "rows = 1 : i64, vectors = 1 : i64" : "rows = 0 : i64, vectors = 0 : i64";
  return kernel("linear", std::string("scheme = \"") + scheme + "\", element = \"" + element + "\", activations = \"" +
                              activations + "\", gated = " + (gated ? "true" : "false") + ", " + counts,
                gated ? kGate : residual ? kResidual : "");
}

std::string norm(const char *kind, bool bias, bool gather, const char *out) {
  return kernel("norm", std::string("kind = \"") + kind + "\", epsilon = 1.0e-5 : f64, bias = " + (bias ? "true" : "false") +
                            ", gather = " + (gather ? "true" : "false") + ", out = \"" + out + "\"" +
                            (std::string(out) == "int8" ? ", scheme = \"q4_g32\"" : ""));
}

std::string attention(const char *element, const char *more, const char *split = "") {
  return kernel("attention", std::string("element = \"") + element + "\", scale = 0.25 : f64, " + more + split);
}

} // namespace

std::vector<std::string> textsOfEveryKind() {
  std::vector<std::string> all;
  for (auto [scheme, element] : {std::pair{"none", "f32"}, {"none", "bf16"}, {"none", "f16"}, {"q8_g32", "f32"},
                                 {"q4_g32", "f32"}, {"q4_g128", "f32"}, {"q4a_g32", "f32"}}) {
    for (const char *positions : {"true", "false"})
      all.push_back(kernel("embed", std::string("scheme = \"") + scheme + "\", element = \"" + element +
                                        "\", scale = 2.0 : f64, positions = " + positions));
    all.push_back(linear(scheme, element, "float", false, true));
    all.push_back(linear(scheme, element, "float", true, false));
  }
  for (const char *scheme : {"q4_g32", "q4_g64", "q4_g128", "q8_g32", "q8_g64", "q8_g128", "q4a_g32"})
    for (const char *activations : {"int8", "bf16"}) {
      if (!findScheme(scheme)) continue;
      all.push_back(linear(scheme, "f32", activations, false, true));
      all.push_back(linear(scheme, "f32", activations, true, false));
    }
  all.push_back(linear("none", "bf16", "bf16", false, false));
  for (const heads::Case &c : heads::kCases) all.push_back(heads::headsText(c));
  for (const char *out : {"f32", "int8", "bf16"})
    for (auto [kind, bias] : {std::pair{"none", false}, {"rms", false}, {"layer", true}, {"layer", false}})
      for (bool gather : {false, true}) all.push_back(norm(kind, bias, gather, out));
  all.push_back(kernel("rope_table", "scaling = \"static\", attention_factor = 1.25 : f64"));
  all.push_back(kernel("rope_table", "scaling = \"dynamic\", factor = 2.0 : f64, attention_factor = 1.0 : f64, base = "
                                     "10000.0 : f64, dim = 16 : i64, original = 32 : i64"));
  for (const char *kind : {"none", "half", "interleaved"})
    for (const char *scaling : {"none", "rms"})
      all.push_back(kernel("rope", std::string("kind = \"") + kind + "\", norm = \"" + scaling + "\", epsilon = 1.0e-6 : f64"));
  for (const char *element : {"f32", "f16", "bf16", "int8"}) {
    all.push_back(kernel("cache_write", std::string("element = \"") + element + "\""));
    all.push_back(attention(element, "soft_cap = 0.0 : f64, window = 0 : i64, sinks = false, alibi = false"));
    for (const char *group : {"1", "4", "18"})
      all.push_back(attention(element, "soft_cap = 0.0 : f64, window = 0 : i64, sinks = true, alibi = false",
                              (std::string(", parts = 3 : i64, split_rows = 4 : i64, group = ") + group + " : i64").c_str()));
  }
  for (auto [element, softCap, window] : {std::tuple{"f32", "3.0", "75"}, {"f16", "0.0", "70"}, {"bf16", "2.5", "0"},
                                          {"int8", "0.0", "75"}})
    all.push_back(attention(element, (std::string("soft_cap = ") + softCap + " : f64, window = " + window +
                                      " : i64, sinks = true, alibi = true").c_str()));
  for (const char *window : {"0", "270"})
    for (const char *sinks : {"true", "false"})
      all.push_back(kernel("attention_combine", std::string("window = ") + window + " : i64, sinks = " + sinks +
                                                    ", split_rows = 4 : i64"));
  all.push_back(kernel("map", "rows = 2 : i64, vectors = 1 : i64",
                       " epilogue (%x: f32, %y: f32, %v: f32) {\n %a = arith.mulf %x, %y : f32\n %b = "
                       "llm.scalar_activation gelu %a\n %c = arith.addf %b, %v : f32\n llm.yield %c }"));
  for (const char *pairs : {"false", "true"})
    for (const char *count : {"128", "5"})
      all.push_back(kernel("top_k", std::string("count = ") + count + " : i64, pairs = " + pairs));
  return all;
}

} // namespace llmc::conformance
