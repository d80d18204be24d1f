#include "runtime/server/context.h"

#include <algorithm>
#include <random>

namespace llmrt::server {

bool ServerContext::serves(const Model &m, const std::string &name) const {
  const std::vector<std::string> names = models.names_of(m);
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string ServerContext::model_name(const Model &m) const {
  return models.names_of(m).front();
}

uint64_t ServerContext::next_seed() {
  if (config.seed)
    return *config.seed;
  uint64_t n = seed_counter.fetch_add(1, std::memory_order_relaxed);
  std::random_device device; // a system call each: prompts cost far more
  return (uint64_t(device()) << 32 | device()) ^ n;
}

} // namespace llmrt::server
