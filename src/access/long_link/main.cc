// hongyan-long-link: access/long_link as a process of its own.
#include "access/long_link/long_link.h"

#include "process/gates.h"

namespace hongyan {
namespace {

Status make(process::Process& process) {
  api::Entry& entry = process::make_entry(process);
  access::LongLinkDeps deps = process::long_link_deps(process, entry);
  deps.tls = TRY(process::load_tls(process, process::long_link_host(process.config())));
  auto& gate = process.keep(access::make_long_link(process.env(), std::move(deps), process.settings().long_link));
  TRY(process.serve_at("long_link", gate.gate_service()));
  process.say_ready("link", [&gate] { return gate.address(); });
  return {};
}

}  // namespace
}  // namespace hongyan

int main(int argc, char** argv) { return hongyan::process::run(argc, argv, "long_link", hongyan::make); }
