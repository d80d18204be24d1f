#include "runtime/server/testing/fake_model.h"

#include "runtime/base/os.h"
#include "runtime/session/byte_tokenizer.h"

#include <thread>

namespace llmrt::testing {

namespace {

class ListTemplate : public ChatTemplate {
public:
  Result<std::string> render(const nlohmann::ordered_json &variables, const RenderLimits &) const override {
    std::string out;
    for (const auto &message : variables.at("messages")) {
      if (message.at("role") == "error")
        return Status(StatusCode::kInvalidArgument, "the template refuses the role error");
      out += message.at("role").get<std::string>() + ": " +
             (message.at("content").is_string() ? message.at("content").get<std::string>() : "") + ";";
    }
    if (variables.contains("extra"))
      out += variables.at("extra").get<std::string>();
    return variables.at("add_generation_prompt") == true ? out + "assistant: " : out;
  }
};

} // namespace

Result<RequestId> FakeEngine::submit(RequestSpec spec) {
  std::lock_guard lock(mutex_);
  if (stopping_)
    return Status(StatusCode::kCancelled, "the engine has stopped");
  if (static_cast<int64_t>(running_.size()) >= options_.max_queue)
    return Status(StatusCode::kExhausted, "the queue is full");
  prompt_tokens_ += spec.prompt.size();
  const RequestId first = next_id_;
  const int32_t branches = spec.branches;
  for (int32_t branch = 0; branch < branches; ++branch)
    running_[next_id_++] = Running{spec, branch, 0, nullptr};
  changed_.notify_all();
  return first;
}

void FakeEngine::cancel(RequestId id) {
  std::lock_guard lock(mutex_);
  if (running_.erase(id))
    ++cancelled_;
}

// Every token of the prompt is half as likely as the one before.
void FakeEngine::score_prompt(const RequestSpec &spec, Event &event) {
  for (size_t i = 1; i < spec.prompt.size(); ++i) {
    NewToken token;
    token.id = spec.prompt[i];
    token.logprob = -static_cast<float>(i);
    token.rank = 2;
    if (spec.prompt_logprobs > 0)
      token.top.push_back({'Z', -0.25f});
    event.prompt.push_back(std::move(token));
  }
}

// The token that would come if it may, else the end, else the last byte of ASCII that may.
bool FakeEngine::follow(Running &running, int32_t &id, FinishReason &finish, std::string &error) {
  if (!running.match)
    running.match = running.spec.rules->begin();
  Result<std::span<const uint32_t>> mask = running.match->mask();
  auto may = [&](int32_t other) { return ((*mask)[static_cast<size_t>(other) / 32] >> (other % 32) & 1) != 0; };
  if (mask.ok() && !may(id))
    id = kEnd;
  for (int32_t byte = 126; mask.ok() && !may(id) && byte >= 0; --byte)
    id = byte;
  Status status = mask.ok() ? running.match->accept(id) : mask.status();
  if (!status.ok()) {
    finish = FinishReason::kError;
    error = status.message();
    return false;
  }
  if (running.match->finished())
    finish = FinishReason::kStop;
  return true;
}

bool FakeEngine::advance(RequestId id, Running &running) {
  Event event;
  event.id = id;
  event.branch = running.branch;
  const RequestSpec &spec = running.spec;
  if (running.made == 0 && running.branch == 0 && spec.prompt_logprobs >= 0)
    score_prompt(spec, event);
  event.cached_tokens = static_cast<int32_t>(spec.prompt.size() / 2);
  if (spec.deadline_ns > 0 && os::monotonic_ns() > spec.deadline_ns) {
    event.finish = FinishReason::kDeadline;
    spec.on_event(std::move(event));
    return false;
  }
  if (running.made == options_.fail_at_token) {
    event.finish = FinishReason::kError;
    event.error = "the fake engine fails here";
    spec.on_event(std::move(event));
    return false;
  }
  if (spec.max_tokens > 0) {
    NewToken token;
    token.id = spec.prompt[static_cast<size_t>(running.made) % spec.prompt.size()];
    if (spec.rules && !follow(running, token.id, event.finish, event.error)) {
      spec.on_event(std::move(event));
      return false;
    }
    token.logprob = -0.5f / static_cast<float>(1 + running.branch); // later branches are better
    token.rank = 1;
    for (int32_t i = 0; i < spec.sampling.logprobs; ++i)
      token.top.push_back({i == 0 ? token.id : 'A' + i, -0.5f - static_cast<float>(i)});
    event.tokens.push_back(token);
    ++running.made;
    ++generation_tokens_;
    for (int32_t stop : spec.stop_ids)
      if (stop == token.id && running.made > spec.min_tokens)
        event.finish = FinishReason::kStop;
    if (token.id == kEnd && !spec.ignore_eos)
      event.finish = FinishReason::kStop;
  }
  if (event.finish == FinishReason::kNone && running.made >= spec.max_tokens)
    event.finish = FinishReason::kLength;
  for (int64_t i = 0; spec.pooling != Pooling::kNone && i < options_.hidden_width; ++i)
    event.embedding.push_back(i < int64_t(spec.prompt.size()) ? float(spec.prompt[size_t(i)]) : 0);
  bool ended = event.finish != FinishReason::kNone;
  spec.on_event(std::move(event));
  return !ended;
}

Result<bool> FakeEngine::step() {
  std::vector<std::pair<RequestId, Running>> work;
  {
    std::lock_guard lock(mutex_);
    if (running_.empty())
      return false;
    for (auto it = running_.begin(); it != running_.end();)
      it = advance(it->first, it->second) ? std::next(it) : running_.erase(it);
  }
  if (options_.step_time.count() > 0)
    std::this_thread::sleep_for(options_.step_time);
  return true;
}

Status FakeEngine::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !running_.empty(); });
      if (stopping_ && (!draining_ || running_.empty()))
        break;
    }
    if (Result<bool> done = step(); !done.ok())
      return done.status();
  }
  std::map<RequestId, Running> left;
  {
    std::lock_guard lock(mutex_);
    left.swap(running_);
  }
  for (auto &[id, running] : left) {
    Event event;
    event.id = id;
    event.branch = running.branch;
    event.finish = FinishReason::kCancelled;
    running.spec.on_event(std::move(event));
  }
  return ok_status();
}

void FakeEngine::stop(bool drain) {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  draining_ = drain;
  changed_.notify_all();
}

EngineStats FakeEngine::stats() const {
  std::lock_guard lock(mutex_);
  EngineStats out;
  out.running = static_cast<int64_t>(running_.size());
  out.pages_total = 100;
  out.pages_used = out.running;
  out.prompt_tokens = prompt_tokens_;
  out.generation_tokens = generation_tokens_;
  return out;
}

std::unique_ptr<Model> fake_model(FakeEngineOptions options) {
  auto model = std::make_unique<Model>();
  model->id = "fake";
  model->root_hash = "0123456789abcdef";
  model->tokenizer = std::make_unique<ByteTokenizer>();
  model->chat_template = std::make_unique<ListTemplate>();
  model->vocabulary = kVocabulary;
  model->end_ids = {kEnd};
  model->page_tokens = 16;
  model->kv_cache_dtype = "f32";
  model->grammars = std::make_unique<GrammarStore>(*model->tokenizer, kVocabulary, model->end_ids);
  model->engine = std::make_unique<FakeEngine>(options);
  return model;
}

FakeEngine &engine_of(Model &model) { return static_cast<FakeEngine &>(*model.engine); }

} // namespace llmrt::testing
