// Every field of every golden config replaced by hostile values, and random pairs of such changes: an import gives a
// module or one error, at once, whatever the file says.
#include "models/Registry.h"

#include "mlir/IR/Verifier.h"
#include "llvm/Support/MemoryBuffer.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>

namespace {

using nlohmann::json;

std::vector<json> hostileValues() {
  json deep = 1;
  for (int i = 0; i < 1000; ++i)
    deep = json::array({std::move(deep)});
  json values = {nullptr, true, false, 0, -1, 1, 2, 3, 7, 64, 4096, 1 << 20, (1 << 20) + 1, INT64_MAX, INT64_MIN,
                 UINT64_MAX, 0.5, -0.0, 1e-300, 1e300, 1e18, "", "llama", "linear", std::string(100000, 'x'),
                 "\xff\xfe", json::array(), json::object(), json::array({1, "x", nullptr})};
  values.push_back({{"type", "yarn"}, {"factor", 1e300}});
  values.push_back({{"rope_type", "dynamic"}, {"factor", 1e-300}});
  values.push_back(std::move(deep));
  return values;
}

// Paths to all fields, one level into objects.
std::vector<json::json_pointer> fields(const json &config) {
  std::vector<json::json_pointer> result;
  for (const auto &[key, value] : config.items()) {
    result.push_back(json::json_pointer() / key);
    if (value.is_object())
      for (const auto &[inner, ignored] : value.items())
        result.push_back(json::json_pointer() / key / inner);
  }
  return result;
}

std::vector<json> goldenConfigs() {
  std::vector<std::filesystem::path> paths;
  for (const auto &entry : std::filesystem::directory_iterator(LLMC_SOURCE_DIR "/test/golden/models"))
    if (entry.is_directory())
      paths.push_back(entry.path() / "config.json");
  std::sort(paths.begin(), paths.end());
  std::vector<json> configs;
  for (const auto &path : paths) {
    auto buffer = llvm::MemoryBuffer::getFile(path.string());
    EXPECT_TRUE(bool(buffer)) << path;
    configs.push_back(json::parse((*buffer)->getBuffer().str()));
  }
  return configs;
}

// Counts modules; an error must be one line that says where.
struct Outcome {
  int modules = 0, errors = 0;
  void import(mlir::MLIRContext &context, const json &config) {
    auto model = llmc::models::importModel(context, config);
    if (model) {
      ++modules;
      return;
    }
    ++errors;
    std::string message = llvm::toString(model.takeError());
    EXPECT_EQ(message.rfind("config.json: ", 0), 0u) << message;
    EXPECT_LT(message.size(), 600u) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
};

TEST(HostileConfig, EveryFieldEveryValue) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  Outcome outcome;
  std::vector<json> values = hostileValues();
  for (const json &config : goldenConfigs()) {
    if (config["model_type"] == "gpt2" && config["n_layer"] == 1)
      continue; // the activations' configs differ in nothing else
    for (const auto &field : fields(config))
      for (const json &value : values) {
        json changed = config;
        changed[field] = value;
        if (changed.value("num_hidden_layers", json(1)) == 4096 || changed.value("n_layer", json(1)) == 4096)
          continue; // right, and slow: LayersAreBounded has it
        outcome.import(context, changed);
      }
  }
  EXPECT_GT(outcome.modules, 1000);
  EXPECT_GT(outcome.errors, 1000);
}

TEST(HostileConfig, RandomPairs) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  Outcome outcome;
  std::mt19937 random(7);
  std::vector<json> values = hostileValues(), configs = goldenConfigs();
  for (int round = 0; round < 3000; ++round) {
    json config = configs[random() % configs.size()];
    auto places = fields(config);
    for (int change = 0; change < 3; ++change) {
      auto place = places[random() % places.size()];
      if (!place.parent_pointer().empty() && !config[place.parent_pointer()].is_object())
        continue;
      if (place.back() == "num_hidden_layers" || place.back() == "n_layer")
        continue;
      config[place] = values[random() % values.size()];
    }
    outcome.import(context, config);
  }
  EXPECT_GT(outcome.errors, 1000);
}

TEST(HostileConfig, LayersAreBounded) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  json config = goldenConfigs()[0];
  Outcome outcome;
  for (const char *field : {"num_hidden_layers", "n_layer"})
    config[field] = 4096;
  outcome.import(context, config);
  EXPECT_EQ(outcome.modules, 1);
}

} // namespace
