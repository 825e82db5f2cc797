// bench tickets: what a data service's guard costs a call - the ticket's MAC and time, revocation, the declared policy, a
// grant - beside a MAC of as many bytes alone.
#include <sodium.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "api/internal/inbox.rpc.pb.h"
#include "bench/options.h"
#include "rpc/guard.h"
#include "rpc/ticket.h"
#include "runtime/os/clock.h"

namespace hongyan::bench {
namespace {

constexpr size_t k_callers = 4096;  // More than the guard remembers.
constexpr uint64_t k_peer = 7;
constexpr double k_ns_max = 2000;

rpc::KeyRing ring(uint8_t id) { return rpc::KeyRing({{.id = id, .bytes = std::string(32, static_cast<char>(id))}}); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Guarded {
 public:
  explicit Guarded(Env& env)
      : guard_(env, "inbox", ring(1), {{"contact", ring(9)}}, revocations_) {
    const rpc::AudienceKeys audiences = {{"account", ring(2)}, {"contact", ring(3)}, {"device", ring(4)},
                                         {"group", ring(5)},   {"inbox", ring(1)}};
    const int64_t expires_ms = env.utc_ms() + rpc::k_call_ticket_ms_max;
    for (size_t n = 0; n < k_callers; ++n) {
      const rpc::Identity identity{.uin = n + 1, .device = std::string(16, 'd'), .epoch = 1, .feature_level = 2,
                                   .expires_ms = expires_ms};
      Call call;
      call.ticket = std::make_shared<const std::string>(
          rpc::make_call_ticket(audiences, identity, runtime::Priority{.business = 20, .user = 1}));
      calls_.push_back(call);
      internal::AppendRequest request;
      request.set_uin(n + 1);
      request.set_peer(k_peer);
      request.set_grant(rpc::make_grant(ring(9), {.issuer = "contact", .actor = n + 1, .object = k_peer, .right = "write",
                                                  .expires_ms = expires_ms}));
      requests_.push_back(request);
    }
    for (const rpc::MethodInfo& method : inbox_.methods()) {
      if (method.name == "Append") owned_ = &method;
      if (method.name == "Send") granted_ = &method;
    }
    CHECK(owned_ != nullptr && granted_ != nullptr && granted_->policy.all);
  }

  size_t ticket_bytes() const { return calls_[0].ticket->size(); }
  // A caller for each call, or the same one again.
  void check(const rpc::MethodInfo& method, size_t callers, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const size_t n = static_cast<size_t>(i) % callers;
      CHECK(guard_.before(calls_[n], method, requests_[n]).ok());
    }
  }
  const rpc::MethodInfo& owned() const { return *owned_; }
  const rpc::MethodInfo& granted() const { return *granted_; }

 private:
  rpc::Revocations revocations_;
  rpc::Guard guard_;
  std::vector<Call> calls_;
  std::vector<internal::AppendRequest> requests_;
  internal::InboxFake inbox_;  // For what the contract declares of its methods.
  const rpc::MethodInfo* owned_ = nullptr;
  const rpc::MethodInfo* granted_ = nullptr;
};

double nanoseconds_each(int64_t count, const std::function<void(int64_t)>& all) {
  const runtime::Time start = runtime::monotonic_now();
  all(count);
  return static_cast<double>((runtime::monotonic_now() - start).count()) / static_cast<double>(count);
}

}  // namespace

Status bench_tickets(Env& env, const Options& options, Report& report) {
  const int rounds = options.quick ? 3 : 15;
  const int64_t count = options.quick ? 2'000 : 200'000;
  Guarded guarded(env);
  struct Contender {
    const char* test;
    const rpc::MethodInfo& method;
    size_t callers;
    std::vector<double> ns = {};
  };
  std::vector<Contender> contenders = {{"a ticket that was seen before, owner", guarded.owned(), 64},
                                       {"another ticket every time, owner", guarded.owned(), k_callers},
                                       {"a ticket that was seen before, owner and grant", guarded.granted(), 64},
                                       {"another ticket every time, owner and grant", guarded.granted(), k_callers}};
  const std::string bytes(guarded.ticket_bytes(), 'x'), key(32, 'k');
  std::vector<double> macs;
  unsigned char mac[16];
  for (int round = 0; round < rounds; ++round) {
    for (Contender& one : contenders) {
      one.ns.push_back(nanoseconds_each(count, [&](int64_t n) { guarded.check(one.method, one.callers, n); }));
    }
    macs.push_back(nanoseconds_each(count, [&](int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        crypto_generichash(mac, sizeof mac, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                           reinterpret_cast<const unsigned char*>(key.data()), key.size());
      }
    }));
  }
  for (Contender& one : contenders) {
    Row row{.test = one.test, .unit = "ns", .ours = median(one.ns)};
    row.peers.emplace_back("BLAKE2b of a ticket", median(macs));
    if (!options.quick) row.ours_max = k_ns_max;
    report.add(row);
  }
  return {};
}

}  // namespace hongyan::bench
