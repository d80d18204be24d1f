#include "runtime/server/connection.h"

#include "runtime/base/text.h"
#include "runtime/server/router.h"

#include <boost/beast/http/read.hpp>

#include <algorithm>
#include <random>

namespace llmrt::server {

namespace http = boost::beast::http;

namespace {

constexpr int kLingerSeconds = 5;
constexpr size_t kReadAheadBytes = 64u << 10, kDiscardBytes = 64u << 10, kMaxRequestId = 128;

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

Connection::Connection(ServerContext &context, Socket socket, TlsContext *tls,
                       std::function<void(Connection *)> on_end)
    : context_(context), stream_(std::move(socket), tls), timer_(stream_.get_executor()), on_end_(std::move(on_end)),
      buffer_(context.config.max_header_bytes + kReadAheadBytes) {}

Connection::~Connection() = default;

void Connection::start() {
  if (!stream_.is_tls()) {
    ErrorCode ignored;
    stream_.socket().non_blocking(true, ignored); // for write_now()
  }
  asio::post(stream_.get_executor(), [self = shared_from_this()] {
    if (self->stream_.is_tls())
      self->shake_hands();
    else
      self->read_head();
  });
}

void Connection::close_if_idle(bool half_sent_too) {
  asio::post(stream_.get_executor(), [self = shared_from_this(), half_sent_too] {
    bool idle = half_sent_too || (!self->got_bytes_ && self->buffer_.size() == 0);
    if (self->phase_ == Phase::kReading && idle)
      self->close();
  });
}

void Connection::abort() {
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->lost(); });
}

void Connection::post(std::function<void()> work) {
  asio::post(stream_.get_executor(), [self = shared_from_this(), work = std::move(work)] {
    try {
      work();
    } catch (const std::exception &) { // out of memory: this client loses its answer, the others do not
      self->lost();
    }
  });
}

// ---- reading -----------------------------------------------------------------------------------------------------------
void Connection::shake_hands() {
  arm(context_.config.handshake_seconds);
  stream_.async_handshake([self = shared_from_this()](ErrorCode error) {
    if (self->phase_ == Phase::kClosed)
      return;
    if (error) { // plain HTTP, say: TLS has sent its alert
      self->phase_ = Phase::kLingering;
      self->arm(kLingerSeconds);
      return self->discard();
    }
    self->read_head();
  });
}

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
  http::async_read_header(stream_, buffer_, *parser_,
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
    stream_.write_some(asio::buffer(kContinue.data(), kContinue.size()), ignored);
  } else if (head.count(http::field::expect)) {
    return refuse(417, "only Expect: 100-continue is understood");
  }
  read_body();
}

void Connection::read_body() {
  arm(context_.config.body_seconds);
  http::async_read(stream_, buffer_, *parser_,
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
  out.traceparent = std::string(message["traceparent"]);
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
  traceparent_ = request.traceparent;
  phase_ = Phase::kAnswering;
  complete_ = counted_ = false;
  watch();
  try {
    route(context_, std::move(request), shared_from_this());
  } catch (const std::exception &) {
    send(error_response({500, "the server failed on this request", {}, 0}));
  }
}

void Connection::refuse(int status, const std::string &message) {
  parser_.reset();
  phase_ = Phase::kAnswering;
  complete_ = counted_ = false;
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
  stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](ErrorCode error, size_t bytes) {
    self->on_watch(error, bytes);
  });
}

void Connection::on_watch(ErrorCode error, size_t bytes) {
  watching_ = false;
  if (phase_ == Phase::kClosed)
    return;
  if (phase_ == Phase::kLingering)
    return linger();
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
  arm(kLingerSeconds);
  if (watching_ && stream_.is_tls()) { // one read at a time: on_watch() goes on
    ErrorCode ignored;
    stream_.socket().cancel(ignored);
  } else if (stream_.is_tls()) {
    stream_.async_goodbye([self = shared_from_this()](ErrorCode) { self->discard(); });
  } else if (watching_) {
    close(); // nothing was in flight but the watch, which has seen nothing
  } else {
    discard();
  }
}

// Until the client ends too or linger()'s time is over. Of TLS too, these are the socket's own bytes.
void Connection::discard() {
  if (phase_ != Phase::kLingering)
    return;
  ErrorCode ignored;
  stream_.socket().shutdown(Socket::shutdown_send, ignored);
  if (client_ended_)
    return close();
  buffer_.consume(buffer_.size());
  stream_.socket().async_read_some(buffer_.prepare(kDiscardBytes), [self = shared_from_this()](ErrorCode error, size_t) {
    if (error)
      self->close();
    else
      self->discard();
  });
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
  stream_.socket().shutdown(Socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
  disconnected_ = nullptr;
  if (on_end_)
    on_end_(this);
}

} // namespace llmrt::server
