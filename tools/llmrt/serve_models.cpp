#include "tools/llmrt/serve_models.h"

#include "runtime/artifact/random_weights.h"
#include "runtime/base/os.h"
#include "runtime/base/text.h"
#include "runtime/server/model_folder.h"
#include "tools/llmrt/model_memory.h"
#include "tools/llmrt/weight_check.h"

#include <algorithm>

namespace llmrt::tool {

namespace {

using server::ModelSource;

Status wrong(std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); }

// A file, or the template itself on one line, as vLLM takes it.
Result<std::string> read_template(const std::string &given) {
  if (given.empty())
    return std::string();
  Result<std::string> source = read_text(given);
  if (!source.ok() && given.find('{') == given.npos)
    return wrong("--chat-template: " + source.status().message());
  return source.ok() ? source : given;
}

bool is_among(const std::vector<ModelSource> &sources, const std::string &name) {
  return std::any_of(sources.begin(), sources.end(), [&](const ModelSource &one) { return one.name == name; });
}

} // namespace

void add_serve_model_flags(Flags &flags, ServeModelFlags &to) {
  flags.positionals("FILE", to.files, "the artifacts");
  flags.texts("-m,--model", to.more, "an artifact, instead of FILE; may be repeated");
  flags.flag("-q,--quiet", to.model.quiet, "no progress, no notices");
  flags.text("--models-dir", to.folder, "a folder of artifacts, each loaded when a request names it");
  flags.number("--model-idle-seconds", to.idle_seconds,
               "a model that nobody has used for so long is unloaded until a request names it; 0: never");
  flags.texts("--model-kv-cache-memory-bytes", to.kv_bytes,
              "NAME=BYTES: of that model, instead of --kv-cache-memory-bytes, which is of each; may be repeated");
  flags.texts("--served-model-name", to.names, "names of the model instead of the file's; may be repeated");
  flags.text("--chat-template", to.chat_template, "a .jinja file instead of the artifact's template");
  add_engine_flags(flags, to.model);
}

Result<ServedOptions> ServedOptions::read(const ServeModelFlags &flags) {
  ServedOptions out;
  Result<ModelOptions> shared = engine_options(flags.model);
  if (!shared.ok())
    return shared.status();
  out.shared_ = std::move(*shared);
  out.shared_.engine.hidden_states = true; // /v1/embeddings
  if (!(flags.idle_seconds >= 0 && flags.idle_seconds <= 1e9))
    return wrong("--model-idle-seconds must be from 0 (never) to 1000000000");
  out.idle_seconds_ = flags.idle_seconds;
  if (Status status = out.read_files(flags); !status.ok())
    return status;
  if (Status status = out.read_budgets(flags); !status.ok())
    return status;
  Result<std::string> source = read_template(flags.chat_template);
  if (!source.ok())
    return source.status();
  out.chat_template_ = std::move(*source);
  out.start_available_ = static_cast<int64_t>(os::available_memory());
  return out;
}

Status ServedOptions::read_files(const ServeModelFlags &flags) {
  std::vector<std::string> paths = flags.files;
  paths.insert(paths.end(), flags.more.begin(), flags.more.end());
  folder_ = flags.folder;
  if (paths.empty() && folder_.empty())
    return wrong("which artifact? give its FILE, or --models-dir");
  for (const std::string &path : paths) {
    const std::string name = model_id_of_path(path);
    if (is_among(files_, name))
      return wrong("two of the files would be the model `" + name + "`: rename one");
    files_.push_back({name, path, {}});
  }
  if (paths.size() != 1 && !flags.names.empty())
    return wrong("--served-model-name is for one FILE; several are called by their files' names");
  if (paths.size() != 1 && !flags.chat_template.empty())
    return wrong("--chat-template is for one FILE; several have the templates they were compiled with");
  if (paths.size() == 1)
    files_[0].served_names = flags.names;
  return ok_status();
}

Result<std::vector<ModelSource>> ServedOptions::sources() const {
  std::vector<ModelSource> out = files_;
  if (folder_.empty())
    return out;
  Result<std::vector<server::FolderModel>> found = server::list_models(folder_);
  if (!found.ok())
    return wrong("--models-dir: " + found.status().message());
  for (const server::FolderModel &one : *found)
    if (one.problem.empty() && !is_among(files_, one.name))
      out.push_back({one.name, one.path, {}});
  return out;
}

