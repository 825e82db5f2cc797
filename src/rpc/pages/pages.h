// The built-in pages of a process, for the people who run it: what it is, what it counts, who is connected, what its
// coroutines wait in, which calls were slow or failed, how loud its log is. Each as HTML, or as JSON with ?format=json;
// /metrics is OpenMetrics text. No sockets: whoever listens on a port that only the operator reaches asks handle().
//
// Reading never changes anything. What does (the log's level) needs `may_change`, which the listener sets when it knows
// who asks. Pages show no ticket, no password and no message. Answers stay below a few MiB: tables are cut at 2,000
// rows and say so.
//
// Owning thread only; handle() does not wait, profile() does. Sources outlive the Pages.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/pages/table.h"
#include "runtime/env/env.h"

namespace hongyan::rpc {

struct PageRequest {
  std::string_view path;   // "/vars"
  std::string_view query;  // "filter=rpc&format=json", without '?'
  bool post = false;
  bool may_change = false;
};

struct PageAnswer {
  int status = 200;
  std::string content_type;
  std::string body;
};

// What only those know who listen and serve. None of the functions may wait.
struct ConnectionRow {
  std::string peer;
  std::string kind;  // "frames", "http", "web", "long link"
  uint64_t calls = 0;
  uint64_t in_flight = 0;
  uint64_t unsent_bytes = 0;
  runtime::Duration quiet{};
};

struct MethodRow {
  std::string name;
  std::string policy = {};  // What its .proto declares: "user", "service"
  std::string flags = {};
  uint64_t running = 0;
  uint64_t limit = 0;  // 0: none.
};

struct CallRow {
  runtime::Time started{};
  std::string method = {}, peer = {}, code = {}, detail = {}, trace = {};
  runtime::Duration took{}, queued{};
  bool sampled = false;  // There are spans of it.
};

struct PageSources {
  std::function<std::vector<ConnectionRow>(size_t count_max)> connections = {};
  std::function<std::vector<MethodRow>()> methods = {};
  std::function<std::vector<CallRow>()> calls = {};               // Slow and failed ones, the latest first.
  std::function<std::vector<std::pair<std::string, Cell>>()> status = {};  // More facts for /status.
};

class Pages {
 public:
  struct About {
    std::string program;  // "hongyan-server"
    std::string version;
    int process = 0;
  };
  Pages(Env& env, About about, PageSources sources = {});

  // 404 for what is no page, 405 and 403 for changes that are not let through.
  PageAnswer handle(const PageRequest& request);
  // /cpu and /heap with ?seconds=N: waits for so long, then collapsed stacks as text (runtime/env/profiler.h). One at a
  // time, else 409.
  static bool is_profile(const PageRequest& request);
  PageAnswer profile(Call& call, const PageRequest& request);

 private:
  Table index();
  Table status();
  Table vars(std::string_view filter);
  Table connections();
  Table coroutines();
  Table calls();
  Table traces(std::string_view id);
  Table cpu();
  Table heap();
  Table methods();
  Table log();
  PageAnswer change_log(const PageRequest& request);

  Env& env_;
  About about_;
  PageSources sources_;
  runtime::Time born_;
};

// The value of a field in a query, with %XX and '+' decoded; "" when it is not there.
std::string query_field(std::string_view query, std::string_view name);

}  // namespace hongyan::rpc
