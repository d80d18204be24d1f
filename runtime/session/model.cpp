#include "runtime/session/model.h"

#include "runtime/artifact/random_weights.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/schema/artifact_generated.h"
#include "runtime/session/pick_device.h"
#include "runtime/text/tokenizer_verify.h"
#include "runtime/weights/random_weights.h"

#include <ctime>

namespace llmrt {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const flatbuffers::String *string) { return string ? string->str() : std::string(); }

// bf16 and bfloat16 are the same wish.
std::string_view short_dtype(std::string_view name) {
  if (name == "float32" || name == "float")
    return "f32";
  if (name == "bfloat16")
    return "bf16";
  return name == "float16" || name == "half" ? "f16" : name;
}

Status check_kv_dtype(const Model &model, const std::string &wanted) {
  if (wanted.empty() || wanted == "auto" || short_dtype(wanted) == short_dtype(model.kv_cache_dtype))
    return ok_status();
  return Status(StatusCode::kInvalidArgument, "--kv-cache-dtype " + wanted + ": this artifact was compiled with " +
                                                  model.kv_cache_dtype +
                                                  "; compile it again with `llmc compile --kv-cache-dtype " + wanted +
                                                  "`");
}

void read_generation(const schema::Model &meta, Model &model) {
  const schema::Generation *generation = meta.generation();
  if (!generation)
    return;
  SamplingParams &defaults = model.defaults;
  defaults.temperature = generation->temperature();
  defaults.top_p = generation->top_p();
  defaults.top_k = generation->top_k();
  defaults.min_p = generation->min_p();
  defaults.repetition_penalty = generation->repetition_penalty();
  if (generation->end_ids())
    model.end_ids.assign(generation->end_ids()->begin(), generation->end_ids()->end());
}

Status read_special_tokens(const schema::Artifact &meta, Model &model) {
  if (!meta.special_tokens_json() || meta.special_tokens_json()->size() == 0)
    return ok_status();
  Json all = Json::parse(meta.special_tokens_json()->begin(), meta.special_tokens_json()->end(), nullptr, false);
  if (!all.is_object())
    return Status(StatusCode::kCorrupt, "special_tokens_json of " + model.artifact->path() + " is not a JSON object");
  for (auto it = all.begin(); it != all.end(); ++it)
    if (it->is_string()) // only strings: copies of it must not recurse without bound
      model.special_tokens[it.key()] = it->get<std::string>();
  return ok_status();
}

Status read_text_parts(const ModelOptions &options, Model &model) {
  const schema::Artifact &meta = model.artifact->meta();
  if (meta.tokenizer()) {
    if (Status status = verify_tokenizer(*meta.tokenizer(), meta.model()->vocabulary()); !status.ok())
      return status;
    Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::create(*meta.tokenizer());
    if (!tokenizer.ok())
      return tokenizer.status();
    model.tokenizer = std::move(*tokenizer);
  }
  std::string source = options.chat_template;
  if (source.empty() && meta.chat_templates())
    for (const schema::ChatTemplate *entry : *meta.chat_templates())
      if (text_of(entry->name()) == "default")
        source = text_of(entry->source());
  if (!source.empty()) {
    Result<std::unique_ptr<ChatTemplate>> parsed = ChatTemplate::parse(source);
    if (parsed.ok()) {
      model.chat_template = std::move(*parsed);
      model.chat_template_source = source;
    } else if (!options.chat_template.empty()) {
      return Status(StatusCode::kInvalidArgument, "--chat-template: " + parsed.status().message());
    } else {
      model.chat_template_error = parsed.status().message(); // completions still work
    }
  }
  return read_special_tokens(meta, model);
}

