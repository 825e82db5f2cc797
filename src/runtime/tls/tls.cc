#include "runtime/tls/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <vector>

#include "base/check.h"
#include "runtime/coro/sync.h"

namespace hongyan::runtime {

namespace {

constexpr size_t k_record_bytes = 16 * 1024;  // TLS's own limit for one record.

struct Free {
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Free>;
using SslPtr = std::unique_ptr<SSL, Free>;
using BioPtr = std::unique_ptr<BIO, Free>;
using CertificatePtr = std::unique_ptr<X509, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;

std::string text_of(unsigned long error) {
  char text[256] = "unknown";
  if (error != 0) ERR_error_string_n(error, text, sizeof(text));
  return text;
}

std::string last_error() {
  std::string text = text_of(ERR_get_error());
  ERR_clear_error();
  return text;
}
Status failed(Code code, const char* what) { return Status(code, std::string(what) + ": " + last_error()); }

BioPtr bio_of(const std::string& bytes) { return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))); }

std::string fingerprint_of(const X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(X509_digest(certificate, EVP_sha256(), digest, &size) == 1);
  static constexpr char k_hex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    if (i > 0) out += ':';
    out += k_hex[digest[i] >> 4];
    out += k_hex[digest[i] & 15];
  }
  return out;
}

class TlsStreamImpl : public TlsStream, private StreamWatcher {
 public:
  TlsStreamImpl(std::unique_ptr<Stream> inner, SslPtr ssl, std::string pinned)
      : inner_(std::move(inner)), ssl_(std::move(ssl)), pinned_(std::move(pinned)) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    CHECK(in_ != nullptr && out_ != nullptr);
    BIO_set_mem_eof_return(in_, -1);  // Empty means "not yet".
    SSL_set_bio(ssl_.get(), in_, out_);
  }

  Status handshake(Call& call) override {
    for (;;) {
      const int error = on_thread_stack([this] { return SSL_do_handshake(ssl_.get()); });
      const unsigned long reason = ERR_get_error();
      ERR_clear_error();                   // The thread's: others run while this one waits.
      const Status flushed = flush(call);  // Also an alert that says why it failed.
      if (error == SSL_ERROR_NONE) {
        TRY(flushed);
        break;
      }
      if (error != SSL_ERROR_WANT_READ) {
        const long verified = SSL_get_verify_result(ssl_.get());
        if (verified != X509_V_OK) {
          return Status(Code::unauthenticated, std::string("TLS handshake: ") + X509_verify_cert_error_string(verified));
        }
        // Who shows none leaves nothing to verify.
        const bool none =
            ERR_GET_LIB(reason) == ERR_LIB_SSL && ERR_GET_REASON(reason) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
        return Status(none ? Code::unauthenticated : Code::closed, "TLS handshake: " + text_of(reason));
      }
      TRY(flushed);
      if (!TRY(fill(call))) return Status(Code::closed, "the stream ended in the TLS handshake");
    }
    if (!pinned_.empty()) {
      const CertificatePtr certificate(SSL_get1_peer_certificate(ssl_.get()));
      if (certificate == nullptr || fingerprint_of(certificate.get()) != pinned_) {
        return Status(Code::unauthenticated, "the server shows another certificate");
      }
    }
    ready_ = true;
    return {};
  }

  Result<size_t> read(Call& call, std::span<char> into) override {
    CHECK(ready_);
    if (into.empty()) return size_t{0};
    for (;;) {
      size_t count = 0;
      const int error = on_thread_stack([&] { return SSL_read_ex(ssl_.get(), into.data(), into.size(), &count); });
      if (BIO_ctrl_pending(out_) > 0) TRY(flush(call));
      if (error == SSL_ERROR_NONE) return count;
      if (error == SSL_ERROR_ZERO_RETURN) return size_t{0};
      if (error != SSL_ERROR_WANT_READ) return failed(Code::closed, "TLS read");
      if (!TRY(fill(call))) return size_t{0};
    }
  }

  Status write(Call& call, std::string_view bytes) override {
    CHECK(ready_);
    while (!bytes.empty()) {
      const std::string_view record = bytes.substr(0, k_record_bytes);
      size_t count = 0;
      const int error = on_thread_stack([&] { return SSL_write_ex(ssl_.get(), record.data(), record.size(), &count); });
      if (error != SSL_ERROR_NONE) return failed(Code::closed, "TLS write");
      bytes.remove_prefix(count);
      TRY(flush(call));
    }
    return {};
  }

  Result<Progress> try_read(std::span<char> into) override {
    CHECK(ready_);
    if (into.empty()) return Progress{};
    for (;;) {
      size_t count = 0;
      const int error = on_thread_stack([&] { return SSL_read_ex(ssl_.get(), into.data(), into.size(), &count); });
      TRY(try_flush());
      if (error == SSL_ERROR_NONE) return Progress{.bytes = count, .again = true};
      if (error == SSL_ERROR_ZERO_RETURN) return Progress{.ended = true};
      if (error != SSL_ERROR_WANT_READ) return failed(Code::closed, "TLS read");
      char buffer[k_record_bytes];
      const Progress got = TRY(inner_->try_read(buffer));
      if (got.bytes == 0) return Progress{.ended = got.ended};
      // Whether there is more below is found out when OpenSSL has used this up.
      CHECK(BIO_write(in_, buffer, static_cast<int>(got.bytes)) == static_cast<int>(got.bytes));
    }
  }

  // A record that was sealed but has not left counts as not written: the caller comes again with the same bytes, which
  // are then passed over.
  Result<Progress> try_write(std::string_view bytes) override {
    CHECK(ready_);
    Progress progress;
    for (;;) {
      if (!TRY(try_flush())) return progress;
      progress.bytes += sealed_;
      bytes.remove_prefix(std::exchange(sealed_, 0));
      progress.again = true;
      if (bytes.empty()) return progress;
      const std::string_view record = bytes.substr(0, k_record_bytes);
      const int error = on_thread_stack([&] { return SSL_write_ex(ssl_.get(), record.data(), record.size(), &sealed_); });
      if (error != SSL_ERROR_NONE) return failed(Code::closed, "TLS write");
      progress.again = false;
    }
  }

  void watch(StreamWatcher* watcher) override {
    watcher_ = watcher;
    inner_->watch(watcher == nullptr ? nullptr : this);
  }
  void close() override { inner_->close(); }
  std::string peer() const override { return inner_->peer(); }

 private:
  void on_ready(bool readable, bool writable) override {
    if (watcher_ != nullptr) watcher_->on_ready(readable, writable);
  }

  // True: nothing that OpenSSL wants to send is left.
  Result<bool> try_flush() {
    for (;;) {
      if (unsent_.empty()) {
        const size_t pending = BIO_ctrl_pending(out_);
        if (pending == 0) return true;
        unsent_.resize(std::min(pending, 4 * k_record_bytes));
        const int count = BIO_read(out_, unsent_.data(), static_cast<int>(unsent_.size()));
        CHECK(count > 0);
        unsent_.resize(static_cast<size_t>(count));
      }
      const Progress sent = TRY(inner_->try_write(unsent_));
      unsent_.erase(0, sent.bytes);
      if (!unsent_.empty()) return false;
    }
  }

  // Runs one OpenSSL call and says how it ended.
  template <typename Work>
  int on_thread_stack(const Work& work) {
    int error = SSL_ERROR_NONE;
    const auto run = [&] {
      ERR_clear_error();  // The queue is the thread's, not this stream's.
      const int result = work();
      error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    };
    if (Scheduler::in_coroutine()) {
      Scheduler::current().run_on_thread_stack(run);
    } else {
      run();  // The loop's own work stands on it already.
    }
    return error;
  }

  // More bytes for OpenSSL; false at the end of the stream.
  Result<bool> fill(Call& call) {
    char buffer[4096];
    const size_t count = TRY(inner_->read(call, buffer));
    if (count == 0) return false;
    CHECK(BIO_write(in_, buffer, static_cast<int>(count)) == static_cast<int>(count));
    return true;
  }

  // What OpenSSL wants to send. The reader may have something to say too (alerts, key updates): records leave in the
  // order they were made.
  Status flush(Call& call) {
    const Mutex::Guard guard = TRY(sending_.lock(call));
    while (const size_t pending = BIO_ctrl_pending(out_)) {
      std::string bytes(std::min(pending, 4 * k_record_bytes), '\0');
      const int count = BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
      CHECK(count > 0);
      TRY(inner_->write(call, std::string_view(bytes).substr(0, static_cast<size_t>(count))));
    }
    return {};
  }

  std::unique_ptr<Stream> inner_;
  SslPtr ssl_;
  std::string pinned_;
  BIO* in_;   // Both belong to ssl_.
  BIO* out_;
  bool ready_ = false;
  Mutex sending_;
  std::string unsent_;  // Of the stream that is watched.
  size_t sealed_ = 0;   // Bytes of a caller that are in it.
  StreamWatcher* watcher_ = nullptr;
};

