#include "runtime/server/connection.h"

#include "runtime/base/text.h"
#include "runtime/server/router.h"

#include <boost/beast/http/read.hpp>

#include <algorithm>
#include <random>

namespace llmrt::server {

namespace http = boost::beast::http;

namespace {

constexpr int kLingerSeconds = 2;
constexpr size_t kLingerBytes = 4u << 20, kReadAheadBytes = 64u << 10, kMaxRequestId = 128;

std::string new_request_id() {
  std::random_device device;
  uint32_t words[4] = {device(), device(), device(), device()};
  return to_hex({reinterpret_cast<const uint8_t *>(words), sizeof words});
}

// What may stand in a header of ours and in JSON without surprises.
std::string sane_request_id(boost::beast::string_view given) {
  std::string out(given.substr(0, kMaxRequestId));
  bool sane = std::all_of(out.begin(), out.end(), [](char c) { return c > ' ' && c < 127 && c != '"' && c != '\\'; });
  return sane ? out : std::string();
}

} // namespace

Connection::Connection(ServerContext &context, Socket socket, std::function<void(Connection *)> on_end)
    : context_(context), socket_(std::move(socket)), timer_(socket_.get_executor()), on_end_(std::move(on_end)),
      buffer_(context.config.max_header_bytes + kReadAheadBytes) {}

Connection::~Connection() = default;

void Connection::start() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->read_head(); });
}

void Connection::close_if_idle(bool half_sent_too) {
  asio::post(socket_.get_executor(), [self = shared_from_this(), half_sent_too] {
    bool idle = half_sent_too || (!self->got_bytes_ && self->buffer_.size() == 0);
    if (self->phase_ == Phase::kReading && idle)
      self->close();
  });
}

void Connection::abort() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->lost(); });
}

void Connection::post(std::function<void()> work) {
  asio::post(socket_.get_executor(), [self = shared_from_this(), work = std::move(work)] {
    try {
      work();
    } catch (const std::exception &) { // out of memory: this client loses its answer, the others do not
      self->lost();
    }
  });
}

// ---- reading -----------------------------------------------------------------------------------------------------------
void Connection::read_head() {
  if (phase_ == Phase::kClosed)
    return;
  phase_ = Phase::kReading;
  got_bytes_ = buffer_.size() > 0;
  if (context_.draining.load() && !got_bytes_)
    return close();
  parser_.emplace();
  parser_->header_limit(context_.config.max_header_bytes);
  parser_->body_limit(context_.config.max_body_bytes);
  arm(context_.config.head_seconds);
  http::async_read_header(socket_, buffer_, *parser_,
                          [self = shared_from_this()](ErrorCode error, size_t) { self->on_head(error); });
}

void Connection::on_head(ErrorCode error) {
  if (phase_ == Phase::kClosed)
    return;
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return refuse(431, "the request's headers are too large");
  if (error == http::error::body_limit)
    return refuse(413, "the request's body is larger than " + std::to_string(context_.config.max_body_bytes) +
                           " bytes");
  if (error == http::error::end_of_stream || (error && error.category() != make_error_code(http::error::bad_version).category()))
    return close();
  if (error)
    return refuse(400, "not a valid HTTP request: " + error.message());
  got_bytes_ = true;
  started_ = std::chrono::steady_clock::now();
  const auto &head = parser_->get();
  version_ = static_cast<int>(head.version());
  if (version_ != 10 && version_ != 11)
    return refuse(505, "HTTP/1.1 is what this server speaks");
  if (boost::beast::iequals(head[http::field::expect], "100-continue") && version_ == 11) {
    // Small enough to fit any socket buffer; nothing else is being written now.
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    ErrorCode ignored;
    socket_.write_some(asio::buffer(kContinue.data(), kContinue.size()), ignored);
  } else if (head.count(http::field::expect)) {
    return refuse(417, "only Expect: 100-continue is understood");
  }
  read_body();
}

void Connection::read_body() {
  arm(context_.config.body_seconds);
  http::async_read(socket_, buffer_, *parser_,
                   [self = shared_from_this()](ErrorCode error, size_t) { self->on_body(error); });
}

void Connection::on_body(ErrorCode error) {
  if (phase_ == Phase::kClosed)
    return;
  if (error == http::error::body_limit)
    return refuse(413, "the request's body is larger than " + std::to_string(context_.config.max_body_bytes) +
                           " bytes");
  if (error && (error == http::error::partial_message ||
                error.category() != make_error_code(http::error::bad_version).category()))
    return close();
  if (error)
    return refuse(400, "not a valid HTTP request: " + error.message());
  dispatch();
}

