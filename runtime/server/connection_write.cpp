// The answering half of a connection.
#include "runtime/server/connection.h"
#include "runtime/server/router.h"

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <cstdio>

namespace llmrt::server {

namespace http = boost::beast::http;

static const char *reason_of(int status) {
  return http::obsolete_reason(static_cast<http::status>(status)).data();
}

std::string Connection::head_text(const HttpResponse &response, const char *framing) {
  status_ = response.status;
  answer_bytes_ = 0;
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
  counted_ = true;
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  context_.metrics.http_request(handler_label(path_), method_, status_, seconds);
  if (context_.access_log.on())
    context_.access_log.add({method_, path_, request_id_, status_, seconds, answer_bytes_});
  if (!writing_ && phase_ == Phase::kAnswering)
    after_last_byte();
}

void Connection::queue(std::string_view data) {
  if (phase_ == Phase::kClosed)
    return;
  pending_.append(data);
  answer_bytes_ += data.size();
  if (!complete_ && pending_.size() > context_.config.max_unsent_bytes)
    return lost(); // reads slower than its answer grows
  if (!writing_)
    write_more();
}

// What the socket takes at once, one system call for most events of a stream. False: the connection is lost.
bool Connection::write_now() {
  ErrorCode error;
  while (!error || error == asio::error::interrupted) {
    if (sent_ == sending_.size()) {
      sending_.clear();
      sending_.swap(pending_);
      sent_ = 0;
    }
    if (sending_.empty() || stream_.is_tls()) // of a record that was cut off TLS would not know the rest
      return true;
    sent_ += stream_.socket().write_some(asio::buffer(sending_.data() + sent_, sending_.size() - sent_), error);
  }
  if (error == asio::error::would_block || error == asio::error::try_again)
    return true;
  lost();
  return false;
}

void Connection::write_more() {
  if (!write_now())
    return;
  if (sending_.empty()) {
    if (complete_ && counted_ && phase_ == Phase::kAnswering)
      after_last_byte();
    return;
  }
  writing_ = true;
  arm(context_.config.write_seconds);
  stream_.async_write_some(asio::buffer(sending_.data() + sent_, sending_.size() - sent_),
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
  disarm();
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
    stream_.socket().cancel(ignored); // nothing but the watch is in progress
    return;                  // on_watch() goes on
  }
  if (context_.draining.load())
    return close();
  arm(context_.config.head_seconds); // on_watch() goes on
}

} // namespace llmrt::server
