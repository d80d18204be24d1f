#include "runtime/server/tls.h"

namespace llmrt::server {

bool has_tls() { return false; }

Result<std::unique_ptr<TlsContext>> open_tls(const std::string &, const std::string &) {
  return Status(StatusCode::kUnsupported, "this llmrt was built without TLS: build the preset tls");
}

} // namespace llmrt::server
