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
#include <vector>

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
// Until when the first certificate is valid, in UTC.
Result<int64_t> certificate_ends_ms(const std::string& certificate_pem);

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

class TlsClient {
 public:
  virtual ~TlsClient() = default;
  virtual Result<std::unique_ptr<TlsStream>> wrap(std::unique_ptr<Stream> stream) = 0;
};

// Between services both sides show a certificate, signed by an authority that only this deployment has; TLS 1.3. What
// a certificate is good for is its DNS name; its time is checked by the Env's clock. A peer that fails any of it ends
// in the handshake with Code::unauthenticated, or, where it finds out itself only later, with Code::closed.
struct TlsMutual {
  TlsIdentity own;
  std::string authorities_pem;            // One or more certificates; any of them may have signed the peer's.
  std::vector<std::string> peers = {};    // The peer has one of these names. A server's may be empty: any name.
};
Result<std::shared_ptr<TlsServer>> make_mutual_tls_server(Env& env, const TlsMutual& mutual);
Result<std::shared_ptr<TlsClient>> make_mutual_tls_client(Env& env, const TlsMutual& mutual);

// An authority of one's own, ten years, and what it signs: P-256, for these DNS names, as client and as server.
Result<TlsIdentity> make_tls_authority(const std::string& name, int64_t utc_ms);
Result<TlsIdentity> issue_certificate(const TlsIdentity& authority, const std::vector<std::string>& names, int64_t utc_ms,
                                      int days);

// A client that trusts exactly one certificate, by its fingerprint.
Result<std::unique_ptr<TlsStream>> tls_connect(std::unique_ptr<Stream> stream, const std::string& fingerprint);

}  // namespace hongyan::runtime
