// What a connection reads from and writes to: a socket, or TLS over it in a build that has it. As a stream of Asio's it
// takes one read and one write at a time.
#pragma once

#include "runtime/server/asio.h"
#include "runtime/server/tls.h"

#ifdef LLMRT_TLS
#include <boost/asio/ssl/stream.hpp>

#include <optional>
#endif

namespace llmrt::server {

class Stream {
public:
  using executor_type = Executor;

  // `tls`: null for plain text.
  Stream(Socket socket, [[maybe_unused]] TlsContext *tls) : socket_(std::move(socket)) {
#ifdef LLMRT_TLS
    if (tls)
      tls_.emplace(socket_, tls->context);
#endif
  }
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;

  executor_type get_executor() { return socket_.get_executor(); }
  Socket &socket() { return socket_; }

#ifdef LLMRT_TLS
  bool is_tls() const { return tls_.has_value(); }
  template <typename Handler> void async_handshake(Handler handler) {
    tls_->async_handshake(boost::asio::ssl::stream_base::server, std::move(handler));
  }
  // Says the end in TLS's own words, and waits for the other side's.
  template <typename Handler> void async_goodbye(Handler handler) { tls_->async_shutdown(std::move(handler)); }
  template <typename Buffers, typename Handler> void async_read_some(const Buffers &buffers, Handler &&handler) {
    if (tls_)
      tls_->async_read_some(buffers, std::forward<Handler>(handler));
    else
      socket_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <typename Buffers, typename Handler> void async_write_some(const Buffers &buffers, Handler &&handler) {
    if (tls_)
      tls_->async_write_some(buffers, std::forward<Handler>(handler));
    else
      socket_.async_write_some(buffers, std::forward<Handler>(handler));
  }
  template <typename Buffers> size_t write_some(const Buffers &buffers, ErrorCode &error) {
    return tls_ ? tls_->write_some(buffers, error) : socket_.write_some(buffers, error);
  }
#else
  bool is_tls() const { return false; }
  template <typename Handler> void async_handshake(Handler) {}
  template <typename Handler> void async_goodbye(Handler) {}
  template <typename Buffers, typename Handler> void async_read_some(const Buffers &buffers, Handler &&handler) {
    socket_.async_read_some(buffers, std::forward<Handler>(handler));
  }
  template <typename Buffers, typename Handler> void async_write_some(const Buffers &buffers, Handler &&handler) {
    socket_.async_write_some(buffers, std::forward<Handler>(handler));
  }
  template <typename Buffers> size_t write_some(const Buffers &buffers, ErrorCode &error) {
    return socket_.write_some(buffers, error);
  }
#endif

private:
  Socket socket_;
#ifdef LLMRT_TLS
  std::optional<boost::asio::ssl::stream<Socket &>> tls_; // over socket_
#endif
};

} // namespace llmrt::server
