// hongyan-rpc: lists and calls any method of any service: `./hongyan rpc`.
//
//   hongyan-rpc                                         every service with its default address
//   hongyan-rpc SERVICE                                 its methods
//   hongyan-rpc ADDR                                    the methods of whatever serves there
//   hongyan-rpc ADDR [SERVICE.]METHOD [JSON]            a call of one that this program was not built with
//   hongyan-rpc SERVICE|ADDR [SERVICE.]METHOD --help    its fields
//   hongyan-rpc SERVICE|ADDR [SERVICE.]METHOD [--as SERVICE | --uin N] [--FIELD VALUE ...] [JSON]
//
// The words are those of process/caller.h. `--keys FILE`, before the address, gives the keys that sign the ticket: a
// service's own, or the secrets of a data directory. `--tls DIRECTORY` there says that services speak TLS and where the
// operator's certificate is (process/internal_tls.h). `--ticket BASE64` gives a ready one instead; --timeout-ms N and
// --key N (a routing key) stand before the address, too. A service of the product, named without its package, is called
// with this program's own descriptors and flags; all others with the server's (process/foreign_caller.h).
#include <google/protobuf/stubs/logging.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/bytes.h"
#include "process/caller.h"
#include "process/foreign_caller.h"
#include "process/internal_tls.h"
#include "runtime/os/os_env.h"

namespace hongyan::process {
namespace {

constexpr const char* k_usage =
    "usage: ./hongyan rpc [--keys FILE] [--tls DIR] [SERVICE|ADDR [[SERVICE.]METHOD [--as SERVICE | --uin N] [--FIELD VALUE ...] [JSON]]]\n"
    "       ./hongyan rpc [--tls DIR] [--ticket BASE64] [--timeout-ms N] [--key N] ADDR [[SERVICE.]METHOD [JSON]]\n"
    "  SERVICE or ADDR alone lists the methods there, METHOD --help its fields; ADDR is host:port of any service\n"
    "  --keys FILE       signs the ticket: a service's key file, or DATA/secrets\n"
    "  --tls DIR         services speak TLS; the certificates are there (hongyan-server certificates)\n"
    "  --ticket BASE64   a ticket that is ready\n"
    "  --timeout-ms N    how long the call may take: 10000\n"
    "  --key N           its routing key\n"
    "exit status: 0, 1 the call failed, 2 wrong usage, 3 nobody answers at ADDR\n"
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

template <typename Number>
bool read_number(const std::string& text, Number& number) {
  const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc() && stop == text.data() + text.size();
}

// The options before the address; false: one of them is not as it should be.
bool take_options(std::vector<std::string>& words, CallerOptions& options, ForeignOptions& foreign, std::string& tls, bool& plain) {
  while (!words.empty() && words[0].starts_with("--") && words[0] != "--help") {
    const std::string name = words[0];
    if (words.size() < 2) return false;
    const std::string value = words[1];
    words.erase(words.begin(), words.begin() + 2);
    if (name == "--keys") {
      options.keys_file = value;
      continue;
    }
    if (name == "--tls") {
      tls = value;
      continue;
    }
    plain = true;
    if (name == "--ticket") {
      if (!from_base64(value)) return false;
      foreign.ticket = value;
    } else if (name == "--timeout-ms") {
      uint32_t milliseconds = 0;
      if (!read_number(value, milliseconds) || milliseconds == 0) return false;
      foreign.time = std::chrono::milliseconds(milliseconds);
    } else if (name == "--key") {
      uint64_t key = 0;
      if (!read_number(value, key)) return false;
      foreign.routing_key = key;
    } else {
      return false;
    }
  }
  return true;
}

// Whether the words are for a service that this program knows and, therefore, may sign for: "Inbox.Append".
bool is_ours(const std::vector<std::string>& words) {
  if (words.empty()) return false;
  const size_t dot = words[0].rfind('.');
  if (dot == std::string::npos) return false;
  const std::string service = words[0].substr(0, dot);
  const size_t package = service.rfind('.');
  return endpoint_of(service.substr(package + 1)) && (package == std::string::npos || service.starts_with("hongyan."));
}

int run(std::vector<std::string> words) {
  CallerOptions options;
  ForeignOptions foreign;
  std::string tls_directory;
  bool plain = false;  // An option that only calls by address have.
  if (!take_options(words, options, foreign, tls_directory, plain)) return usage(stderr);
  if (words.empty() || words[0] == "--help") return usage(stdout);
  const auto env = runtime::make_os_env({});
  InternalTls tls;
  if (!tls_directory.empty()) {
    auto loaded = InternalTls::load_operator(*env, tls_directory);
    if (!loaded.ok()) {
      say("hongyan-rpc: --tls: " + loaded.status().detail(), stderr);
      return 2;
    }
    tls = std::move(*loaded);
  }
  const std::string where = words[0];
  words.erase(words.begin());
  std::optional<Endpoint> endpoint = find_endpoint(where);
  const bool named = endpoint.has_value();
  if (!named && where.find(':') != std::string::npos && (plain || !is_ours(words))) {
    foreign.address = where;
    foreign.tls = tls.client(*env, "");
    return call_foreign(*env, foreign, words);
  }
  if (plain) {
    say("hongyan-rpc: --ticket, --timeout-ms and --key want an address", stderr);
    return 2;
  }
  if (!words.empty()) {
    if (const size_t dot = words[0].rfind('.'); dot != std::string::npos) {
      const std::string service = words[0].substr(0, dot);
      if (!named) endpoint = endpoint_of(service.substr(service.rfind('.') + 1));
      words[0] = words[0].substr(dot + 1);
    }
  }
  if (!endpoint) {
    say("hongyan-rpc: there is no service '" + where + "'", stderr);
    return usage(stderr);
  }
  if (words.empty()) {
    say(describe_methods(*endpoint));
    return 0;
  }
  options.address = named ? std::string(endpoint->address) : where;
  options.tls = tls.client(*env, endpoint->name);
  return call_from_words(*env, options, *endpoint, std::move(words));
}

}  // namespace
}  // namespace hongyan::process

int main(int argc, char** argv) {
  google::protobuf::SetLogHandler(nullptr);
  return hongyan::process::run({argv + 1, argv + argc});
}
