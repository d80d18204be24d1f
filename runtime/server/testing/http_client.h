// A plain client for tests, which can also misbehave.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace llmrt::testing {

struct HttpAnswer {
  int status = 0; // 0: the connection ended before an answer
  std::map<std::string, std::string> headers; // names in lower case
  std::string body;                           // chunks put together
};

class HttpClient {
public:
  explicit HttpClient(int port);
  ~HttpClient();
  HttpClient(const HttpClient &) = delete;
  HttpClient &operator=(const HttpClient &) = delete;

  bool send(std::string_view bytes);
  HttpAnswer receive(); // the next answer
  // Bytes as they come, until `text` was seen or the end.
  std::string receive_until(std::string_view text);
  void close();
  void half_close();
  bool at_end(); // waits for the server to close

  HttpAnswer get(const std::string &path, const std::string &headers = "");
  HttpAnswer post(const std::string &path, const std::string &body, const std::string &headers = "");

private:
  bool fill();
  std::string line();

  int socket_ = -1;
  std::string buffer_;
};

std::string request_text(const std::string &method, const std::string &path, const std::string &body,
                         const std::string &headers);
// The values of "data: " lines.
std::vector<std::string> sse_data(const std::string &body);

} // namespace llmrt::testing
