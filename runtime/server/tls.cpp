// With OpenSSL 3.
#include "runtime/server/tls.h"

#include <openssl/ssl.h>

namespace llmrt::server {

bool has_tls() { return true; }

Result<std::unique_ptr<TlsContext>> open_tls(const std::string &certfile, const std::string &keyfile) {
  auto out = std::make_unique<TlsContext>();
  SSL_CTX *context = out->context.native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); // idle connections are many
  // Without this OpenSSL asks for a passphrase on the terminal.
  SSL_CTX_set_default_passwd_cb(context, [](char *, int, int, void *) { return 0; });
  auto wrong = [](const char *flag, const std::string &file, const boost::system::error_code &error) {
    return Status(StatusCode::kInvalidArgument, std::string(flag) + " " + file + ": " + error.message());
  };
  boost::system::error_code error;
  if (out->context.use_certificate_chain_file(certfile, error); error)
    return wrong("--ssl-certfile", certfile, error);
  const std::string &key = keyfile.empty() ? certfile : keyfile;
  if (out->context.use_private_key_file(key, boost::asio::ssl::context::pem, error); error)
    return wrong(keyfile.empty() ? "--ssl-certfile (without --ssl-keyfile it must hold the key too)" : "--ssl-keyfile",
                 key, error);
  return out;
}

} // namespace llmrt::server
