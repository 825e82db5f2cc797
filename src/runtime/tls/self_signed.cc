#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

#include "runtime/tls/tls.h"

namespace hongyan::runtime {

namespace {

constexpr long k_days = 825;  // The longest that browsers accept.
constexpr int64_t k_clock_slack_s = 3600;

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};

std::string host_of(const std::string& address) {
  if (address.starts_with("[")) return address.substr(1, address.find(']') - 1);
  return address.substr(0, address.rfind(':'));
}

bool is_ip(const std::string& host) {
  ASN1_OCTET_STRING* parsed = a2i_IPADDRESS(host.c_str());
  ASN1_OCTET_STRING_free(parsed);
  ERR_clear_error();
  return parsed != nullptr;
}

bool is_host_name(const std::string& host) {
  constexpr std::string_view k_allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
  return !host.empty() && host.size() < 254 && host.find_first_not_of(k_allowed) == std::string::npos;
}

std::string alternative_names(const std::string& listen_address) {
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  const std::string host = host_of(listen_address);
  if (host == "localhost" || host == "127.0.0.1" || host == "::1" || host == "0.0.0.0" || host == "::") return names;
  if (is_ip(host)) return names + ",IP:" + host;
  return is_host_name(host) ? names + ",DNS:" + host : names;
}

bool add_extension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free> extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool fill_in(X509* certificate, EVP_PKEY* key, const std::string& listen_address, int64_t utc_ms) {
  uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) != 1) return false;
  const time_t now = static_cast<time_t>(utc_ms / 1000);
  X509_NAME* name = X509_get_subject_name(certificate);
  return X509_set_version(certificate, 2) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
         ASN1_TIME_set(X509_getm_notBefore(certificate), now - k_clock_slack_s) != nullptr &&
         ASN1_TIME_adj(X509_getm_notAfter(certificate), now - k_clock_slack_s, k_days, 0) != nullptr &&
         X509_set_pubkey(certificate, key) == 1 &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("Hongyan"), -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         add_extension(certificate, NID_subject_alt_name, alternative_names(listen_address)) &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

std::string content_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

struct Wanted {
  std::string name;         // Of the subject.
  std::string names;        // subjectAltName; empty: an authority.
  int64_t utc_ms = 0;
  int days = 0;
};

// Signed by `issuer` with its key; null: by itself.
bool fill_in(X509* certificate, EVP_PKEY* key, const Wanted& wanted, X509* issuer, EVP_PKEY* issuer_key) {
  uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) != 1) return false;
  const time_t start = static_cast<time_t>(wanted.utc_ms / 1000) - k_clock_slack_s;
  X509_NAME* name = X509_get_subject_name(certificate);
  const bool authority = wanted.names.empty();
  const auto* text = reinterpret_cast<const unsigned char*>(wanted.name.c_str());
  return X509_set_version(certificate, 2) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1 &&
         ASN1_TIME_set(X509_getm_notBefore(certificate), start) != nullptr &&
         ASN1_TIME_adj(X509_getm_notAfter(certificate), start, wanted.days, 2 * k_clock_slack_s) != nullptr &&
         X509_set_pubkey(certificate, key) == 1 &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, issuer == nullptr ? name : X509_get_subject_name(issuer)) == 1 &&
         add_extension(certificate, NID_basic_constraints, authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
         add_extension(certificate, NID_key_usage, authority ? "critical,keyCertSign" : "critical,digitalSignature") &&
         (authority || (add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
                        add_extension(certificate, NID_subject_alt_name, wanted.names))) &&
         X509_sign(certificate, issuer_key == nullptr ? key : issuer_key, EVP_sha256()) > 0;
}

Result<TlsIdentity> identity_of(X509* certificate, EVP_PKEY* key);

Result<TlsIdentity> make(const Wanted& wanted, X509* issuer, EVP_PKEY* issuer_key) {
  const std::unique_ptr<EVP_PKEY, Free> key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509, Free> certificate(X509_new());
  if (key == nullptr || certificate == nullptr || !fill_in(certificate.get(), key.get(), wanted, issuer, issuer_key)) {
    ERR_clear_error();
    return Status(Code::internal, "could not make a certificate for " + wanted.name);
  }
  return identity_of(certificate.get(), key.get());
}

Result<TlsIdentity> identity_of(X509* certificate, EVP_PKEY* key) {
  const std::unique_ptr<BIO, Free> certificate_bio(BIO_new(BIO_s_mem())), key_bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(certificate_bio.get(), certificate) != 1 ||
      PEM_write_bio_PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Status(Code::internal, "could not write the certificate");
  }
  return TlsIdentity{.certificate_pem = content_of(certificate_bio.get()), .key_pem = content_of(key_bio.get())};
}

}  // namespace

Result<TlsIdentity> make_self_signed(const std::string& listen_address, int64_t utc_ms) {
  const std::unique_ptr<EVP_PKEY, Free> key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509, Free> certificate(X509_new());
  if (key == nullptr || certificate == nullptr || !fill_in(certificate.get(), key.get(), listen_address, utc_ms)) {
    ERR_clear_error();
    return Status(Code::internal, "could not make a certificate for " + listen_address);
  }
  return identity_of(certificate.get(), key.get());
}

Result<TlsIdentity> make_tls_authority(const std::string& name, int64_t utc_ms) {
  return make({.name = name, .names = "", .utc_ms = utc_ms, .days = 3650}, nullptr, nullptr);
}

Result<TlsIdentity> issue_certificate(const TlsIdentity& authority, const std::vector<std::string>& names, int64_t utc_ms,
                                      int days) {
  std::string alternatives;
  for (const std::string& name : names) {
    if (!is_host_name(name)) return Status(Code::invalid, name + " is no name of a host");
    alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
  }
  if (names.empty()) return Status(Code::invalid, "a certificate needs a name");
  const std::unique_ptr<BIO, Free> certificate_bio(BIO_new_mem_buf(authority.certificate_pem.data(), -1));
  const std::unique_ptr<BIO, Free> key_bio(BIO_new_mem_buf(authority.key_pem.data(), -1));
  const std::unique_ptr<X509, Free> issuer(PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  const std::unique_ptr<EVP_PKEY, Free> key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (issuer == nullptr || key == nullptr) return Status(Code::invalid, "the authority is no certificate with its key");
  return make({.name = names.front(), .names = alternatives, .utc_ms = utc_ms, .days = days}, issuer.get(), key.get());
}

}  // namespace hongyan::runtime