Status ServedOptions::read_budgets(const ServeModelFlags &flags) {
  Result<std::vector<ModelSource>> known = sources();
  if (!known.ok())
    return known.status();
  for (const std::string &given : flags.kv_bytes) {
    size_t equals = given.rfind('=');
    int64_t bytes = 0;
    if (equals == given.npos || !parse_count(std::string_view(given).substr(equals + 1), bytes) || bytes <= 0)
      return wrong("--model-kv-cache-memory-bytes " + given + ": must be NAME=BYTES, as in small=512M");
    std::string name = given.substr(0, equals);
    if (!is_among(*known, name))
      return wrong("--model-kv-cache-memory-bytes " + given + ": there is no model `" + name + "`");
    kv_bytes_.emplace_back(std::move(name), bytes);
  }
  return ok_status();
}

ModelOptions ServedOptions::options_for(const ModelSource &source) const {
  ModelOptions out = shared_;
  out.path = source.path;
  if (files_.size() == 1 && files_[0].name == source.name)
    out.chat_template = chat_template_;
  for (const auto &[name, bytes] : kv_bytes_)
    if (name == source.name) {
      out.engine.kv_cache_bytes = bytes;
      out.engine.kv_pages = 0;
    }
  return out;
}

Result<std::vector<ModelOptions>> ServedOptions::all() const {
  Result<std::vector<ModelSource>> known = sources();
  if (!known.ok())
    return known.status();
  std::vector<ModelOptions> out;
  for (const ModelSource &source : *known)
    out.push_back(options_for(source));
  return out;
}

// Memory is taken page by page when it is touched, so that too much of it is found out late, by the system, which ends
// the process. Promises are what can be checked before.
Status ServedOptions::check_memory(const ModelSource &source, int64_t needed, int64_t kv, int64_t promised) const {
  const int64_t total = static_cast<int64_t>(os::total_memory());
  const bool asked = kv > 0 || shared_.engine.kv_pages > 0;
  if (total <= 0 || needed <= total - promised || (promised == 0 && !asked))
    return ok_status();
  auto readable = [](int64_t bytes) { return format_bytes(static_cast<uint64_t>(bytes)); };
  std::string message = source.name + " needs " + readable(needed) + " of memory, its KV pages included; this machine has " +
                        readable(total);
  if (promised > 0)
    message += ", of which " + readable(promised) + " are promised to the models that are loaded: unload one, or";
  else
    message += ":";
  message += " lower --kv-cache-memory-bytes (or --model-kv-cache-memory-bytes " + source.name + "=BYTES)";
  return Status(needed > total ? StatusCode::kInvalidArgument : StatusCode::kExhausted, std::move(message));
}

Result<server::OpenedModel> ServedOptions::open(const ModelSource &source, int64_t promised_bytes) const {
  ModelOptions options = options_for(source);
  OpenOptions open_options;
  open_options.verify_weights = options.verify_weights;
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(options.path, open_options);
  if (!artifact.ok())
    return artifact.status();
  options.artifact = *artifact;
  server::OpenedModel out;
  out.memory.mapped_bytes = static_cast<int64_t>((*artifact)->bytes().size());
  const bool on_cpu = runs_on_cpu(**artifact, options);
  options.engine.available_bytes =
      available_beside_made(**artifact, available_beside(start_available_, promised_bytes));
  auto measure = [&] {
    Result<MeasuredModel> measured = measure_memory(**artifact, options, options.engine.available_bytes, 0);
    if (!measured.ok())
      return measured.status();
    out.memory.private_bytes = measured->report.private_bytes;
    return check_memory(source, out.memory.private_bytes, options.engine.kv_cache_bytes, promised_bytes);
  };
  out.memory.private_bytes = static_cast<int64_t>(random_weight_bytes((*artifact)->meta()));
  if (Status fits = on_cpu ? measure() : ok_status(); !fits.ok())
    return fits;
  Result<std::unique_ptr<Model>> model = Model::open(options);
  if (!model.ok())
    return model.status();
  const bool gave_way = !on_cpu && (*model)->device == "cpu"; // a GPU whose kernels failed the self-test
  if (Status fits = gave_way ? measure() : ok_status(); !fits.ok())
    return fits;
  out.model = std::move(*model);
  out.memory.kv_bytes = kv_bytes_of(*out.model);
  out.companion = std::make_shared<WeightCheck>(*out.model->artifact, !options.verify_weights);
  return out;
}

server::ModelPoolOptions ServedOptions::pool_options() const {
  server::ModelPoolOptions out;
  out.files = files_;
  out.folder = folder_;
  out.idle_seconds = idle_seconds_;
  out.open = [options = *this](const ModelSource &source, int64_t promised) { return options.open(source, promised); };
  return out;
}

} // namespace llmrt::tool
