// hongyan-long-link: access/long_link as a process of its own.
#include "access/long_link/long_link.h"

#include "process/gates.h"

namespace hongyan {
namespace {

Status make(process::Process& process) {
  const process::RoomSettings& settings = process.settings();
  api::Entry& entry = process::make_entry(process);
  access::LongLinkDeps deps = process::long_link_deps(process, entry);
  const access::SealKeys seal_keys = process.secrets().seal_keys();
  // A sealed link beside it needs no TLS; nor does loopback.
  deps.tls = TRY(process::load_tls(process, process::long_link_host(process.config())));
  if (deps.tls == nullptr) deps.seal_keys = seal_keys;
  auto& gate = process.keep(access::make_long_link(process.env(), std::move(deps), settings.long_link));
  TRY(process.serve_at("long_link", gate.gate_service()));
  process.say_ready("link", [&gate] { return gate.address(); });
  if (settings.sealed_link_address.empty()) return {};

  access::LongLinkDeps sealed_deps = process::long_link_deps(process, entry);
  sealed_deps.seal_keys = seal_keys;
  auto& sealed = process.keep(access::make_long_link(process.env(), std::move(sealed_deps), process::sealed_link_config(settings)));
  TRY(process.serve_at("sealed_link", sealed.gate_service()));
  process.say_ready("sealed", [&sealed] { return sealed.address(); });
  process.say_ready("seal_key", [seal_keys] { return access::seal_key_text(seal_keys); });
  return {};
}

}  // namespace
}  // namespace hongyan

int main(int argc, char** argv) { return hongyan::process::run(argc, argv, "long_link", hongyan::make); }
