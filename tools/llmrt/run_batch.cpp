// llmrt run-batch: OpenAI's batch files (https://platform.openai.com/docs/guides/batch), offline. Answers are appended to
// OUTPUT.part as they come; a run that was interrupted goes on after those, and the file has its name when all are there.
#include "runtime/base/text.h"
#include "runtime/server/json.h"
#include "runtime/session/engine_thread.h"
#include "tools/llmrt/batch_queue.h"
#include "tools/llmrt/common.h"
#include "tools/llmrt/verbs.h"

#include <cstdio>
#include <set>

namespace llmrt::tool {

namespace {

using server::Json;

struct BatchFlags {
  ModelFlags model;
  std::string input, output;
  std::vector<std::string> names;
};

struct Task {
  std::string id, url, body;
};

constexpr const char *kUrls[] = {"/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/embeddings"};

Result<Task> read_task(const std::string &line, size_t number) {
  auto wrong = [&](const std::string &what) {
    return Status(StatusCode::kInvalidArgument, "line " + std::to_string(number) + " of the batch: " + what);
  };
  Result<Json> json = server::parse_json(line);
  if (!json.ok())
    return wrong(json.status().message());
  auto text = [&](const char *name) {
    return json->is_object() && json->contains(name) && (*json)[name].is_string() ? (*json)[name].get<std::string>()
                                                                                  : std::string();
  };
  Task task{text("custom_id"), text("url"), ""};
  if (task.id.empty())
    return wrong("custom_id is missing");
  if (text("method") != "POST")
    return wrong("method must be POST");
  bool known = false;
  for (const char *url : kUrls)
    known |= task.url == url;
  if (!known)
    return wrong("url \"" + task.url + "\" is none that a batch can ask");
  if (!json->contains("body") || !(*json)["body"].is_object())
    return wrong("body must be an object");
  Json &body = (*json)["body"];
  if (body.contains("stream") && body["stream"] != false)
    return wrong("stream is not for batches");
  task.body = server::dump_json(body);
  return task;
}

std::vector<std::string> lines_of(const std::string &text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

Result<std::vector<Task>> read_tasks(const std::string &path) {
  Result<std::string> text = read_text(path);
  if (!text.ok())
    return text.status();
  std::vector<Task> out;
  std::set<std::string> ids;
  size_t number = 0;
  for (const std::string &line : lines_of(*text)) {
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos)
      continue;
    Result<Task> task = read_task(line, number);
    if (!task.ok())
      return task.status();
    if (!ids.insert(task->id).second)
      return Status(StatusCode::kInvalidArgument,
                    "line " + std::to_string(number) + " of the batch: custom_id " + task->id + " came before");
    out.push_back(std::move(*task));
  }
  return out;
}

// What an earlier run has answered. A line that was cut off is not one; the text that counts is returned.
std::string finished_before(const std::string &path, std::set<std::string> &ids) {
  Result<std::string> text = read_text(path);
  if (!text.ok())
    return {};
  std::string kept;
  for (const std::string &line : lines_of(*text)) {
    Result<Json> json = server::parse_json(line);
    if (!json.ok() || !json->is_object() || !json->contains("custom_id") || !(*json)["custom_id"].is_string())
      continue;
    ids.insert((*json)["custom_id"].get<std::string>());
    kept += line + "\n";
  }
  return kept;
}

std::string answer_line(const Task &task, const std::string &request_id, const server::HttpResponse &response) {
  Json body = Json::parse(response.body, nullptr, false);
  Json out{{"id", "batch_req_" + request_id}, {"custom_id", task.id}};
  out["response"] = Json{{"status_code", response.status}, {"request_id", request_id}, {"body", std::move(body)}};
  out["error"] = nullptr;
  return server::dump_json(out) + "\n";
}

class Batch {
public:
  Batch(server::ServerContext &context, FILE *file, std::vector<Task> tasks, size_t most)
      : queue_(context), file_(file), tasks_(std::move(tasks)), most_(most) {}