int select_http11(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                  unsigned offered_size, void*) {
  static constexpr unsigned char k_http11[] = "\x08http/1.1";
  const int found = SSL_select_next_proto(const_cast<unsigned char**>(chosen), chosen_size, k_http11, sizeof(k_http11) - 1,
                                          offered, offered_size);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

class TlsServerImpl : public TlsServer {
 public:
  explicit TlsServerImpl(ContextPtr context) : context_(std::move(context)) {}
  std::unique_ptr<TlsStream> wrap(std::unique_ptr<Stream> stream) override {
    SslPtr ssl(SSL_new(context_.get()));
    CHECK(ssl != nullptr);
    SSL_set_accept_state(ssl.get());
    return std::make_unique<TlsStreamImpl>(std::move(stream), std::move(ssl), "");
  }

 private:
  ContextPtr context_;
};

ContextPtr make_context(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method));
  if (context == nullptr) return nullptr;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);  // 34 KiB less for each idle link.
  return context;
}

// Both ends of mutual TLS: what differs is who begins.
class Mutual {
 public:
  Mutual(Env& env, ContextPtr context, std::vector<std::string> peers)
      : env_(env), context_(std::move(context)), peers_(std::move(peers)) {}

  std::unique_ptr<TlsStream> wrap(std::unique_ptr<Stream> stream, void (*begin)(SSL*)) {
    SslPtr ssl(SSL_new(context_.get()));
    CHECK(ssl != nullptr);
    begin(ssl.get());
    X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl.get());
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    X509_VERIFY_PARAM_set_time(wanted, static_cast<time_t>(env_.utc_ms() / 1000));
    for (const std::string& name : peers_) CHECK(X509_VERIFY_PARAM_add1_host(wanted, name.c_str(), 0) == 1);
    return std::make_unique<TlsStreamImpl>(std::move(stream), std::move(ssl), "");
  }

 private:
  Env& env_;
  ContextPtr context_;
  std::vector<std::string> peers_;
};

