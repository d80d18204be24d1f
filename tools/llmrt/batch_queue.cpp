#include "tools/llmrt/batch_queue.h"

#include "runtime/server/router.h"

#include <chrono>

namespace llmrt::tool {

// Streams are not asked for here, so an answer comes in one piece.
class BatchReply : public server::Reply {
public:
  BatchReply(BatchQueue &queue, std::function<void(server::HttpResponse)> done)
      : queue_(queue), done_(std::move(done)) {}

  void send(server::HttpResponse response) override { done_(std::move(response)); }
  void begin(server::HttpResponse head) override { head_ = std::move(head); }
  void write(std::string_view data) override { head_.body.append(data); }
  void end() override { done_(std::move(head_)); }
  void post(std::function<void()> work) override { queue_.post(std::move(work)); }
  void on_disconnect(std::function<void()>) override {}

private:
  BatchQueue &queue_;
  std::function<void(server::HttpResponse)> done_;
  server::HttpResponse head_;
};

void BatchQueue::ask(const server::HttpRequest &request, std::function<void(server::HttpResponse)> done) {
  server::route(context_, request, std::make_shared<BatchReply>(*this, std::move(done)));
}

void BatchQueue::post(std::function<void()> work) {
  std::lock_guard lock(mutex_);
  work_.push_back(std::move(work));
  changed_.notify_one();
}

void BatchQueue::turn(int milliseconds) {
  std::deque<std::function<void()>> work;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return !work_.empty(); });
    work.swap(work_);
  }
  for (auto &one : work)
    one();
}

} // namespace llmrt::tool
