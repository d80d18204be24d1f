#include "runtime/capi/handles.h"

#include <cstdio>

using namespace llmrt;
using namespace llmrt::capi;

static constexpr int64_t kLogitRows = 16;

llmrt::Status llmrt_model::step() {
  if (thread)
    return Status(StatusCode::kUnsupported, "the model runs its own steps; open it with manual_steps = 1 to do that");
  return model->engine->step().status();
}

static_assert(int(LoadMode::kAuto) == LLMRT_CODE_AUTO && int(LoadMode::kMapFile) == LLMRT_CODE_MAP &&
              int(LoadMode::kCopy) == LLMRT_CODE_COPY && int(LoadMode::kStatic) == LLMRT_CODE_STATIC);

static ModelOptions options_of(std::string path, const llmrt_open_options &options) {
  ModelOptions out;
  out.path = std::move(path);
  out.threads = options.threads;
  if (options.cpu_tier)
    out.cpu_tier.assign(options.cpu_tier, options.cpu_tier_length);
  out.verify_weights = options.verify_weights != 0;
  out.self_test = options.no_self_test == 0;
  out.kernels = options.kernels;
  out.load_mode = static_cast<LoadMode>(options.code_loading);
  out.engine.max_model_len = options.max_model_len;
  out.engine.max_num_batched_tokens = options.max_num_batched_tokens;
  out.engine.max_num_seqs = options.max_num_seqs;
  out.engine.kv_cache_bytes = options.kv_cache_memory_bytes;
  out.engine.prefix_caching = options.disable_prefix_caching == 0;
  out.engine.hidden_states = options.embeddings != 0;
  out.engine.max_rows = options.max_logit_rows > 0 ? options.max_logit_rows : kLogitRows;
  return out;
}

extern "C" llmrt_code llmrt_open(const char *path, size_t path_length, const llmrt_open_options *options,
                                 llmrt_model **model, llmrt_error *error) {
  return guarded(error, [&] {
    if (!path || !model)
      return missing("path and model", error);
    *model = nullptr;
    llmrt_open_options known{};
    if (!read_struct(options, &known))
      return unsized("options", error);
    if (known.code_loading < LLMRT_CODE_AUTO || known.code_loading > LLMRT_CODE_STATIC)
      return report(LLMRT_INVALID_ARGUMENT, "options->code_loading is not an llmrt_code_loading", error);
    Result<std::unique_ptr<Model>> opened = Model::open(options_of(std::string(path, path_length), known));
    if (!opened.ok())
      return report(opened.status(), error);
    auto handle = std::make_unique<llmrt_model>();
    handle->model = std::move(*opened);
    if (!known.manual_steps) {
      Result<std::unique_ptr<EngineThread>> thread = EngineThread::start(*handle->model->engine);
      if (!thread.ok())
        return report(thread.status(), error);
      handle->thread = std::move(*thread);
    }
    *model = handle.release();
    return LLMRT_OK;
  });
}

extern "C" void llmrt_close(llmrt_model *model) {
  if (!model)
    return;
  if (model->thread)
    (void)model->thread->stop(false).ok();
  delete model;
}

extern "C" llmrt_code llmrt_get_model_info(const llmrt_model *model, llmrt_model_info *info, llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || !info)
      return missing("model and info", error);
    llmrt_model_info out{};
    out.vocabulary = model->model->vocabulary;
    out.max_model_len = model->model->engine->max_model_len();
    out.begin_id = model->model->begin_id;
    out.embedding_size = model->model->engine->hidden_width();
    out.has_tokenizer = model->model->tokenizer != nullptr;
    out.has_chat_template = model->model->chat_template != nullptr;
    snprintf(out.root_hash, sizeof out.root_hash, "%s", model->model->root_hash.c_str());
    if (!write_struct(out, info))
      return unsized("info", error);
    return LLMRT_OK;
  });
}

extern "C" llmrt_code llmrt_get_default_sampling(const llmrt_model *model, llmrt_sampling *sampling,
                                                 llmrt_error *error) {
  return guarded(error, [&] {
    if (!model || !sampling)
      return missing("model and sampling", error);
    const SamplingParams &defaults = model->model->defaults;
    llmrt_sampling out{};
    out.temperature = defaults.temperature;
    out.top_p = defaults.top_p;
    out.min_p = defaults.min_p;
    out.top_k = defaults.top_k;
    out.repetition_penalty = defaults.repetition_penalty;
    out.presence_penalty = defaults.presence_penalty;
    out.frequency_penalty = defaults.frequency_penalty;
    out.logprobs = -1;
    if (!write_struct(out, sampling))
      return unsized("sampling", error);
    return LLMRT_OK;
  });
}
