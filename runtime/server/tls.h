// TLS of a server that was built with it (the preset tls); a build without it refuses.
#pragma once

#include "runtime/base/status.h"

#include <memory>
#include <string>

#ifdef LLMRT_TLS
#include "runtime/server/asio.h"

#include <boost/asio/ssl/context.hpp>
#endif

namespace llmrt::server {

// What all connections share: certificate, key, versions. Outlives them.
struct TlsContext {
#ifdef LLMRT_TLS
  boost::asio::ssl::context context{boost::asio::ssl::context::tls_server};
#endif
};

bool has_tls();
// `certfile`: a chain in PEM, the server's own certificate first. `keyfile`: its key in PEM without a passphrase; empty:
// it is in `certfile` too. kInvalidArgument names the file that cannot be used; kUnsupported: a build without TLS.
Result<std::unique_ptr<TlsContext>> open_tls(const std::string &certfile, const std::string &keyfile);

} // namespace llmrt::server
