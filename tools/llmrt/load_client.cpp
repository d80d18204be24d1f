#include "tools/llmrt/load_client.h"

#include "runtime/server/asio.h"
#include "runtime/server/json.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <functional>
#include <memory>

namespace llmrt::tool {

namespace {

using server::Json;
using Tcp = server::asio::ip::tcp;
using Clock = std::chrono::steady_clock;
namespace asio = server::asio;
using server::ErrorCode;

// The body of an HTTP/1.1 answer as it comes: chunks put together.
class AnswerReader {
public:
  // False: this is no HTTP answer.
  bool push(std::string_view bytes) {
    raw_.append(bytes);
    if (!head_done_ && !read_head())
      return !broken_;
    return read_body();
  }
  int status() const { return status_; }
  std::string &body() { return body_; } // the caller takes from its front
  bool complete() const { return complete_; }

private:
  bool read_head() {
    size_t end = raw_.find("\r\n\r\n");
    if (end == raw_.npos)
      return false;
    std::string head = raw_.substr(0, end);
    raw_.erase(0, end + 4);
    broken_ = head.size() < 12 || head.compare(0, 9, "HTTP/1.1 ") != 0;
    if (broken_)
      return false;
    status_ = std::atoi(head.c_str() + 9);
    for (char &c : head)
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    chunked_ = head.find("transfer-encoding: chunked") != head.npos;
    size_t length = head.find("content-length: ");
    left_ = length == head.npos ? 0 : static_cast<size_t>(std::atoll(head.c_str() + length + 16));
    head_done_ = true;
    return true;
  }
  bool read_body() {
    if (!chunked_) {
      body_ += raw_;
      left_ -= std::min(left_, raw_.size());
      raw_.clear();
      complete_ = left_ == 0;
      return true;
    }
    for (;;) {
      size_t line = raw_.find("\r\n");
      if (line == raw_.npos)
        return raw_.size() < 32;
      size_t size = 0;
      auto [end, error] = std::from_chars(raw_.data(), raw_.data() + line, size, 16);
      if (error != std::errc() || size > (64u << 20))
        return false;
      if (raw_.size() < line + 2 + size + 2)
        return true;
      body_.append(raw_, line + 2, size);
      raw_.erase(0, line + 2 + size + 2);
      if (size == 0)
        return complete_ = true;
    }
  }

  std::string raw_, body_;
  bool head_done_ = false, chunked_ = false, complete_ = false, broken_ = false;
  int status_ = 0;
  size_t left_ = 0;
};

std::string request_text(const LoadTarget &target, const char *method, const std::string &path,
                         const std::string &body) {
  std::string out = std::string(method) + " " + path + " HTTP/1.1\r\nHost: " + target.host +
                    "\r\nContent-Type: application/json\r\nConnection: close\r\n";
  if (!target.api_key.empty())
    out += "Authorization: Bearer " + target.api_key + "\r\n";
  return out + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class Load;

class Stream : public std::enable_shared_from_this<Stream> {
public:
  Stream(Load &load, asio::io_context &io, const LoadRequest &request, LoadResult &result)
      : load_(load), socket_(io), request_(request), result_(result) {}
  void start();

private:
  void read();
  void take_events();
  void take_event(const std::string &data);
  void end(const std::string &error);

  Load &load_;
  Tcp::socket socket_;
  const LoadRequest &request_;
  LoadResult &result_;
  std::string text_;
  AnswerReader answer_;
  std::array<char, 16384> bytes_;
};

class Load {
public:
  Load(const LoadTarget &target, Tcp::endpoint endpoint, const std::vector<LoadRequest> &requests, int64_t most)
      : target(target), endpoint(std::move(endpoint)), requests_(requests), results_(requests.size()),
        most_(most > 0 ? most : INT64_MAX), timer_(io_) {}

  std::vector<LoadResult> run() {
    start_ = Clock::now();
    next();
    io_.run();
    return std::move(results_);
  }
  double now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  void ended() {
    --running_;
    next();
  }

  const LoadTarget &target;
  const Tcp::endpoint endpoint;

private:
  // Starts what is due, and wakes up for what comes next.
  void next() {
    while (at_ < requests_.size() && running_ < most_ && requests_[at_].at_seconds <= now()) {
      ++running_;
      std::make_shared<Stream>(*this, io_, requests_[at_], results_[at_])->start();
      ++at_;
    }
    if (at_ == requests_.size() || running_ >= most_)
      return;
    timer_.expires_at(start_ + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(requests_[at_].at_seconds)));
    timer_.async_wait([this](ErrorCode error) {
      if (!error)
        next();
    });
  }

  const std::vector<LoadRequest> &requests_;
  std::vector<LoadResult> results_;
  int64_t most_, running_ = 0;
  size_t at_ = 0;
  Clock::time_point start_;
  asio::io_context io_;
  asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, asio::io_context::executor_type> timer_;
};

void Stream::start() {
  result_.sent = load_.now();
  text_ = request_text(load_.target, "POST", load_.target.path, request_.body);
  socket_.async_connect(load_.endpoint, [self = shared_from_this()](ErrorCode error) {
    if (error)
      return self->end(error.message());
    ErrorCode ignored;
    self->socket_.set_option(Tcp::no_delay(true), ignored);
    asio::async_write(self->socket_, asio::buffer(self->text_), [self](ErrorCode failed, size_t) {
      failed ? self->end(failed.message()) : self->read();
    });
  });
}

void Stream::read() {
  socket_.async_read_some(asio::buffer(bytes_), [self = shared_from_this()](ErrorCode error, size_t bytes) {
    if (error)
      return self->end("the connection ended: " + error.message());
    if (!self->answer_.push({self->bytes_.data(), bytes}))
      return self->end("this is no HTTP answer");
    if (self->answer_.status() == 200)
      self->take_events();
    if (!self->answer_.complete())
      return self->read();
    if (self->answer_.status() != 200)
      return self->end("status " + std::to_string(self->answer_.status()) + ": " + self->answer_.body());
    self->end(self->result_.chunks.empty() ? "the stream was empty" : self->result_.error);
  });
}

void Stream::take_events() {
  std::string &body = answer_.body();
  for (size_t end; (end = body.find("\n\n")) != body.npos; body.erase(0, end + 2))
    if (body.compare(0, 6, "data: ") == 0)
      take_event(body.substr(6, end - 6));
}

void Stream::take_event(const std::string &data) {
  if (data == "[DONE]")
    return;
  Result<Json> json = server::parse_json(data);
  if (!json.ok() || !json->is_object() || json->contains("error")) {
    result_.error = "an error inside the stream: " + data;
    return;
  }
  if (json->contains("choices") && (*json)["choices"].is_array() && !(*json)["choices"].empty())
    result_.chunks.push_back(load_.now());
  auto usage = json->find("usage");
  if (usage == json->end() || !usage->is_object())
    return;
  auto count = [&](const char *name) {
    auto found = usage->find(name);
    return found != usage->end() && found->is_number_integer() ? found->get<int64_t>() : 0;
  };
  result_.prompt_tokens = count("prompt_tokens");
  result_.completion_tokens = count("completion_tokens");
}

void Stream::end(const std::string &error) {
  result_.ended = load_.now();
  result_.ok = error.empty();
  result_.error = error;
  ErrorCode ignored;
  socket_.close(ignored);
  load_.ended();
}

Result<Tcp::endpoint> resolve(const LoadTarget &target) {
  ErrorCode error;
  asio::ip::address address =
      asio::ip::make_address(target.host == "localhost" ? "127.0.0.1" : target.host, error);
  if (error)
    return Status(StatusCode::kInvalidArgument, "--host " + target.host + " must be an address or localhost");
  return Tcp::endpoint(address, static_cast<unsigned short>(target.port));
}

// One request and its answer, within a bounded time.
class Fetch {
public:
  explicit Fetch(std::string request) : request_(std::move(request)) {}

