// The models of one server: which there are, which are loaded, who uses them. A model is loaded when the server starts or
// when somebody asks for it, each with an engine and an engine thread of its own, and unloaded when somebody says so or
// nobody has asked for a while. A request holds a lease on its model from its first to its last use of it: a model goes
// only when no lease is left, so that nothing refers to what is gone.
#pragma once

#include "runtime/base/os.h"
#include "runtime/server/metrics.h"
#include "runtime/server/model_folder.h"
#include "runtime/session/engine_thread.h"
#include "runtime/session/model.h"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace llmrt::server {

enum class ModelState { kUnloaded, kLoading, kLoaded, kUnloading };
const char *name_of(ModelState state);

struct ModelSource {
  std::string name; // the file's, without .fbs
  std::string path;
  std::vector<std::string> served_names; // what clients call it; none: its name
};

struct ModelMemory {
  int64_t mapped_bytes = 0;  // the artifact: shared and read-only
  int64_t private_bytes = 0; // all that it takes beside that; 0 where this is not known
  int64_t kv_bytes = 0;      // the part of it that is KV pages
};

struct OpenedModel {
  std::unique_ptr<Model> model;
  ModelMemory memory;
  std::shared_ptr<void> companion; // goes before the model
};

struct ModelPoolOptions {
  std::vector<ModelSource> files; // loaded when the pool starts
  std::string folder;             // more of them, loaded when asked for; empty: none
  double idle_seconds = 0;        // unused for that long: unloaded; 0: never
  double unload_seconds = 10;     // how long running requests may go on in a model that is to go
  // Called by one thread at a time. `promised_bytes`: ModelMemory::private_bytes of all that are loaded.
  std::function<Result<OpenedModel>(const ModelSource &, int64_t promised_bytes)> open;
};

// What a lease is on; as long as it is held all of this stays.
struct ServedModel {
  const Model *model = nullptr;
  ModelMetrics *metrics = nullptr;
};
using ModelLease = std::shared_ptr<const ServedModel>;

// For people and for /v1/models.
struct ModelView {
  std::string id;
  std::vector<std::string> names;
  ModelState state = ModelState::kUnloaded;
  std::string error;                                     // of the last time that it was loaded; empty: it went well
  int64_t max_model_len = 0, vocabulary = 0, created = 0; // 0: it was not loaded yet
  std::string device; // this and what follows: of a loaded one
  ModelMemory memory;
  EngineStats stats;
  double idle_seconds = 0; // 0: in use
};

class ModelPool {
public:
  ModelPool();
  ~ModelPool();
  ModelPool(const ModelPool &) = delete;
  ModelPool &operator=(const ModelPool &) = delete;

  // Loads the files one after the other; the pool is ready when all of them are. The first error ends it, with the code
  // that Model::open() gave.
  Status start(ModelPoolOptions options);
  // A model that somebody else owns and runs, and that stays until the end; the pool is ready.
  void adopt(const Model &model, std::vector<std::string> names);
  bool ready() const;

  // A lease on the model of that name, or on the only one where the name is empty; null: it is not loaded, see wait().
  // kNotFound: there is no such model; kInvalidArgument: which one?
  Result<ModelLease> get(const std::string &name);
  // Of a model that is loaded if there is one, else of any; empty: there is none.
  std::string any_name() const;
  // Loads the model first if it is not. `then` is called once, perhaps before this returns, else by the pool's thread;
  // kExhausted: too many wait, or there is not enough memory; kCancelled: the server ends.
  void wait(const std::string &name, std::function<void(Result<ModelLease>)> then);
  // One more lease for whoever has one on this model.
  ModelLease hold(const Model &model);
  std::vector<std::string> names_of(const Model &model) const;

  // As wait(), for those who want the model loaded or gone. kInvalidArgument: it is so already.
  void load(const std::string &name, std::function<void(Status)> done);
  void unload(const std::string &name, std::function<void(Status)> done);

  std::vector<ModelView> list(); // reads the folder again
  std::vector<ModelReading> readings(); // of those that have been loaded; valid as long as the pool
  // Why an engine has ended by itself; ok: none has.
  Status failure();

  void drain(); // nothing is loaded any more; those who wait are told
  // Ends the engines and lets go of the models, used or not. Whoever could still use a lease has to be gone by now.
  void stop();

private:
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;
  struct Slot;
  struct Shared;
  using SlotPtr = std::shared_ptr<Slot>;

  void refresh();
  void refresh_unless_known(const std::string &name);
  void merge(const std::vector<FolderModel> &found);
  Result<SlotPtr> find(const std::string &name);
  SlotPtr known(const std::string &name) const;
  std::string all_names() const;
  ModelLease lease(const SlotPtr &slot, bool uses) const;
  Status enqueue(Slot &slot, std::function<void(Result<ModelLease>)> then);

  void run();
  bool turn(Lock &lock);
  Clock::time_point next_turn() const;
  Status load_now(const SlotPtr &slot, Lock &lock);
  void begin_unload(Slot &slot);
  static void close(Slot &slot);
  void stop_engine(const SlotPtr &slot, Lock &lock);
  void finish_unload(const SlotPtr &slot, Lock &lock);

  std::shared_ptr<Shared> shared_; // leases outlive the pool by a moment
  os::Thread thread_;
};

} // namespace llmrt::server
