// The inverse frequencies of a rotary embedding, as transformers' modeling_rope_utils computes them, in arithmetic that
// gives the same bits on every machine (no libm).
#pragma once

#include "dialects/llm/Llm.h"

#include <vector>

namespace llmc {

// rope.dim / 2 values, rounded to float32 where torch holds float32. Scalings "default", "linear", "llama3", "yarn";
// "dynamic" gives the frequencies of its unscaled base (its kernel computes the others).
std::vector<float> ropeFrequencies(llm::RopeAttr rope);

namespace exactmath {
// Natural logarithm of a positive finite x and e^x for |x| < 700, to about an ulp of double, from additions,
// multiplications and divisions alone.
double log(double x);
double exp(double x);
} // namespace exactmath

} // namespace llmc
