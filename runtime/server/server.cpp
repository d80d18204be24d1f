#include "runtime/server/server.h"

#include "runtime/base/os.h"
#include "runtime/server/connection.h"
#include "runtime/server/trace_exporter.h"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <unordered_map>

namespace llmrt::server {

namespace {

constexpr size_t kThreadStackBytes = 512 << 10;
constexpr std::chrono::seconds kHalfSentWait(5); // for requests that are still coming in when draining begins

template <typename Protocol> using Acceptor = asio::basic_socket_acceptor<Protocol, asio::io_context::executor_type>;

class BeastServer : public Server {
public:
  explicit BeastServer(ServerConfig config) : context_(std::move(config)) {}
  ~BeastServer() override { stop(); }

  Status open();

  ServerContext &context() override { return context_; }
  int port() const override { return port_; }
  std::string address() const override;
  void set_model(const Model &model) override { context_.models.adopt(model, context_.config.served_model_names); }
  Status start() override;
  bool drain(double wait_seconds) override;
  void stop() override;

private:
  Status open_tcp();
  Status open_unix();
  template <typename Protocol> Status bind(Acceptor<Protocol> &acceptor, const typename Protocol::endpoint &endpoint);
  template <typename Protocol> void accept(Acceptor<Protocol> &acceptor);
  void add(Socket socket);
  void remove(Connection *connection);
  std::vector<std::shared_ptr<Connection>> connections();

  std::unique_ptr<TraceExporter> traces_;
  std::unique_ptr<TlsContext> tls_; // null: plain text
  ServerContext context_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  Acceptor<asio::ip::tcp> tcp_{io_.get_executor()};
  Acceptor<asio::local::stream_protocol> unix_{io_.get_executor()};
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      retry_{io_.get_executor()};
  std::vector<os::Thread> threads_;
  int port_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<Connection *, std::weak_ptr<Connection>> connections_;
  bool stopped_ = false;
};

Status BeastServer::open() {
  os::raise_open_files_limit(); // a connection is a descriptor
  if (context_.access_log.failed())
    return Status(StatusCode::kInvalidArgument, "--access-log: cannot write " + context_.config.access_log);
  if (const std::string &endpoint = context_.config.otlp_traces_endpoint; !endpoint.empty()) {
    Result<std::unique_ptr<TraceExporter>> exporter = TraceExporter::start(endpoint);
    if (!exporter.ok())
      return exporter.status();
    traces_ = std::move(*exporter);
    context_.trace = [this](Span span) { traces_->add(std::move(span)); };
  }
  if (const ServerConfig &config = context_.config; !config.ssl_certfile.empty()) {
    Result<std::unique_ptr<TlsContext>> tls = open_tls(config.ssl_certfile, config.ssl_keyfile);
    if (!tls.ok())
      return tls.status();
    tls_ = std::move(*tls);
  }
  return context_.config.uds.empty() ? open_tcp() : open_unix();
}

template <typename Protocol>
Status BeastServer::bind(Acceptor<Protocol> &acceptor, const typename Protocol::endpoint &endpoint) {
  ErrorCode error;
  acceptor.open(endpoint.protocol(), error);
  if (!error)
    acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error)
    acceptor.bind(endpoint, error);
  if (!error)
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    return Status(StatusCode::kInvalidArgument, "cannot listen on " + address() + ": " + error.message());
  return ok_status();
}

Status BeastServer::open_tcp() {
  const ServerConfig &config = context_.config;
  port_ = config.port;
  ErrorCode error;
  asio::ip::address where = asio::ip::make_address(config.host == "localhost" ? "127.0.0.1" : config.host, error);
  if (error) {
    asio::ip::tcp::resolver resolver(io_);
    auto found = resolver.resolve(config.host, "", error);
    if (error || found.empty())
      return Status(StatusCode::kInvalidArgument, "--host " + config.host + ": " + error.message());
    where = found.begin()->endpoint().address();
  }
  if (Status status = bind(tcp_, {where, static_cast<unsigned short>(config.port)}); !status.ok())
    return status;
  port_ = tcp_.local_endpoint(error).port();
  return ok_status();
}

Status BeastServer::open_unix() {
  const std::string &path = context_.config.uds;
  if (path.size() >= 108) // sockaddr_un
    return Status(StatusCode::kInvalidArgument, "--uds " + path + ": the path is longer than 107 bytes");
  // A socket left by a process that is gone is in the way; one that answers is not ours to take.
  ErrorCode error;
  asio::local::stream_protocol::socket probe(io_);
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  if (!error)
    return Status(StatusCode::kInvalidArgument, "--uds " + path + ": another process listens there");
  if (error == asio::error::connection_refused)
    std::remove(path.c_str());
  return bind(unix_, asio::local::stream_protocol::endpoint(path));
}

std::string BeastServer::address() const {
  if (!context_.config.uds.empty())
    return "unix:" + context_.config.uds;
  const std::string &host = context_.config.host;
  bool v6 = host.find(':') != host.npos;
  return std::string(tls_ ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port_);
}

Status BeastServer::start() {
  if (context_.config.uds.empty())
    accept(tcp_);
  else
    accept(unix_);
  for (int i = 0; i < std::max(1, context_.config.threads); ++i) {
    Result<os::Thread> thread = os::Thread::start(kThreadStackBytes, [this] { io_.run(); });
    if (!thread.ok())
      return thread.status();
    threads_.push_back(std::move(*thread));
  }
  return ok_status();
}

template <typename Protocol> void BeastServer::accept(Acceptor<Protocol> &acceptor) {
  auto socket = std::make_shared<Socket>(asio::make_strand(io_.get_executor()));
  acceptor.async_accept(*socket, [this, &acceptor, socket](ErrorCode error) {
    if (error == asio::error::operation_aborted || !acceptor.is_open())
      return;
    if (!error) {
      add(std::move(*socket));
      return accept(acceptor);
    }
    retry_.expires_after(std::chrono::milliseconds(50)); // out of descriptors: wait until some are closed
    retry_.async_wait([this, &acceptor](ErrorCode waiting) {
      if (!waiting && acceptor.is_open())
        accept(acceptor);
    });
  });
}

void BeastServer::add(Socket socket) {
  ErrorCode ignored;
  if (context_.config.uds.empty())
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  auto connection =
      std::make_shared<Connection>(context_, std::move(socket), tls_.get(), [this](Connection *gone) { remove(gone); });
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || connections_.size() >= context_.config.max_connections)
      return; // the socket closes with the connection
    connections_[connection.get()] = connection;
  }
  connection->start();
}

