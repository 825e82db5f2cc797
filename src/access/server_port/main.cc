// hongyan-server-port: access/server_port as a process of its own.
#include "access/server_port/server_port.h"

#include "process/process.h"

int main(int argc, char** argv) {
  using namespace hongyan;
  return process::run(argc, argv, "server_port", [](process::Process& process) -> Status {
    const process::RoomSettings& settings = process.settings();
    const std::string web_url = settings.web_url.empty() ? "http://" + settings.web.address : settings.web_url;
    auto& port = process.keep(access::make_server_port(
        process.env(), process::server_port_deps(process, [web_url] { return web_url; }), settings.server_port));
    process.say_ready("server_api", [&port] { return "http://" + port.address(); });
    return {};
  });
}