  // False: interrupted, or the file could not be written.
  bool run() {
    while (done_ < tasks_.size() && !failed_ && !interrupted()) {
      while (next_ < tasks_.size() && on_the_way_ < most_ && !failed_)
        ask(next_++);
      queue_.turn(50);
    }
    return done_ == tasks_.size() && !failed_;
  }
  bool failed() const { return failed_; }
  size_t refused() const { return refused_; }

private:
  void ask(size_t index) {
    server::HttpRequest request;
    request.method = "POST";
    request.path = tasks_[index].url;
    request.body = tasks_[index].body;
    request.request_id = std::to_string(index) + "-" + tasks_[index].id;
    ++on_the_way_;
    queue_.ask(request, [this, index, id = request.request_id](server::HttpResponse response) {
      std::string line = answer_line(tasks_[index], id, response);
      failed_ |= fwrite(line.data(), 1, line.size(), file_) != line.size() || fflush(file_) != 0;
      refused_ += response.status != 200;
      --on_the_way_;
      ++done_;
    });
  }

  BatchQueue queue_;
  FILE *file_;
  std::vector<Task> tasks_;
  size_t most_, next_ = 0, on_the_way_ = 0, done_ = 0, refused_ = 0;
  bool failed_ = false;
};

int run_tasks(const BatchFlags &flags, const Model &model, EngineThread &engine, std::vector<Task> tasks,
              const std::string &part) {
  std::set<std::string> finished;
  std::string kept = finished_before(part, finished);
  const size_t all = tasks.size();
  std::erase_if(tasks, [&](const Task &task) { return finished.count(task.id) > 0; });
  if (tasks.size() < all)
    fprintf(stderr, "llmrt: %zu of %zu are in %s already\n", all - tasks.size(), all, part.c_str());
  FILE *file = fopen(part.c_str(), "w");
  if (!file || fwrite(kept.data(), 1, kept.size(), file) != kept.size() || fflush(file) != 0) {
    if (file)
      fclose(file);
    return fail("cannot write " + part);
  }
  server::ServerConfig config;
  config.served_model_names = flags.names;
  server::ServerContext context(config);
  context.models.adopt(model, flags.names);
  Batch batch(context, file, std::move(tasks), static_cast<size_t>(2 * model.engine->limits().sequences));
  bool complete = batch.run();
  Status stopped = engine.stop(false); // before the queue goes that its events are posted to
  bool closed = fclose(file) == 0;
  if (!stopped.ok())
    return fail(stopped);
  if (batch.failed() || !closed)
    return fail("cannot write " + part);
  if (!complete)
    return fail("interrupted; the same command goes on where this one stopped");
  if (std::rename(part.c_str(), flags.output.c_str()) != 0)
    return fail("cannot rename " + part + " to " + flags.output);
  fprintf(stderr, "%zu answers in %s, %zu of them errors\n", all, flags.output.c_str(), batch.refused());
  return kOk;
}

int run_batch(const BatchFlags &flags) {
  Result<ModelOptions> options = model_options(flags.model);
  if (!options.ok())
    return usage(options.status().message());
  if (flags.input.empty() || flags.output.empty())
    return usage("give -i, the file of requests, and -o, the file of answers");
  Result<std::vector<Task>> tasks = read_tasks(flags.input);
  if (!tasks.ok())
    return fail(tasks.status());
  catch_interrupts();
  std::unique_ptr<Model> model;
  if (int code = open_model(*options, &model); code != kOk)
    return code;
  Result<std::unique_ptr<EngineThread>> engine = EngineThread::start(*model->engine);
  if (!engine.ok())
    return fail(engine.status());
  int code = run_tasks(flags, *model, **engine, std::move(*tasks), flags.output + ".part");
  return code != kOk && was_sigint() ? kInterrupted : code;
}

} // namespace

std::function<int()> setup_run_batch(Flags &flags) {
  auto to = std::make_shared<BatchFlags>();
  add_model_flags(flags, to->model);
  flags.text("-i,--input-file", to->input, "requests, a JSON object a line");
  flags.text("-o,--output-file", to->output, "answers, a JSON object a line");
  flags.texts("--served-model-name", to->names, "names that the requests may use instead of the file's");
  return [to] { return run_batch(*to); };
}

} // namespace llmrt::tool
