#include "runtime/artifact/artifact.h"
#include "runtime/base/log.h"
#include "runtime/schema/artifact_generated.h"
#include "tools/llmrt/common.h"

namespace llmrt::tool {

void add_file_flags(Flags &flags, ModelFlags &to) {
  flags.positional("FILE", to.file, "the artifact");
  flags.text("-m,--model", to.model, "the artifact, instead of FILE");
  flags.flag("-q,--quiet", to.quiet, "no progress, no notices");
}

void add_model_flags(Flags &flags, ModelFlags &to) {
  add_file_flags(flags, to);
  add_engine_flags(flags, to);
}

void add_engine_flags(Flags &flags, ModelFlags &to) {
  flags.integer("-t,--threads", to.threads, "that compute; 0: all that this process may use");
  flags.texts("--cpu-tier", to.cpu_tiers, "force a tier, e.g. x86-64-v3; native: this machine's best");
  flags.text("--gpu-tier", to.gpu_tier, "likewise of a GPU's code, e.g. spirv1.3 or compute_75");
  flags.text("--device,--target", to.device, "auto, cpu, cuda or vulkan; cuda:N, vulkan:N for the Nth of several");
  flags.integer("-c,--ctx-size,--max-model-len", to.max_model_len, "tokens of a sequence, prompt and answer");
  flags.integer("--max-num-batched-tokens", to.max_num_batched_tokens, "tokens of a step");
  flags.integer("--max-num-seqs", to.max_num_seqs, "sequences of a step (-np)");
  flags.integer("--kv-cache-memory-bytes", to.kv_cache_memory_bytes, "of the KV pages");
  flags.integer("--kv-pages", to.kv_pages, "pages of each cache group, instead of bytes");
  flags.text("--kv-cache-dtype", to.kv_cache_dtype, "auto, or the type that was compiled in");
  flags.switched("prefix-caching", to.prefix_caching, "share pages of equal beginnings");
  flags.flag("--enable-chunked-prefill", to.chunked_prefill, "always on");
  flags.text("--scheduling-policy", to.scheduling_policy, "fcfs or priority");
  flags.text("--admission", to.admission, "optimistic or predicted");
  flags.integer("--max-queue", to.max_queue, "requests that may wait; more are told to come again (503)");
  flags.number("--max-itl-ms", to.max_itl_ms, "prompts are cut so that running streams wait no longer for a token");
  flags.flag("--verify-weights", to.verify_weights, "check the weights' hashes first");
  flags.flag("--no-self-test", to.no_self_test, "do not try the kernels at start");
}

void add_report_flags(Flags &flags, ModelFlags &to, const char *json) {
  flags.flag("--print-memory", to.print_memory, "the memory these flags need, and exit");
  flags.flag("--json", to.json, json);
}

Result<ModelOptions> model_options(const ModelFlags &flags) {
  if (flags.file.empty() == flags.model.empty())
    return Status(StatusCode::kInvalidArgument, flags.file.empty() ? "which artifact? give its FILE"
                                                                   : "give either FILE or --model, not both");
  Result<ModelOptions> out = engine_options(flags);
  if (out.ok())
    out->path = flags.file.empty() ? flags.model : flags.file;
  return out;
}

Result<ModelOptions> engine_options(const ModelFlags &flags) {
  auto wrong = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  std::string_view device = std::string_view(flags.device).substr(0, flags.device.find(':'));
  if (device != "auto" && device != "cpu" && device != "cuda" && device != "vulkan")
    return wrong("--device (--target) " + flags.device +
                 " is not there yet in this version; auto, cpu, cuda and vulkan are");
  if (flags.quiet)
    set_log_level(LogLevel::kError);
  ModelOptions out;
  out.device = flags.device;
  if (flags.threads < 0 || flags.threads > 1024)
    return wrong("--threads must be from 0 to 1024");
  out.threads = static_cast<int>(flags.threads);
  if (flags.cpu_tiers.size() > 1)
    return wrong("--cpu-tier: one tier can be forced, not several");
  out.cpu_tier = flags.cpu_tiers.empty() ? "" : flags.cpu_tiers[0];
  out.gpu_tier = flags.gpu_tier;
  out.kv_cache_dtype = flags.kv_cache_dtype;
  out.verify_weights = flags.verify_weights;
  out.self_test = !flags.no_self_test;
  EngineOptions &engine = out.engine;
  for (auto [value, name, to] : {std::tuple{flags.max_model_len, "--max-model-len", &engine.max_model_len},
                                 std::tuple{flags.max_num_batched_tokens, "--max-num-batched-tokens",
                                            &engine.max_num_batched_tokens},
                                 std::tuple{flags.max_num_seqs, "--max-num-seqs", &engine.max_num_seqs},
                                 std::tuple{flags.kv_cache_memory_bytes, "--kv-cache-memory-bytes",
                                            &engine.kv_cache_bytes},
                                 std::tuple{flags.kv_pages, "--kv-pages", &engine.kv_pages},
                                 std::tuple{flags.max_queue, "--max-queue", &engine.max_queue}}) {
    if (value < 0)
      return wrong(std::string(name) + " must not be negative");
    *to = value;
  }
  if (!(flags.max_itl_ms >= 0 && flags.max_itl_ms <= 1e6))
    return wrong("--max-itl-ms must be from 0 (off) to 1000000");
  engine.max_itl_seconds = flags.max_itl_ms / 1e3;
  engine.prefix_caching = flags.prefix_caching;
  if (flags.scheduling_policy == "priority")
    engine.policy = SchedulingPolicy::kPriority;
  else if (flags.scheduling_policy != "fcfs")
    return wrong("--scheduling-policy is fcfs or priority, not " + flags.scheduling_policy);
  if (flags.admission == "predicted")
    engine.admission = Admission::kPredicted;
  else if (flags.admission != "optimistic")
    return wrong("--admission is optimistic or predicted, not " + flags.admission);
  return out;
}

int open_model(const ModelOptions &options, std::unique_ptr<Model> *model) {
  Result<std::unique_ptr<Model>> opened = Model::open(options);
  if (opened.ok()) {
    *model = std::move(*opened);
    return kOk;
  }
  fail(opened.status());
  return opened.status().code() == StatusCode::kInvalidArgument ? kUsage : kError;
}

Status open_for_rows(ModelOptions &options) {
  static constexpr int64_t kRowBytes = 256 << 20; // of a step's logits, at most
  OpenOptions open_options;
  open_options.verify_weights = options.verify_weights;
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options.path, open_options);
  if (!artifact.ok())
    return artifact.status();
  options.artifact = *artifact;
  const schema::Model &meta = *(*artifact)->meta().model();
  int64_t tokens = options.engine.max_num_batched_tokens;
  tokens = tokens > 0 ? tokens : static_cast<int64_t>(meta.default_max_num_batched_tokens());
  int64_t fit = kRowBytes / (int64_t(sizeof(float)) * std::max<int64_t>(meta.vocabulary(), 1));
  options.engine.max_rows = std::max<int64_t>(1, std::min(tokens, fit));
  return ok_status();
}

} // namespace llmrt::tool