void BeastServer::remove(Connection *connection) {
  std::lock_guard lock(mutex_);
  connections_.erase(connection);
  changed_.notify_all();
}

std::vector<std::shared_ptr<Connection>> BeastServer::connections() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Connection>> out;
  for (auto &[pointer, weak] : connections_)
    if (auto connection = weak.lock())
      out.push_back(std::move(connection));
  return out;
}

bool BeastServer::drain(double wait_seconds) {
  context_.draining.store(true);
  context_.models.drain();
  asio::post(io_, [this] {
    ErrorCode ignored;
    tcp_.close(ignored);
    unix_.close(ignored);
    retry_.cancel();
  });
  auto start = std::chrono::steady_clock::now();
  auto end = start + std::chrono::duration<double>(wait_seconds);
  for (;;) {
    // Idle ones are told again each round: one may have become idle since.
    for (auto &connection : connections())
      connection->close_if_idle(std::chrono::steady_clock::now() - start > kHalfSentWait);
    std::unique_lock lock(mutex_);
    if (connections_.empty() || stopped_)
      return true;
    changed_.wait_for(lock, std::chrono::milliseconds(50));
    if (wait_seconds > 0 && std::chrono::steady_clock::now() >= end)
      return connections_.empty();
  }
}

void BeastServer::stop() {
  {
    std::lock_guard lock(mutex_);
    if (stopped_)
      return;
    stopped_ = true;
  }
  context_.draining.store(true);
  for (auto &connection : connections())
    connection->abort();
  asio::post(io_, [this] {
    ErrorCode ignored;
    tcp_.close(ignored);
    unix_.close(ignored);
    retry_.cancel();
  });
  work_.reset();
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(2), [this] { return connections_.empty(); });
  }
  io_.stop();
  threads_.clear();
  context_.models.stop(); // what its engines refer to, connections, is still there
  if (!context_.config.uds.empty())
    std::remove(context_.config.uds.c_str());
}

} // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerConfig config) {
  auto server = std::make_unique<BeastServer>(std::move(config));
  if (Status status = server->open(); !status.ok())
    return status;
  return std::unique_ptr<Server>(std::move(server));
}

} // namespace llmrt::server
