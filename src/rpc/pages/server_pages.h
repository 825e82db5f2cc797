// What a Server tells its operator: counters of every method, recent slow and failed calls, and the pages on its own port.
//
//   ServerPages pages(env, about);
//   Server server(env, address, services, {.observer = &pages, .pages = &pages});
//   pages.show(server);
//
// A method's counters are registered at its first call and found by its index from then on: no look-up by name. Calls
// that were refused before their handler are counted, and not kept. The server's port is the deployment's own, so its
// pages are read without a secret and change nothing. Outlives the server. Owning thread only.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "rpc/hooks.h"
#include "rpc/pages/pages.h"
#include "rpc/server.h"
#include "runtime/counters/counters.h"

namespace hongyan::rpc {

// The recent past, for people.
class RecentCalls {
 public:
  static constexpr size_t k_kept = 128;  // Slow ones and failed ones each: a flood of one kind leaves the other.
  explicit RecentCalls(runtime::Duration slow) : slow_(slow) {}
  void add(const CallRecord& record);
  std::vector<CallRow> rows() const;  // The latest first.

 private:
  runtime::Duration slow_;
  std::deque<CallRow> slow_calls_, failed_calls_;
};

class ServerPages : public Observer, public PageHandler {
 public:
  static constexpr runtime::Duration k_slow = std::chrono::milliseconds(100);  // A person notices.
  ServerPages(Env& env, Pages::About about, runtime::Duration slow = k_slow);
  ~ServerPages() override;
  // From now on: its connections and methods too.
  void show(const Server& server) { server_ = &server; }

  void on_start(CallRecord& record, Call& call) override;
  void on_end(const CallRecord& record) override;
  bool page(Call& call, const HttpRequest& request, HttpResponse& response) override;

 private:
  struct MethodCounters;
  MethodCounters& counters_of(const CallRecord& record);
  PageSources sources();

  Env& env_;
  const Server* server_ = nullptr;
  RecentCalls recent_;
  std::vector<std::unique_ptr<MethodCounters>> methods_;  // By CallRecord::index.
  Pages pages_;
};

}  // namespace hongyan::rpc
