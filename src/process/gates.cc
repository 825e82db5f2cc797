#include "process/gates.h"

namespace hongyan::process {

namespace {

constexpr size_t k_pem_bytes_max = 1024 * 1024;
constexpr auto k_epoch_trust = std::chrono::seconds(30);

Result<std::string> read_pem(Process& process, const char* key) {
  const std::string& path = process.config().text(key);
  auto file = process.env().disk().open(path, runtime::OpenMode::read);
  if (!file.ok()) return Status(file.code(), std::string(key) + ": " + path + ": " + file.status().detail());
  return (*file)->read_at(0, k_pem_bytes_max);
}

}  // namespace

api::Entry& make_entry(Process& process) {
  api::EntryConfig config = process.settings().entry;
  config.epoch_trust = k_epoch_trust;
  return process.keep(std::make_unique<api::Entry>(process.env(), entry_deps(process), config));
}

Result<std::shared_ptr<runtime::TlsServer>> load_tls(Process& process, const std::string& host) {
  if (process.config().text("tls.certificate").empty()) {
    if (is_loopback(host)) return std::shared_ptr<runtime::TlsServer>();
    return Status(Code::invalid, host + " is not loopback: set tls.certificate and tls.key");
  }
  runtime::TlsIdentity identity;
  identity.certificate_pem = TRY(read_pem(process, "tls.certificate"));
  identity.key_pem = TRY(read_pem(process, "tls.key"));
  return std::shared_ptr<runtime::TlsServer>(TRY(runtime::make_tls_server(identity)));
}

void add_gates(Process& process, access::Presence& presence) {
  const RoomSettings& settings = process.settings();
  presence.add_gate(settings.web.links.gate, internal::GateClient(process.channel("web_gate")));
  presence.add_gate(settings.short_link.links.gate, internal::GateClient(process.channel("short_link")));
  presence.add_gate(settings.long_link.links.gate, internal::GateClient(process.channel("long_link")));
  presence.add_gate(sealed_link_config(settings).links.gate, internal::GateClient(process.channel("sealed_link")));
}

}  // namespace hongyan::process
