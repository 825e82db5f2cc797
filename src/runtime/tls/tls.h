// TLS for any Stream (OpenSSL over memory buffers), server side, 1.2 and 1.3, and the certificate a first start makes
// for itself. The cryptography runs on the thread's own stack, never waits, and never touches a socket.
//
// A TlsStream keeps the Stream's promises: one reader and one writer at a time, errors are final. An end of the stream
// without TLS's own goodbye reads as an end; HTTP and WebSocket say themselves where a message ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/env/env.h"

namespace hongyan::runtime {

struct TlsIdentity {
  std::string certificate_pem;  // The leaf first, then its chain.
  std::string key_pem;
};

// P-256, 825 days, for "localhost", 127.0.0.1, ::1 and the host of `listen_address` (an IP address or a name).
Result<TlsIdentity> make_self_signed(const std::string& listen_address, int64_t utc_ms);
// SHA-256 over the first certificate, "AB:CD:...": what a person compares.
Result<std::string> certificate_fingerprint(const std::string& certificate_pem);

class TlsStream : public Stream {
 public:
  // Once, before anything else; read() and write() CHECK that it succeeded.
  virtual Status handshake(Call& call) = 0;
};

class TlsServer {
 public:
  virtual ~TlsServer() = default;
  virtual std::unique_ptr<TlsStream> wrap(std::unique_ptr<Stream> stream) = 0;
};
Result<std::shared_ptr<TlsServer>> make_tls_server(const TlsIdentity& identity);

// A client that trusts exactly one certificate, by its fingerprint.
Result<std::unique_ptr<TlsStream>> tls_connect(std::unique_ptr<Stream> stream, const std::string& fingerprint);

}  // namespace hongyan::runtime
