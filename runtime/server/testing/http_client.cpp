#include "runtime/server/testing/http_client.h"

#include <arpa/inet.h>
#include <cctype>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace llmrt::testing {

HttpClient::HttpClient(int port) {
  socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
  timeval limit{20, 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
    close();
}

HttpClient::~HttpClient() { close(); }

void HttpClient::close() {
  if (socket_ >= 0)
    ::close(socket_);
  socket_ = -1;
}

void HttpClient::half_close() { ::shutdown(socket_, SHUT_WR); }

bool HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool HttpClient::fill() {
  char bytes[16384];
  ssize_t n = ::recv(socket_, bytes, sizeof bytes, 0);
  if (n <= 0)
    return false;
  buffer_.append(bytes, static_cast<size_t>(n));
  return true;
}

bool HttpClient::at_end() {
  while (fill()) {
  }
  char byte;
  return ::recv(socket_, &byte, 1, MSG_DONTWAIT) == 0 || errno != EAGAIN;
}

std::string HttpClient::receive_until(std::string_view text) {
  while (buffer_.find(text) == std::string::npos)
    if (!fill())
      break;
  std::string out;
  out.swap(buffer_);
  return out;
}

std::string HttpClient::line() {
  size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos)
    if (!fill())
      return {};
  std::string out = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return out;
}

HttpAnswer HttpClient::receive() {
  HttpAnswer out;
  std::string first = line();
  if (first.size() < 12)
    return out;
  int status = std::atoi(first.c_str() + 9);
  for (std::string header = line(); !header.empty(); header = line()) {
    size_t colon = header.find(':');
    std::string name = header.substr(0, colon);
    for (char &c : name)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    out.headers[name] = colon + 2 <= header.size() ? header.substr(colon + 2) : "";
  }
  if (status == 100)
    return receive();
  auto take = [this](size_t bytes) {
    while (buffer_.size() < bytes && fill()) {
    }
    std::string piece = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return piece;
  };
  if (out.headers.count("content-length")) {
    out.body = take(std::strtoul(out.headers["content-length"].c_str(), nullptr, 10));
  } else if (out.headers.count("transfer-encoding")) {
    for (size_t bytes = std::strtoul(line().c_str(), nullptr, 16); bytes > 0;
         bytes = std::strtoul(line().c_str(), nullptr, 16)) {
      out.body += take(bytes);
      take(2);
    }
    line();
  } else if (status != 204) {
    while (fill()) {
    }
    out.body.swap(buffer_);
  }
  out.status = status;
  return out;
}

std::string request_text(const std::string &method, const std::string &path, const std::string &body,
                         const std::string &headers) {
  std::string out = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers;
  if (!body.empty())
    out += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  return out + "\r\n" + body;
}

HttpAnswer HttpClient::get(const std::string &path, const std::string &headers) {
  send(request_text("GET", path, "", headers));
  return receive();
}

HttpAnswer HttpClient::post(const std::string &path, const std::string &body, const std::string &headers) {
  send(request_text("POST", path, body, headers));
  return receive();
}

std::vector<std::string> sse_data(const std::string &body) {
  std::vector<std::string> out;
  for (size_t at = body.find("data: "); at != std::string::npos; at = body.find("data: ", at)) {
    size_t end = body.find('\n', at);
    out.push_back(body.substr(at + 6, end - at - 6));
    at = end;
  }
  return out;
}

} // namespace llmrt::testing
