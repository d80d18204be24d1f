// The whole path of a request's body: JSON, fields, prompt, template, and a few steps of a fake engine.
#include "runtime/server/router.h"
#include "runtime/server/testing/fake_model.h"

#include <cstddef>
#include <cstdint>

namespace {

using namespace llmrt;
using namespace llmrt::server;

// Runs posted work at once; keeps the answer.
class DirectReply : public Reply {
public:
  void send(HttpResponse response) override { finish(response.status); }
  void begin(HttpResponse head) override { status = head.status; }
  void write(std::string_view) override {}
  void end() override { finish(status); }
  void post(std::function<void()> work) override { queue.push_back(std::move(work)); }
  void on_disconnect(std::function<void()>) override {}
  void run() {
    for (size_t i = 0; i < queue.size(); ++i)
      queue[i]();
    queue.clear();
  }
  void finish(int code) {
    if (done)
      __builtin_trap(); // answered twice
    done = true;
    status = code;
  }

  int status = 0;
  bool done = false;
  std::vector<std::function<void()>> queue;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static constexpr const char *kPaths[] = {"/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize",
                                           "/apply-template"};
  if (size == 0)
    return 0;
  ServerContext context{ServerConfig{}}; // outlives the engine, whose sinks refer to it
  std::unique_ptr<Model> model = llmrt::testing::fake_model();
  context.models.adopt(*model, {});
  HttpRequest request;
  request.method = "POST";
  request.path = kPaths[data[0] % 5];
  request.body.assign(reinterpret_cast<const char *>(data) + 1, size - 1);
  auto reply = std::make_shared<DirectReply>();
  route(context, request, reply);
  for (int step = 0; step < 4; ++step) {
    (void)model->engine->step().ok();
    reply->run();
  }
  if (reply->status >= 500 && reply->status != 503)
    __builtin_trap();
  return 0;
}
