#include "runtime/server/model_pool.h"

#include "runtime/base/log.h"
#include "runtime/server/model_pool_state.h"

#include <algorithm>

namespace llmrt::server {

namespace {

constexpr size_t kMaxWaiting = 4096; // requests for one model that is being loaded
constexpr size_t kNamesInMessages = 16;

Status ending() { return Status(StatusCode::kCancelled, "no model is loaded any more"); }

} // namespace

const char *name_of(ModelState state) {
  static constexpr const char *kNames[] = {"unloaded", "loading", "loaded", "unloading"};
  return kNames[static_cast<int>(state)];
}

void add_counters(EngineStats &to, const EngineStats &from) {
  to.prompt_tokens += from.prompt_tokens;
  to.generation_tokens += from.generation_tokens;
  to.preemptions += from.preemptions;
  to.prefix_queries += from.prefix_queries;
  to.prefix_hits += from.prefix_hits;
  to.steps += from.steps;
  to.step_tokens += from.step_tokens;
  to.sampled_rows += from.sampled_rows;
  to.candidate_rows += from.candidate_rows;
  to.itl_limit_missed += from.itl_limit_missed;
  for (size_t i = 0; i < to.steps_by_tokens.size(); ++i)
    to.steps_by_tokens[i] += from.steps_by_tokens[i];
}

ModelPool::ModelPool() : shared_(std::make_shared<Shared>()) {}

ModelPool::~ModelPool() { stop(); }

void ModelPool::adopt(const Model &model, std::vector<std::string> names) {
  auto slot = std::make_shared<Slot>();
  slot->source.name = model.id;
  slot->names = names.empty() ? std::vector<std::string>{model.id} : std::move(names);
  slot->state = ModelState::kLoaded;
  slot->was_loaded = true;
  slot->max_model_len = model.engine->max_model_len();
  slot->vocabulary = model.vocabulary;
  slot->created = model.created;
  slot->page_tokens = model.page_tokens;
  slot->cache_dtype = model.kv_cache_dtype;
  slot->served = {&model, &slot->metrics};
  slot->last_used = Clock::now();
  std::lock_guard lock(shared_->mutex);
  shared_->slots.push_back(std::move(slot));
  shared_->ready = true;
}

bool ModelPool::ready() const {
  std::lock_guard lock(shared_->mutex);
  return shared_->ready;
}

// Reads the folder; not under the lock, for a folder may be far away.
void ModelPool::refresh() {
  if (shared_->options.folder.empty())
    return;
  Result<std::vector<FolderModel>> found = list_models(shared_->options.folder);
  if (!found.ok())
    return log(LogLevel::kWarning, "--models-dir: " + found.status().message());
  std::lock_guard lock(shared_->mutex);
  merge(*found);
}

void ModelPool::refresh_unless_known(const std::string &name) {
  {
    std::lock_guard lock(shared_->mutex);
    if (name.empty() || known(name))
      return;
  }
  refresh();
}

// ---- finding; all under the lock ---------------------------------------------------------------------------------------
ModelPool::SlotPtr ModelPool::known(const std::string &name) const {
  for (const SlotPtr &slot : shared_->slots)
    if (std::find(slot->names.begin(), slot->names.end(), name) != slot->names.end())
      return slot;
  return nullptr;
}

std::string ModelPool::all_names() const {
  std::string out;
  const auto &slots = shared_->slots;
  for (size_t i = 0; i < std::min(slots.size(), kNamesInMessages); ++i)
    out += (i ? ", `" : "`") + slots[i]->names.front() + "`";
  return slots.size() > kNamesInMessages ? out + " and more, see /v1/models" : out;
}

// A file of the command line comes before one of the same name in the folder. What was loaded once stays in the list:
// its counters do.
void ModelPool::merge(const std::vector<FolderModel> &found) {
  auto &slots = shared_->slots;
  auto is_there = [&](const Slot &slot) {
    return std::any_of(found.begin(), found.end(),
                       [&](const FolderModel &one) { return one.name == slot.source.name && one.problem.empty(); });
  };
  std::erase_if(slots, [&](const SlotPtr &slot) {
    return slot->from_folder && !slot->was_loaded && slot->state == ModelState::kUnloaded && slot->waiting.empty() &&
           !is_there(*slot);
  });
  shared_->problems.clear();
  for (const FolderModel &one : found) {
    if (!one.problem.empty()) {
      shared_->problems[one.name] = one.problem;
    } else if (!known(one.name)) {
      auto slot = std::make_shared<Slot>();
      slot->source = {one.name, one.path, {}};
      slot->from_folder = true;
      slot->names = {one.name};
      slots.push_back(std::move(slot));
    }
  }
}

Result<ModelPool::SlotPtr> ModelPool::find(const std::string &name) {
  if (!name.empty()) {
    if (SlotPtr slot = known(name))
      return slot;
    if (auto problem = shared_->problems.find(name); problem != shared_->problems.end())
      return Status(StatusCode::kUnsupported, "The model `" + name + "` cannot be used: " + problem->second);
    return Status(StatusCode::kNotFound, "The model `" + name + "` does not exist; this server has " +
                                             (shared_->slots.empty() ? "none" : all_names()) + ".");
  }
  const auto &slots = shared_->slots;
  auto in_folder = [](const SlotPtr &slot) { return slot->from_folder; };
  auto named = slots.size() - static_cast<size_t>(std::count_if(slots.begin(), slots.end(), in_folder));
  if (named == 1 || slots.size() == 1)
    return slots.front();
  if (slots.empty())
    return Status(StatusCode::kNotFound, "this server has no model: put one into its --models-dir");
  return Status(StatusCode::kInvalidArgument, "model is missing; this server has several: " + all_names());
}

// ---- leases ------------------------------------------------------------------------------------------------------------
// `uses`: it counts as a use of the model when it ends.
ModelLease ModelPool::lease(const SlotPtr &slot, bool uses) const {
  ++slot->leases;
  return ModelLease(&slot->served, [shared = shared_, slot, uses](const ServedModel *) {
    std::lock_guard lock(shared->mutex);
    --slot->leases;
    if (uses)
      slot->last_used = Clock::now();
    if (slot->leases == 0 && (slot->state == ModelState::kUnloading || shared->options.idle_seconds > 0))
      shared->changed.notify_all();
  });
}

Result<ModelLease> ModelPool::get(const std::string &name) {
  refresh_unless_known(name);
  std::lock_guard lock(shared_->mutex);
  Result<SlotPtr> slot = find(name);
  if (!slot.ok())
    return slot.status();
  return (*slot)->state == ModelState::kLoaded ? lease(*slot, true) : ModelLease();
}

std::string ModelPool::any_name() const {
  std::lock_guard lock(shared_->mutex);
  for (const SlotPtr &slot : shared_->slots)
    if (slot->state == ModelState::kLoaded)
      return slot->names.front();
  return shared_->slots.empty() ? std::string() : shared_->slots.front()->names.front();
}

Status ModelPool::enqueue(Slot &slot, std::function<void(Result<ModelLease>)> then) {
  if (shared_->draining || shared_->stopping)
    return ending();
  if (slot.waiting.size() >= kMaxWaiting)
    return Status(StatusCode::kExhausted,
                  "too many requests wait for the model `" + slot.names.front() + "` to be loaded");
  slot.waiting.push_back(std::move(then));
  shared_->changed.notify_all();
  return ok_status();
}

void ModelPool::wait(const std::string &name, std::function<void(Result<ModelLease>)> then) {
  refresh_unless_known(name);
  Result<ModelLease> now = ModelLease();
  {
    std::lock_guard lock(shared_->mutex);
    Result<SlotPtr> slot = find(name);
    if (!slot.ok())
      now = slot.status();
    else if ((*slot)->state == ModelState::kLoaded)
      now = lease(*slot, true);
    else if (Status status = enqueue(**slot, then); !status.ok())
      now = status;
    else
      return;
  }
  then(std::move(now));
}

ModelLease ModelPool::hold(const Model &model) {
  std::lock_guard lock(shared_->mutex);
  for (const SlotPtr &slot : shared_->slots)
    if (slot->served.model == &model)
      return lease(slot, true);
  return nullptr;
}

std::vector<std::string> ModelPool::names_of(const Model &model) const {
  std::lock_guard lock(shared_->mutex);
  for (const SlotPtr &slot : shared_->slots)
    if (slot->served.model == &model)
      return slot->names;
  return {model.id};
}

// ---- asked for by name -------------------------------------------------------------------------------------------------
void ModelPool::load(const std::string &name, std::function<void(Status)> done) {
  refresh_unless_known(name);
  Status status;
  {
    std::lock_guard lock(shared_->mutex);
    Result<SlotPtr> slot = find(name);
    if (!slot.ok())
      status = slot.status();
    else if ((*slot)->state == ModelState::kLoaded)
      status = Status(StatusCode::kInvalidArgument, "the model `" + name + "` is loaded already");
    else if (status = enqueue(**slot, [done](Result<ModelLease> lease) { done(lease.status()); }); status.ok())
      return;
  }
  done(std::move(status));
}

void ModelPool::unload(const std::string &name, std::function<void(Status)> done) {
  refresh_unless_known(name);
  Status status;
  {
    std::lock_guard lock(shared_->mutex);
    Result<SlotPtr> found = find(name);
    Slot *slot = found.ok() ? found->get() : nullptr;
    if (!slot)
      status = found.status();
    else if (slot->state == ModelState::kUnloaded && slot->waiting.empty())
      status = Status(StatusCode::kInvalidArgument, "the model `" + name + "` is not loaded");
    else if (slot->state == ModelState::kLoaded && !slot->thread)
      status = Status(StatusCode::kUnsupported, "the model `" + name + "` stays as long as this program runs");
    else if (shared_->draining || shared_->stopping)
      status = ending();
    else {
      slot->unloading.push_back(std::move(done));
      if (slot->state == ModelState::kLoaded)
        begin_unload(*slot);
      return;
    }
  }
  done(std::move(status));
}

// ---- shown -------------------------------------------------------------------------------------------------------------
// An engine is asked for its figures outside of the lock: it may be waiting to give a lease back.
std::vector<ModelView> ModelPool::list() {
  std::vector<ModelView> out;
  std::vector<ModelLease> leases;
  refresh();
  {
    std::lock_guard lock(shared_->mutex);
    for (const SlotPtr &slot : shared_->slots) {
      ModelView view;
      view.id = slot->source.name;
      view.names = slot->names;
      view.state = slot->state;
      view.error = slot->error;
      view.max_model_len = slot->max_model_len;
      view.vocabulary = slot->vocabulary;
      view.created = slot->created;
      view.memory = slot->opened.memory;
      if (slot->leases == 0)
        view.idle_seconds = std::chrono::duration<double>(Clock::now() - slot->last_used).count();
      out.push_back(std::move(view));
      leases.push_back(slot->served.model ? lease(slot, false) : nullptr);
    }
  }
  for (size_t i = 0; i < out.size(); ++i)
    if (leases[i]) {
      const Model &model = *leases[i]->model;
      out[i].device = model.device + (model.cpu_tier.empty() ? "" : " " + model.cpu_tier);
      out[i].stats = model.engine->stats();
    }
  return out;
}

std::vector<ModelReading> ModelPool::readings() {
  std::vector<ModelReading> out;
  std::vector<ModelLease> leases;
  {
    std::lock_guard lock(shared_->mutex);
    for (const SlotPtr &slot : shared_->slots)
      if (slot->was_loaded) {
        out.push_back({slot->names.front(), slot->page_tokens, slot->cache_dtype, slot->before, &slot->metrics});
        leases.push_back(slot->served.model ? lease(slot, false) : nullptr);
      }
  }
  for (size_t i = 0; i < out.size(); ++i)
    if (leases[i]) {
      EngineStats now = leases[i]->model->engine->stats();
      add_counters(now, out[i].stats);
      out[i].stats = now;
    }
  return out;
}

} // namespace llmrt::server