HttpRequest Connection::take_request() {
  auto message = parser_->release();
  HttpRequest out;
  auto field = [&](http::field name) { return std::string(message[name]); };
  out.method = std::string(message.method_string());
  std::string target(message.target());
  if (target.compare(0, 7, "http://") == 0) { // the absolute form, which proxies use
    size_t slash = target.find('/', 7);
    target = slash == target.npos ? "/" : target.substr(slash);
  }
  out.path = target.substr(0, target.find('?'));
  out.authorization = field(http::field::authorization);
  out.api_key = std::string(message["X-Api-Key"]);
  out.origin = field(http::field::origin);
  out.request_id = sane_request_id(message["X-Request-Id"]);
  if (out.request_id.empty())
    out.request_id = new_request_id();
  out.body = std::move(message.body());
  keep_alive_ = message.keep_alive();
  return out;
}

void Connection::dispatch() {
  disarm();
  HttpRequest request = take_request();
  parser_.reset();
  method_ = request.method;
  path_ = request.path;
  request_id_ = request.request_id;
  origin_ = request.origin;
  phase_ = Phase::kAnswering;
  complete_ = false;
  watch();
  try {
    route(context_, request, shared_from_this());
  } catch (const std::exception &) {
    send(error_response({500, "the server failed on this request", {}, 0}));
  }
}

void Connection::refuse(int status, const std::string &message) {
  parser_.reset();
  phase_ = Phase::kAnswering;
  complete_ = false;
  keep_alive_ = false;
  method_ = path_ = "";
  request_id_ = new_request_id();
  started_ = std::chrono::steady_clock::now();
  send(error_response({status, message, {}, 0}));
}

void Connection::watch() {
  if (watching_ || client_ended_ || buffer_.size() >= kReadAheadBytes)
    return;
  watching_ = true;
  socket_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](ErrorCode error, size_t bytes) {
    self->on_watch(error, bytes);
  });
}

void Connection::on_watch(ErrorCode error, size_t bytes) {
  watching_ = false;
  if (phase_ == Phase::kClosed)
    return;
  buffer_.commit(bytes);
  if (phase_ == Phase::kReading) { // the answer was complete before this came: the next request's first bytes
    disarm();
    return error && error != asio::error::operation_aborted ? close() : read_head();
  }
  if (error) {
    client_ended_ = true;
    keep_alive_ = false;
    if (!complete_)
      lost(); // an answer that is complete is still written to the end
    return;
  }
  if (phase_ == Phase::kAnswering)
    watch();
}

// ---- writing -----------------------------------------------------------------------------------------------------------
static const char *reason_of(int status) {
  return http::obsolete_reason(static_cast<http::status>(status)).data();
}

std::string Connection::head_text(const HttpResponse &response, const char *framing) {
  status_ = response.status;
  if (context_.draining.load())
    keep_alive_ = false;
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " " + reason_of(response.status) + "\r\n";
  if (!response.content_type.empty())
    out += "Content-Type: " + response.content_type + "\r\n";
  for (const auto &[name, value] : response.headers)
    out += name + ": " + value + "\r\n";
  out += "X-Request-Id: " + request_id_ + "\r\n";
  const auto &origins = context_.config.allowed_origins;
  bool any = std::find(origins.begin(), origins.end(), "*") != origins.end();
  if (!origin_.empty() && (any || std::find(origins.begin(), origins.end(), origin_) != origins.end())) {
    out += "Access-Control-Allow-Origin: " + (any ? std::string("*") : origin_ + "\r\nVary: Origin") + "\r\n";
    if (method_ == "OPTIONS")
      out += "Access-Control-Allow-Methods: GET, POST, OPTIONS\r\nAccess-Control-Allow-Headers: authorization, "
             "content-type, x-api-key, x-request-id\r\nAccess-Control-Max-Age: 600\r\n";
  }
  out += framing;
  out += keep_alive_ ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return out;
}

void Connection::send(HttpResponse response) {
  if (phase_ != Phase::kAnswering)
    return;
  chunked_ = false;
  std::string framing = "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  if (response.status == 204)
    framing.clear();
  std::string out = head_text(response, framing.c_str());
  if (method_ != "HEAD")
    out += response.body;
  complete_ = true;
  queue(out);
  answer_complete();
}