// Weights that the file does not have, for whoever computes with them.
Status make_weights(const ModelOptions &options, Model &model) {
  if (random_weight_bytes(model.artifact->meta()) == 0)
    return ok_status();
  if (!&llmrt_random_weights)
    return Status(StatusCode::kUnsupported, model.artifact->path() + " was compiled with --weights-at-load, and this "
                                            "program was linked without what makes weights: link it with "
                                            "-Wl,-u,llmrt_random_weights");
  int threads = options.threads > 0 ? options.threads : os::usable_cpus();
  Result<std::shared_ptr<const Artifact>> made = llmrt_random_weights.make(model.artifact, threads);
  if (!made.ok())
    return made.status();
  model.artifact = *std::move(made);
  return options.verify_weights ? verify_weights(*model.artifact, true) : ok_status();
}

Status make_engine(const ModelOptions &options, Model &model) {
  if (Status status = make_weights(options, model); !status.ok())
    return status;
  Result<OpenDevice> device = open_device(options, model.artifact);
  if (!device.ok())
    return device.status();
  model.device = device->name;
  model.cpu_tier = device->cpu_tier;
  model.threads = device->threads;
  Result<std::unique_ptr<Engine>> engine = Engine::create(model.artifact, std::move(device->device), options.engine);
  if (!engine.ok())
    return engine.status();
  model.engine = std::move(*engine);
  return ok_status();
}

} // namespace

std::string model_id_of_path(std::string_view path) {
  size_t slash = path.find_last_of('/');
  std::string_view name = slash == path.npos ? path : path.substr(slash + 1);
  static constexpr std::string_view kExtension = ".fbs";
  if (name.size() > kExtension.size() && name.substr(name.size() - kExtension.size()) == kExtension)
    name.remove_suffix(kExtension.size());
  return std::string(name);
}

Result<std::unique_ptr<Model>> Model::open(const ModelOptions &options) {
  uint64_t start = os::monotonic_ns();
  auto model = std::make_unique<Model>();
  model->artifact = options.artifact;
  if (!model->artifact) {
    OpenOptions open_options;
    open_options.verify_weights = options.verify_weights;
    Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options.path, open_options);
    if (!artifact.ok())
      return artifact.status();
    model->artifact = *artifact;
  }
  model->id = model_id_of_path(options.path);
  model->root_hash = to_hex(model->artifact->root_hash());
  model->created = std::time(nullptr);
  const schema::Artifact &meta = model->artifact->meta();
  model->vocabulary = meta.model()->vocabulary();
  model->begin_id = meta.model()->begin_id();
  model->kv_cache_dtype = text_of(meta.model()->kv_cache_dtype());
  if (meta.cache_groups() && meta.cache_groups()->size() > 0)
    model->page_tokens = static_cast<int32_t>(meta.cache_groups()->Get(0)->page_tokens());
  read_generation(*meta.model(), *model);
  if (Status status = check_kv_dtype(*model, options.kv_cache_dtype); !status.ok())
    return status;
  if (Status status = read_text_parts(options, *model); !status.ok())
    return status;
  if (model->tokenizer)
    model->grammars = std::make_unique<GrammarStore>(*model->tokenizer, model->vocabulary, model->end_ids);
  if (!options.text_only)
    if (Status status = make_engine(options, *model); !status.ok())
      return status;
  model->load_ms = static_cast<double>(os::monotonic_ns() - start) / 1e6;
  return model;
}

Status Model::need_tokenizer() const {
  if (tokenizer)
    return ok_status();
  return Status(StatusCode::kUnsupported, "the artifact " + id + " has no tokenizer, so text cannot go in or out of "
                                          "it; compile it from a folder with a tokenizer.json, or use token ids");
}

Status Model::need_chat_template() const {
  if (chat_template)
    return ok_status();
  if (!chat_template_error.empty())
    return Status(StatusCode::kUnsupported, "the chat template of " + id + " cannot be used: " + chat_template_error +
                                                "; give another one with --chat-template");
  return Status(StatusCode::kUnsupported,
                "the model " + id + " has no chat template; start the server with --chat-template FILE");
}

Result<std::string> Model::render_chat(const Json &variables) const {
  if (Status status = need_chat_template(); !status.ok())
    return status;
  Json all = special_tokens;
  for (auto it = variables.begin(); it != variables.end(); ++it)
    all[it.key()] = it.value();
  return chat_template->render(all);
}

} // namespace llmrt
