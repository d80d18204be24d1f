#include "runtime/server/context.h"

#include <algorithm>
#include <random>

namespace llmrt::server {

bool ServerContext::serves(const Model &m, const std::string &name) const {
  const auto &names = config.served_model_names;
  return names.empty() ? name == m.id : std::find(names.begin(), names.end(), name) != names.end();
}

std::string ServerContext::model_name(const Model &m) const {
  return config.served_model_names.empty() ? m.id : config.served_model_names.front();
}

uint64_t ServerContext::next_seed() {
  if (config.seed)
    return *config.seed;
  uint64_t n = seed_counter.fetch_add(1, std::memory_order_relaxed);
  std::random_device device; // a system call each: prompts cost far more
  return (uint64_t(device()) << 32 | device()) ^ n;
}

} // namespace llmrt::server