void Connection::begin(HttpResponse head) {
  if (phase_ != Phase::kAnswering)
    return;
  chunked_ = version_ == 11;
  if (!chunked_)
    keep_alive_ = false; // HTTP/1.0: the end of the connection is the end of the body
  queue(head_text(head, chunked_ ? "Transfer-Encoding: chunked\r\n" : ""));
}

void Connection::write(std::string_view data) {
  if (phase_ != Phase::kAnswering || data.empty())
    return;
  if (!chunked_)
    return queue(data);
  char size[24];
  snprintf(size, sizeof size, "%zx\r\n", data.size());
  std::string chunk = size;
  chunk.append(data).append("\r\n");
  queue(chunk);
}

void Connection::end() {
  if (phase_ != Phase::kAnswering)
    return;
  complete_ = true;
  if (chunked_)
    queue("0\r\n\r\n");
  answer_complete();
}

void Connection::answer_complete() {
  disconnected_ = nullptr;
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  context_.metrics.http_request(handler_label(path_), method_, status_, seconds);
  if (!writing_ && phase_ == Phase::kAnswering)
    after_last_byte();
}

void Connection::queue(std::string_view data) {
  if (phase_ == Phase::kClosed)
    return;
  pending_.append(data);
  if (!complete_ && pending_.size() > context_.config.max_unsent_bytes)
    return lost(); // reads slower than its answer grows
  if (!writing_)
    write_more();
}

void Connection::write_more() {
  if (sent_ == sending_.size()) {
    sending_.clear();
    sending_.swap(pending_);
    sent_ = 0;
  }
  if (sending_.empty()) {
    disarm();
    if (complete_ && phase_ == Phase::kAnswering)
      after_last_byte();
    return;
  }
  writing_ = true;
  arm(context_.config.write_seconds);
  socket_.async_write_some(asio::buffer(sending_.data() + sent_, sending_.size() - sent_),
                           [self = shared_from_this()](ErrorCode error, size_t bytes) {
                             self->on_written(error, bytes);
                           });
}

void Connection::on_written(ErrorCode error, size_t bytes) {
  writing_ = false;
  if (phase_ == Phase::kClosed)
    return;
  if (error)
    return lost();
  sent_ += bytes;
  write_more();
}

void Connection::after_last_byte() {
  if (!keep_alive_)
    return linger();
  phase_ = Phase::kReading;
  got_bytes_ = false;
  if (!watching_)
    return read_head();
  if (buffer_.size() > 0) { // the next request, or its beginning, was read ahead: parse it now
    ErrorCode ignored;
    socket_.cancel(ignored); // nothing but the watch is in progress
    return;                  // on_watch() goes on
  }
  if (context_.draining.load())
    return close();
  arm(context_.config.head_seconds); // on_watch() goes on
}

// ---- ending ------------------------------------------------------------------------------------------------------------
void Connection::arm(int seconds) {
  uint64_t mine = ++deadline_;
  timer_.expires_after(std::chrono::seconds(seconds));
  timer_.async_wait([weak = weak_from_this(), mine](ErrorCode error) {
    auto self = weak.lock();
    if (!error && self && self->deadline_ == mine)
      self->lost();
  });
}

void Connection::disarm() {
  ++deadline_;
  timer_.cancel();
}

// Closing with unread input makes the system reset the connection, and the client may lose the answer: say "end",
// then read what still comes for a moment.
void Connection::linger() {
  phase_ = Phase::kLingering;
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  if (client_ended_)
    return close();
  arm(kLingerSeconds);
  buffer_.consume(buffer_.size());
  if (watching_)
    return close(); // nothing was in flight but the watch, which has seen nothing
  auto read = [self = shared_from_this()](ErrorCode error, size_t bytes) {
    self->discarded_ += bytes;
    if (error || self->discarded_ > kLingerBytes)
      return self->close();
    if (self->phase_ == Phase::kLingering)
      self->linger();
  };
  socket_.async_read_some(buffer_.prepare(4096), read);
}

void Connection::lost() {
  if (phase_ == Phase::kClosed)
    return;
  std::function<void()> callback = std::move(disconnected_);
  disconnected_ = nullptr;
  bool unfinished = phase_ == Phase::kAnswering && !complete_;
  close();
  if (unfinished && callback)
    callback();
}

void Connection::close() {
  if (phase_ == Phase::kClosed)
    return;
  phase_ = Phase::kClosed;
  disarm();
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  disconnected_ = nullptr;
  if (on_end_)
    on_end_(this);
}

} // namespace llmrt::server
