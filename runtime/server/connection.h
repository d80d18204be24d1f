// One client: reads requests one after the other (HTTP/1.1 keep-alive and pipelining), answers them in order, and
// notices when the client goes away in the middle. Everything runs on the connection's strand.
#pragma once

#include "runtime/server/asio.h"
#include "runtime/server/context.h"
#include "runtime/server/http.h"
#include "runtime/server/stream.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace llmrt::server {

class Connection : public Reply, public std::enable_shared_from_this<Connection> {
public:
  // `tls`: null for plain text. `on_end` is called once when the connection is gone.
  Connection(ServerContext &context, Socket socket, TlsContext *tls, std::function<void(Connection *)> on_end);
  ~Connection() override;

  void start();
  // From any thread. `half_sent_too`: also with a request that has begun to come.
  void close_if_idle(bool half_sent_too);
  void abort();         // from any thread

  void send(HttpResponse response) override;
  void begin(HttpResponse head) override;
  void write(std::string_view data) override;
  void end() override;
  void post(std::function<void()> work) override;
  void on_disconnect(std::function<void()> callback) override { disconnected_ = std::move(callback); }
  std::string request_id() const override { return request_id_; }
  std::string traceparent() const override { return traceparent_; }

private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Phase { kReading, kAnswering, kLingering, kClosed };

  void shake_hands(); // TLS's
  void read_head();
  void on_head(ErrorCode error);
  void read_body();
  void on_body(ErrorCode error);
  void refuse(int status, const std::string &message); // of a request that cannot be read; closes
  void dispatch();
  HttpRequest take_request();

  void watch(); // reads ahead while an answer is being made, to notice the client's end
  void on_watch(ErrorCode error, size_t bytes);

  std::string head_text(const HttpResponse &response, const char *framing);
  void queue(std::string_view data);
  bool write_now();
  void write_more();
  void on_written(ErrorCode error, size_t bytes);
  void answer_complete();
  void after_last_byte();

  void arm(int seconds); // closes unless armed again or disarmed in time
  void disarm();
  void linger();
  void discard();
  void lost(); // the client is gone: whoever answers is told
  void close();

  ServerContext &context_;
  Stream stream_;
  Timer timer_;
  std::function<void(Connection *)> on_end_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::function<void()> disconnected_;

  Phase phase_ = Phase::kReading;
  bool keep_alive_ = true, chunked_ = false, complete_ = true, counted_ = true, watching_ = false, writing_ = false;
  bool got_bytes_ = false, client_ended_ = false;
  int version_ = 11;
  uint64_t deadline_ = 0; // number of the latest arm() or disarm()
  std::string pending_, sending_;
  size_t sent_ = 0;

  // Of the request being answered, for metrics and headers.
  std::string method_, path_, request_id_, origin_, traceparent_;
  int status_ = 0;
  size_t answer_bytes_ = 0;
  std::chrono::steady_clock::time_point started_;
};

} // namespace llmrt::server
