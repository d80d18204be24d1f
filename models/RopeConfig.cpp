#include "models/CommonConfig.h"
#include "models/Logarithm.h"

namespace llmc::models {
namespace {

constexpr double kLargest = 1e15;
constexpr double kSmallest = 1e-6;

double readFactor(ConfigReader &rope) { return rope.number("factor", kSmallest, 1e9); }

// Positions the model was trained on, for llama3 and yarn: config.json's own field wins over the one in the object.
int64_t readOriginal(ConfigReader &config, ConfigReader &rope, int64_t maxPositions) {
  const char *field = "original_max_position_embeddings";
  ConfigReader &reader = config.has(field) ? config : rope;
  return reader.integer(field, 1, Limits::positions, maxPositions);
}

void readLlama3(Rope &rope, ConfigReader &config, ConfigReader &reader, int64_t maxPositions) {
  rope.factor = readFactor(reader);
  rope.low = reader.number("low_freq_factor", kSmallest, kLargest);
  rope.high = reader.number("high_freq_factor", kSmallest, kLargest);
  if (rope.high <= rope.low)
    reader.refuse("high_freq_factor", "it must be greater than low_freq_factor");
  rope.original = readOriginal(config, reader, maxPositions);
}

// https://arxiv.org/abs/2309.00071, section 3.4; DeepSeek's mscale over mscale_all_dim.
double yarnScale(double factor, double mscale) { return factor <= 1 ? 1.0 : 0.1 * mscale * logarithm(factor) + 1.0; }

void readYarn(Rope &rope, ConfigReader &config, ConfigReader &reader, int64_t maxPositions) {
  rope.original = readOriginal(config, reader, maxPositions);
  rope.factor = reader.isNull("factor") ? double(maxPositions) / double(rope.original) : readFactor(reader);
  double mscale = reader.number("mscale", 0, 1e6, 0.0), mscaleAll = reader.number("mscale_all_dim", 0, 1e6, 0.0);
  double inferred = mscale != 0 && mscaleAll != 0 ? yarnScale(rope.factor, mscale) / yarnScale(rope.factor, mscaleAll)
                                                  : yarnScale(rope.factor, 1);
  rope.attentionFactor = reader.number("attention_factor", kSmallest, 1e9, inferred);
  // Zero means the default there, too.
  rope.betaFast = reader.number("beta_fast", 0, kLargest, 32.0);
  rope.betaSlow = reader.number("beta_slow", 0, kLargest, 1.0);
  rope.betaFast = rope.betaFast == 0 ? 32 : rope.betaFast;
  rope.betaSlow = rope.betaSlow == 0 ? 1 : rope.betaSlow;
  // Python's truth of an explicit null is false, unlike that of a missing field.
  rope.truncate = reader.boolean("truncate", !reader.isNull("truncate"));
}

void readScaling(Rope &rope, ConfigReader &config, ConfigReader &reader, int64_t maxPositions) {
  if (reader.isNested())
    return reader.refuse("rope_type", "parameters by layer type are not supported, only one set for all layers");
  reader.onlySupports("partial_rotary_factor", 1.0, "these families turn whole heads (1.0)");
  rope.scaling = reader.choice(reader.has("rope_type") ? "rope_type" : "type",
                               {"default", "linear", "dynamic", "llama3", "yarn"}, "default");
  if (rope.scaling == "linear") {
    rope.factor = readFactor(reader);
  } else if (rope.scaling == "llama3") {
    readLlama3(rope, config, reader, maxPositions);
  } else if (rope.scaling == "yarn") {
    readYarn(rope, config, reader, maxPositions);
  } else if (rope.scaling == "dynamic") {
    rope.factor = readFactor(reader);
    rope.original = maxPositions; // whatever original_max_position_embeddings says
    if (rope.dim < 4) // the exponent is dim / (dim - 2)
      reader.refuse(reader.has("rope_type") ? "rope_type" : "type", "dynamic scaling needs heads of 4 or more elements");
  }
}

} // namespace

Rope readRope(ConfigReader &reader, int64_t headDim, int64_t maxPositions) {
  Rope rope;
  rope.dim = headDim;
  constexpr double kLeastBase = 1.0001; // a base whose logarithm is 0 has no use in any scaling
  rope.base = reader.number("rope_theta", kLeastBase, kLargest, 10000.0);
  if (std::optional<ConfigReader> parameters = reader.firstObject({"rope_scaling", "rope_parameters"})) {
    rope.base = parameters->number("rope_theta", kLeastBase, kLargest, rope.base);
    readScaling(rope, reader, *parameters, maxPositions);
  }
  return rope;
}

llm::RopeAttr Rope::get(mlir::MLIRContext &context) const {
  return llm::RopeAttr::get(&context, dim, base, llm::RopeKind::Half, scaling, factor, low, high, original, betaFast,
                            betaSlow, attentionFactor, truncate);
}

} // namespace llmc::models
