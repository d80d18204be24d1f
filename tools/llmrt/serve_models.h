// Which models llmrt serve has, with which options and budgets each is opened.
#pragma once

#include "runtime/base/status.h"
#include "runtime/server/model_pool.h"
#include "tools/llmrt/common.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmrt::tool {

struct ServeModelFlags {
  ModelFlags model;                          // its file is not used
  std::vector<std::string> files, more;      // positional, and by -m
  std::string folder;                        // --models-dir
  std::vector<std::string> names;            // --served-model-name
  std::vector<std::string> kv_bytes;         // NAME=BYTES
  double idle_seconds = 0;
  std::string chat_template;
};
void add_serve_model_flags(Flags &flags, ServeModelFlags &to);

// What all models share, and what each has of its own.
class ServedOptions {
public:
  // kInvalidArgument is wrong usage.
  static Result<ServedOptions> read(const ServeModelFlags &flags);

  // May be called as long as the pool runs.
  server::ModelPoolOptions pool_options() const;
  // Every model that may be loaded: the files, then those of the folder.
  Result<std::vector<ModelOptions>> all() const;
  bool is_one() const { return files_.size() == 1 && folder_.empty(); }

private:
  ModelOptions options_for(const server::ModelSource &source) const;
  Result<server::OpenedModel> open(const server::ModelSource &source, int64_t promised_bytes) const;
  Status check_memory(const server::ModelSource &source, int64_t needed, int64_t kv, int64_t promised) const;
  Status read_files(const ServeModelFlags &flags);
  Status read_budgets(const ServeModelFlags &flags);
  Result<std::vector<server::ModelSource>> sources() const;

  ModelOptions shared_;
  std::vector<server::ModelSource> files_;
  std::string folder_, chat_template_; // the template: of the one file
  double idle_seconds_ = 0;
  std::vector<std::pair<std::string, int64_t>> kv_bytes_; // by model name
  int64_t start_available_ = 0;
};

} // namespace llmrt::tool
