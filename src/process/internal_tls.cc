#include "process/internal_tls.h"

#include <algorithm>

#include "base/check.h"
#include "process/services.h"

namespace hongyan::process {

using runtime::TlsIdentity;
using runtime::TlsMutual;

namespace {

constexpr size_t k_pem_bytes_max = 1024 * 1024;
constexpr std::string_view k_place = "{service}";
constexpr const char* k_operator = "operator";
// A start renews what has less than a third left: who restarts every few months has no expired one.
constexpr int k_days = 365;
constexpr int64_t k_renew_ms = int64_t{k_days} * 86'400'000 / 3;

Result<std::string> read_pem(Env& env, const std::string& path) {
  auto file = env.disk().open(path, runtime::OpenMode::read);
  if (!file.ok()) return Status(file.code(), path + ": " + file.status().detail());
  return (*file)->read_at(0, k_pem_bytes_max);
}

Result<std::string> read_setting(Env& env, const runtime::Config& config, const char* key, std::string_view service) {
  std::string path = config.text(key);
  if (path.empty()) return Status(Code::invalid, std::string(key) + " is missing: internal TLS wants ca, certificate and key");
  const std::string name = certificate_name(service);
  for (size_t at = 0; (at = path.find(k_place, at)) != path.npos; at += name.size()) path.replace(at, k_place.size(), name);
  auto text = read_pem(env, path);
  if (!text.ok()) return Status(text.code(), std::string(key) + ": " + text.status().detail());
  return text;
}

Status write_file(Env& env, const std::string& path, std::string_view content) {
  auto file = TRY(env.disk().open(path + ".new", runtime::OpenMode::create));
  TRY(file->append(content));
  TRY(file->sync());
  return env.disk().rename(path + ".new", path);
}

Result<TlsIdentity> authority_in(Env& env, const std::string& data) {
  const std::string path = data + "/internal-ca";
  if (env.disk().exists(path + ".pem")) {
    return TlsIdentity{.certificate_pem = TRY(read_pem(env, path + ".pem")), .key_pem = TRY(read_pem(env, path + ".key"))};
  }
  const TlsIdentity made = TRY(runtime::make_tls_authority("Hongyan services", env.utc_ms()));
  TRY(write_file(env, path + ".key", made.key_pem));  // First: a certificate without its key would never be completed.
  TRY(write_file(env, path + ".pem", made.certificate_pem));
  return made;
}

Status write_certificate(Env& env, const TlsIdentity& authority, const std::string& directory, const std::string& file,
                         const std::vector<std::string>& names) {
  const std::string path = directory + "/" + file;
  if (env.disk().exists(path + ".pem") && env.disk().exists(path + ".key")) {
    const auto ends = runtime::certificate_ends_ms(TRY(read_pem(env, path + ".pem")));
    if (ends.ok() && *ends - env.utc_ms() > k_renew_ms) return {};
  }
  const TlsIdentity made = TRY(runtime::issue_certificate(authority, names, env.utc_ms(), k_days));
  TRY(write_file(env, path + ".key", made.key_pem));
  return write_file(env, path + ".pem", made.certificate_pem);
}

}  // namespace

std::string certificate_name(std::string_view endpoint) {
  std::string name(endpoint);
  std::ranges::replace(name, '_', '-');
  return name;
}

void declare_internal_tls(runtime::Config& config) {
  config.declare("internal_tls.ca", "", "PEM file of who signs the services' certificates; empty: nothing is encrypted between services");
  config.declare("internal_tls.certificate", "", "PEM file of this service's certificate, the leaf first; {service} stands for its name");
  config.declare("internal_tls.key", "", "PEM file of the certificate's key; {service} stands for the service's name");
}

Result<InternalTls> InternalTls::make(Env& env, TlsMutual mutual) {
  InternalTls out;
  out.mutual_ = std::move(mutual);
  out.server_ = TRY(runtime::make_mutual_tls_server(env, out.mutual_));
  return out;
}

Result<InternalTls> InternalTls::load(Env& env, const runtime::Config& config, std::string_view service) {
  const auto set = [&](const char* key) { return !config.text(key).empty(); };
  if (!set("internal_tls.ca") && !set("internal_tls.certificate") && !set("internal_tls.key")) return InternalTls();
  TlsMutual mutual;
  mutual.authorities_pem = TRY(read_setting(env, config, "internal_tls.ca", service));
  mutual.own.certificate_pem = TRY(read_setting(env, config, "internal_tls.certificate", service));
  mutual.own.key_pem = TRY(read_setting(env, config, "internal_tls.key", service));
  auto made = make(env, std::move(mutual));
  if (!made.ok()) return Status(made.code(), "internal_tls: " + made.status().detail());
  return made;
}

Result<InternalTls> InternalTls::load_operator(Env& env, const std::string& directory) {
  TlsMutual mutual;
  mutual.authorities_pem = TRY(read_pem(env, directory + "/ca.pem"));
  mutual.own.certificate_pem = TRY(read_pem(env, directory + "/" + k_operator + ".pem"));
  mutual.own.key_pem = TRY(read_pem(env, directory + "/" + k_operator + ".key"));
  return make(env, std::move(mutual));
}

std::shared_ptr<runtime::TlsClient> InternalTls::client(Env& env, std::string_view endpoint) const {
  if (server_ == nullptr) return nullptr;
  TlsMutual mutual = mutual_;
  if (!endpoint.empty()) {
    mutual.peers = {certificate_name(endpoint)};
  } else {
    for (const Endpoint& one : endpoints()) mutual.peers.push_back(certificate_name(one.name));
  }
  auto made = runtime::make_mutual_tls_client(env, mutual);
  CHECK(made.ok());  // The server was made from the same.
  return std::move(*made);
}

Status write_certificates(Env& env, const std::string& data, const std::string& directory) {
  const TlsIdentity authority = TRY(authority_in(env, data));
  TRY(write_file(env, directory + "/ca.pem", authority.certificate_pem));
  for (const ServiceSpec& spec : services()) {
    std::vector<std::string> names = {certificate_name(spec.name)};
    for (const std::string_view other : spec.also_serves) names.push_back(certificate_name(other));
    TRY(write_certificate(env, authority, directory, names.front(), names));
  }
  TRY(write_certificate(env, authority, directory, k_operator, {k_operator}));
  return env.disk().sync_directory(directory);
}

}  // namespace hongyan::process
