// What an endpoint sees of HTTP: a request that is complete, and a way to answer. No sockets here.
#pragma once

#include "runtime/server/error.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmrt::server {

struct HttpRequest {
  std::string method; // "GET"
  std::string path;   // without the query
  std::string body;
  std::shared_ptr<Json> json; // the body of an endpoint that takes JSON; the endpoint may move from it
  std::string authorization; // the header's value
  std::string api_key;       // x-api-key's value
  std::string request_id;    // X-Request-Id's value, or one that was made
  std::string origin;        // Origin's value
  std::string traceparent;   // traceparent's value
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// How a request is answered: send() once, or begin(), any number of write() and end(). All calls are made on the
// connection's own executor; post() gets there from any thread.
class Reply {
public:
  virtual ~Reply() = default;
  virtual void send(HttpResponse response) = 0;
  virtual void begin(HttpResponse head) = 0; // its body is not used
  virtual void write(std::string_view data) = 0;
  virtual void end() = 0;
  virtual void post(std::function<void()> work) = 0;
  // Called once, on the executor, if the client goes away before the answer is complete.
  virtual void on_disconnect(std::function<void()> callback) = 0;
  // The request's id, and its traceparent header; empty where there is no header.
  virtual std::string request_id() const { return {}; }
  virtual std::string traceparent() const { return {}; }
};
using ReplyPtr = std::shared_ptr<Reply>;

inline HttpResponse json_response(const Json &body, int status = 200) {
  return {status, "application/json", dump_json(body), {}};
}

HttpResponse error_response(const ApiError &error);

} // namespace llmrt::server
