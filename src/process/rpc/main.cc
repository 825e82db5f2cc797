// hongyan-rpc: lists and calls any method of any service: `./hongyan rpc`.
//
//   hongyan-rpc                                         every service with its default address
//   hongyan-rpc SERVICE|ADDR                            the methods there
//   hongyan-rpc SERVICE|ADDR [SERVICE.]METHOD --help    its fields
//   hongyan-rpc SERVICE|ADDR [SERVICE.]METHOD [--as SERVICE | --uin N] [--FIELD VALUE ...] [JSON]
//
// The words are those of process/caller.h. `--keys FILE`, before the address, gives the keys that sign the ticket: a
// service's own, or the secrets of a data directory. Descriptors are this program's own, not the server's.
#include <google/protobuf/stubs/logging.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "process/caller.h"
#include "runtime/os/os_env.h"

namespace hongyan::process {
namespace {

constexpr const char* k_usage =
    "usage: ./hongyan rpc [--keys FILE] [SERVICE|ADDR [[SERVICE.]METHOD [--as SERVICE | --uin N] [--FIELD VALUE ...] [JSON]]]\n"
    "  SERVICE alone lists its methods, METHOD --help its fields; ADDR is host:port\n"
    "  --keys FILE   signs the ticket: a service's key file, or DATA/secrets\n"
    "services and their addresses:";

void say(const std::string& text, FILE* to = stdout) { std::fputs((text + "\n").c_str(), to); }

int usage(FILE* to) {
  say(k_usage, to);
  for (const Endpoint& endpoint : endpoints()) say(fmt::format("  {:<14} {}", endpoint.name, endpoint.address), to);
  return to == stdout ? 0 : 2;
}

std::string service_name(const Endpoint& endpoint) {
  return endpoint.methods.empty() ? "" : std::string(endpoint.methods.front().service);
}

// The endpoint that serves "Inbox.Append"; whatever its case.
std::optional<Endpoint> endpoint_of(std::string_view service) {
  const auto lower = [](std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    std::erase(out, '_');
    return out;
  };
  for (const Endpoint& endpoint : endpoints()) {
    if (lower(service_name(endpoint)) == lower(service) || lower(endpoint.name) == lower(service)) return endpoint;
  }
  return {};
}

int run(std::vector<std::string> words) {
  CallerOptions options;
  if (words.size() >= 2 && words[0] == "--keys") {
    options.keys_file = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.empty() || words[0] == "--help") return usage(stdout);
  const std::string where = words[0];
  words.erase(words.begin());
  std::optional<Endpoint> endpoint = find_endpoint(where);
  const bool named = endpoint.has_value();
  if (!words.empty()) {
    if (const size_t dot = words[0].rfind('.'); dot != std::string::npos) {
      const std::string service = words[0].substr(0, dot);
      if (!named) endpoint = endpoint_of(service.substr(service.rfind('.') + 1));
      words[0] = words[0].substr(dot + 1);
    }
  }
  if (!endpoint) {
    if (where.find(':') == std::string::npos) {
      say("hongyan-rpc: there is no service '" + where + "'", stderr);
      return usage(stderr);
    }
    if (!words.empty()) {
      say("hongyan-rpc: at an address the method needs its service: Inbox." + words[0], stderr);
      return 2;
    }
    for (const Endpoint& one : endpoints()) say(describe_methods(one));
    return 0;
  }
  if (words.empty()) {
    say(describe_methods(*endpoint));
    return 0;
  }
  options.address = named ? std::string(endpoint->address) : where;
  const auto env = runtime::make_os_env({});
  return call_from_words(*env, options, *endpoint, std::move(words));
}

}  // namespace
}  // namespace hongyan::process

int main(int argc, char** argv) {
  google::protobuf::SetLogHandler(nullptr);
  return hongyan::process::run({argv + 1, argv + argc});
}