class MutualServer : public TlsServer {
 public:
  explicit MutualServer(Mutual mutual) : mutual_(std::move(mutual)) {}
  std::unique_ptr<TlsStream> wrap(std::unique_ptr<Stream> stream) override {
    return mutual_.wrap(std::move(stream), &SSL_set_accept_state);
  }

 private:
  Mutual mutual_;
};

class MutualClient : public TlsClient {
 public:
  explicit MutualClient(Mutual mutual) : mutual_(std::move(mutual)) {}
  Result<std::unique_ptr<TlsStream>> wrap(std::unique_ptr<Stream> stream) override {
    return mutual_.wrap(std::move(stream), &SSL_set_connect_state);
  }

 private:
  Mutual mutual_;
};

Status show(SSL_CTX* context, const TlsIdentity& identity) {
  const BioPtr chain = bio_of(identity.certificate_pem);
  const CertificatePtr leaf(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
  if (leaf == nullptr || SSL_CTX_use_certificate(context, leaf.get()) != 1) return failed(Code::invalid, "certificate");
  while (X509* next = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, next) == 1) continue;
    X509_free(next);
    return failed(Code::invalid, "certificate chain");
  }
  ERR_clear_error();  // The end of the file is how the loop ends.
  const BioPtr key_bio = bio_of(identity.key_pem);
  const KeyPtr key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr || SSL_CTX_use_PrivateKey(context, key.get()) != 1) return failed(Code::invalid, "private key");
  if (SSL_CTX_check_private_key(context) != 1) return failed(Code::invalid, "key and certificate");
  return {};
}