  Status run(const Tcp::endpoint &endpoint) {
    static constexpr std::chrono::seconds kMost(10);
    socket_.async_connect(endpoint, [this](ErrorCode error) {
      if (error)
        return fail(error.message() + "; is the server running?");
      asio::async_write(socket_, asio::buffer(request_), [this](ErrorCode failed, size_t) {
        failed ? fail(failed.message()) : read();
      });
    });
    io_.run_for(kMost);
    if (status_.ok() && !answer_.complete())
      fail("no answer in " + std::to_string(kMost.count()) + " seconds");
    return status_;
  }
  const AnswerReader &answer() const { return answer_; }
  std::string &body() { return answer_.body(); }

private:
  void fail(std::string message) { status_ = Status(StatusCode::kNotFound, std::move(message)); }
  void read() {
    socket_.async_read_some(asio::buffer(bytes_), [this](ErrorCode error, size_t bytes) {
      if (error)
        return fail(error.message());
      if (!answer_.push({bytes_.data(), bytes}))
        return fail("this is no HTTP answer");
      if (!answer_.complete())
        read();
    });
  }

  asio::io_context io_;
  Tcp::socket socket_{io_};
  std::string request_;
  AnswerReader answer_;
  std::array<char, 16384> bytes_;
  Status status_;
};

// The message of an error in OpenAI's shape, else the body's beginning.
std::string message_of(const std::string &body) {
  static constexpr size_t kMost = 300;
  Result<Json> json = server::parse_json(body);
  if (json.ok() && json->is_object() && json->contains("error") && (*json)["error"].is_object() &&
      (*json)["error"].contains("message") && (*json)["error"]["message"].is_string())
    return (*json)["error"]["message"].get<std::string>();
  return body.substr(0, kMost);
}

} // namespace

Result<std::vector<LoadResult>> run_load(const LoadTarget &target, const std::vector<LoadRequest> &requests,
                                         int64_t max_concurrency) {
  Result<Tcp::endpoint> endpoint = resolve(target);
  if (!endpoint.ok())
    return endpoint.status();
  return Load(target, *endpoint, requests, max_concurrency).run();
}

Result<std::string> fetch(const LoadTarget &target, const std::string &path) {
  Result<Tcp::endpoint> endpoint = resolve(target);
  if (!endpoint.ok())
    return endpoint.status();
  Fetch fetch(request_text(target, "GET", path, ""));
  Status status = fetch.run(*endpoint);
  const AnswerReader &answer = fetch.answer();
  if (status.ok() && answer.status() != 200)
    status = Status(StatusCode::kUnsupported,
                    "status " + std::to_string(answer.status()) + ": " + message_of(fetch.body()));
  if (status.ok())
    return fetch.body();
  return Status(status.code(), "http://" + target.host + ":" + std::to_string(target.port) + path + ": " +
                                   status.message());
}

} // namespace llmrt::tool
