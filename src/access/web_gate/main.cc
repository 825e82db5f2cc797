// hongyan-web-gate: access/web_gate, with the short link on its port, as a process of its own.
#include "access/web_gate/web_gate.h"

#include "process/gates.h"

namespace hongyan {
namespace {

Status make(process::Process& process) {
  const process::RoomSettings& settings = process.settings();
  api::Entry& entry = process::make_entry(process);
  auto& short_link =
      process.keep(access::make_short_link(process.env(), process::short_link_deps(process, entry), settings.short_link));
  access::WebGateDeps deps = process::web_gate_deps(process, entry, short_link);
  if (const std::string& root = process.config().text("web.root"); !root.empty()) {
    deps.site = TRY(access::load_site(process.env().disk(), root));
  }
  deps.tls = TRY(process::load_tls(process, process.config().text("web.listen")));
  deps.ready = [&process] { return process.ready(); };
  const std::string scheme = deps.tls != nullptr ? "https://" : "http://";
  auto& web = process.keep(access::make_web_gate(process.env(), std::move(deps), settings.web));
  TRY(process.serve_at("web_gate", web.gate_service()));
  TRY(process.serve_at("short_link", short_link.gate_service()));
  process.say_ready("web", [scheme, &web] { return scheme + web.address(); });
  return {};
}

}  // namespace
}  // namespace hongyan

int main(int argc, char** argv) { return hongyan::process::run(argc, argv, "web_gate", hongyan::make); }