Status trust(SSL_CTX* context, const std::string& authorities_pem) {
  const BioPtr bio = bio_of(authorities_pem);
  int count = 0;
  for (;; ++count) {
    const CertificatePtr authority(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (authority == nullptr) break;
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1) return failed(Code::invalid, "authority");
  }
  ERR_clear_error();
  return count > 0 ? Status() : Status(Code::invalid, "no certificate of an authority");
}

Result<Mutual> make_mutual(Env& env, const TlsMutual& mutual, const SSL_METHOD* method) {
  ContextPtr context = make_context(method);
  if (context == nullptr) return failed(Code::internal, "TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // A resumed session would show no certificate.
  SSL_CTX_set_num_tickets(context.get(), 0);
  if (!mutual.own.certificate_pem.empty()) TRY(show(context.get(), mutual.own));
  TRY(trust(context.get(), mutual.authorities_pem));
  return Mutual(env, std::move(context), mutual.peers);
}

}  // namespace

Result<std::string> certificate_fingerprint(const std::string& certificate_pem) {
  const BioPtr bio = bio_of(certificate_pem);
  const CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return failed(Code::invalid, "certificate");
  return fingerprint_of(certificate.get());
}

Result<int64_t> certificate_ends_ms(const std::string& certificate_pem) {
  const BioPtr bio = bio_of(certificate_pem);
  const CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  std::tm ends{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &ends) != 1) {
    return failed(Code::invalid, "certificate");
  }
  return static_cast<int64_t>(::timegm(&ends)) * 1000;
}

Result<std::shared_ptr<TlsServer>> make_tls_server(const TlsIdentity& identity) {
  ContextPtr context = make_context(TLS_server_method());
  if (context == nullptr) return failed(Code::internal, "TLS");
  TRY(show(context.get(), identity));
  SSL_CTX_set_alpn_select_cb(context.get(), select_http11, nullptr);
  return std::shared_ptr<TlsServer>(std::make_shared<TlsServerImpl>(std::move(context)));
}

Result<std::shared_ptr<TlsServer>> make_mutual_tls_server(Env& env, const TlsMutual& mutual) {
  return std::shared_ptr<TlsServer>(std::make_shared<MutualServer>(TRY(make_mutual(env, mutual, TLS_server_method()))));
}

Result<std::shared_ptr<TlsClient>> make_mutual_tls_client(Env& env, const TlsMutual& mutual) {
  if (mutual.peers.empty()) return Status(Code::invalid, "a client must know the name of its server");
  return std::shared_ptr<TlsClient>(std::make_shared<MutualClient>(TRY(make_mutual(env, mutual, TLS_client_method()))));
}

Result<std::unique_ptr<TlsStream>> tls_connect(std::unique_ptr<Stream> stream, const std::string& fingerprint) {
  const ContextPtr context = make_context(TLS_client_method());
  if (context == nullptr) return failed(Code::internal, "TLS");
  SslPtr ssl(SSL_new(context.get()));  // Keeps the context.
  if (ssl == nullptr) return failed(Code::internal, "TLS");
  SSL_set_connect_state(ssl.get());
  return std::unique_ptr<TlsStream>(std::make_unique<TlsStreamImpl>(std::move(stream), std::move(ssl), fingerprint));
}

}  // namespace hongyan::runtime
