#include "runtime/server/trace_exporter.h"

#include "runtime/base/log.h"
#include "runtime/base/text.h"
#include "runtime/server/asio.h"

#include <boost/asio/write.hpp>

#include <array>
#include <chrono>
#include <random>

namespace llmrt::server {

namespace {

constexpr size_t kMostWaiting = 4096, kBatch = 512;
constexpr std::chrono::seconds kPeriod(2);
constexpr size_t kStackBytes = 256 << 10;

uint64_t random_bits() {
  std::random_device device;
  return uint64_t(device()) << 32 | device();
}

} // namespace

Result<std::unique_ptr<TraceExporter>> TraceExporter::start(const std::string &endpoint) {
  auto wrong = [&] {
    return Status(StatusCode::kInvalidArgument,
                  "--otlp-traces-endpoint " + endpoint + ": give http://HOST[:PORT][/PATH] (OTLP over HTTP)");
  };
  static constexpr std::string_view kScheme = "http://";
  if (endpoint.compare(0, kScheme.size(), kScheme) != 0)
    return wrong();
  std::string rest = endpoint.substr(kScheme.size());
  size_t slash = std::min(rest.find('/'), rest.size());
  std::unique_ptr<TraceExporter> out(new TraceExporter);
  out->path_ = slash + 1 >= rest.size() ? "/v1/traces" : rest.substr(slash);
  std::string where = rest.substr(0, slash);
  size_t colon = where.rfind(':');
  int64_t port = 4318; // OTLP's own
  if (colon != where.npos && (!parse_integer(where.substr(colon + 1), port) || port < 1 || port > 65535))
    return wrong();
  out->port_ = static_cast<int>(port);
  out->host_ = where.substr(0, colon);
  if (out->host_.empty() || endpoint.find_first_of(" \r\n") != endpoint.npos)
    return wrong();
  TraceExporter *self = out.get();
  Result<os::Thread> thread = os::Thread::start(kStackBytes, [self] { self->run(); });
  if (!thread.ok())
    return thread.status();
  out->thread_ = std::move(*thread);
  return out;
}

TraceExporter::~TraceExporter() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

void TraceExporter::add(Span span) {
  std::lock_guard lock(mutex_);
  if (waiting_.size() < kMostWaiting) {
    waiting_.push_back(std::move(span));
    if (waiting_.size() >= kBatch)
      changed_.notify_one();
    return;
  }
  if (!std::exchange(warned_, true))
    log(LogLevel::kWarning, "traces are dropped: the collector is slower than the server (said once)");
}

void TraceExporter::run() {
  for (bool stopping = false; !stopping;) {
    std::vector<Span> spans;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kPeriod, [this] { return stopping_ || waiting_.size() >= kBatch; });
      spans.swap(waiting_);
      stopping = stopping_;
    }
    if (spans.empty() || send(dump_json(export_body(spans, random_bits))))
      continue;
    std::lock_guard lock(mutex_);
    if (!std::exchange(warned_, true))
      log(LogLevel::kWarning, "traces are lost: " + host_ + ":" + std::to_string(port_) + path_ +
                                  " does not take them (said once)");
  }
}

bool TraceExporter::send(const std::string &body) {
  asio::io_context io;
  ErrorCode error;
  asio::ip::tcp::resolver resolver(io);
  auto found = resolver.resolve(host_ == "localhost" ? "127.0.0.1" : host_, std::to_string(port_), error);
  if (error || found.empty())
    return false;
  asio::ip::tcp::socket socket(io);
  socket.connect(found.begin()->endpoint(), error);
  if (error)
    return false;
  std::string text = "POST " + path_ + " HTTP/1.1\r\nHost: " + host_ +
                     "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body;
  asio::write(socket, asio::buffer(text), error);
  std::array<char, 16> answer{};
  size_t count = error ? 0 : socket.read_some(asio::buffer(answer), error);
  return !error && count >= 10 && std::string_view(answer.data(), count).substr(8, 2) == " 2";
}

} // namespace llmrt::server
