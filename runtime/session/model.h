// Everything that is opened from one artifact and used together: what the server, the C API and the command line
// share. Nothing here knows HTTP or a terminal.
#pragma once

#include "runtime/artifact/artifact.h"
#include "runtime/base/status.h"
#include "runtime/device/cpu/code_loader.h"
#include "runtime/engine/engine.h"
#include "runtime/session/grammar_store.h"
#include "runtime/text/chat_template.h"
#include "runtime/text/tokenizer.h"

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt {

struct CpuProfile; // runtime/device/cpu/cpu_profile.h

struct ModelOptions {
  std::string path;
  std::shared_ptr<const Artifact> artifact; // set: opened already, from `path`
  int threads = 0;         // 0: as many as the machine has
  std::string cpu_tier;    // empty: the best that the machine can run
  std::string gpu_tier;    // empty: the best that the device can run
  std::string device;      // "cpu", "vulkan", "vulkan:1"; empty or "auto": pick_device()'s
  std::string kv_cache_dtype = "auto"; // anything else must be what the artifact was compiled with
  std::string chat_template;           // source; empty: the artifact's
  LoadMode load_mode = LoadMode::kAuto;          // of the kernels; kStatic where `kernels` is set
  const llmrt_kernel_library *kernels = nullptr; // linked into the program; must outlive the model
  bool verify_weights = false;
  bool self_test = true; // try every kernel on the artifact's golden vectors before it is used
  bool text_only = false; // no device and no engine: tokenize, render
  EngineOptions engine;
  CpuProfile *profile = nullptr; // set: every dispatch is timed; must outlive the model
};

struct Model {
  std::string id;        // the file's name without .fbs
  std::string root_hash; // hexadecimal
  std::shared_ptr<const Artifact> artifact;
  std::unique_ptr<Tokenizer> tokenizer;        // null: the artifact has none
  std::unique_ptr<ChatTemplate> chat_template; // null: likewise, or it could not be parsed
  std::string chat_template_source;            // of chat_template
  std::string chat_template_error;             // why it could not
  nlohmann::ordered_json special_tokens = nlohmann::ordered_json::object(); // bos_token, ... for templates
  SamplingParams defaults;                     // of generation_config.json
  std::vector<int32_t> end_ids;
  int64_t vocabulary = 0;
  int32_t begin_id = -1; // -1: none
  int32_t page_tokens = 0; // of the first cache group
  std::string kv_cache_dtype;
  std::string device, cpu_tier; // "cpu" and the tier in use, or "vulkan" and the device's name
  int threads = 0;
  int64_t created = 0;  // seconds since 1970
  double load_ms = 0;   // from the call of open() to ready
  std::unique_ptr<GrammarStore> grammars; // null: no tokenizer
  std::unique_ptr<Engine> engine; // null with text_only

  // kInvalidArgument: an option that this artifact cannot serve. kCorrupt, kUnsupported: see Artifact::open().
  static Result<std::unique_ptr<Model>> open(const ModelOptions &options);

  // kUnsupported with what to do about it, where the artifact has no tokenizer or no template.
  Status need_tokenizer() const;
  Status need_chat_template() const;

  // `variables` (messages, tools, ...) beside the special tokens.
  Result<std::string> render_chat(const nlohmann::ordered_json &variables) const;
};

// "dir/name.fbs" -> "name"
std::string model_id_of_path(std::string_view path);

} // namespace llmrt
