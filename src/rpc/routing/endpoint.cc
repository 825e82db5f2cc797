#include "rpc/routing/endpoint.h"

#include <google/protobuf/empty.pb.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "runtime/log/log.h"

namespace hongyan::rpc {

using google::protobuf::Empty;
using runtime::Duration;
using runtime::Time;
using namespace std::chrono_literals;

namespace {

// Pauses between attempts to reach an instance double between these. A handler may say
// `unavailable` of something behind it: a connection in doubt is not asked more often either.
constexpr Duration k_pause_min = 100ms;
constexpr Duration k_pause_max = 5s;
// A connection that nothing came over for so long is asked whether it is still there.
constexpr Duration k_quiet_max = 10s;
// What was slow is believed to be half as slow after so long without a call: else nobody would find
// out that it has recovered.
constexpr Duration k_latency_half_life = 5s;
// Refused more than every second call within the last second: full.
constexpr Duration k_refusal_counts = 1s;
constexpr double k_share_min = 0.1;

class TcpLink : public Link {
 public:
  TcpLink(Env& env, const std::string& address, ChannelOptions options)
      : channel_(env, address, std::move(options)) {}
  Status call(Call& call, const MethodInfo& method, const Message& request,
              Message& response) override {
    return channel_.call(call, method, request, response);
  }
  void close() override { channel_.close(); }

 private:
  TcpChannel channel_;
};

const Message* empty_message() { return &Empty::default_instance(); }

// No server has it; what matters is that it answers.
MethodInfo question_method() {
  MethodInfo method;
  method.service = "Link";
  method.name = "Check";
  method.full_name = "hongyan.rpc.Link.Check";
  method.id = static_cast<uint32_t>(stable_hash(method.full_name));
  method.request = method.response = empty_message;
  return method;
}

// Nothing of the instance stands behind these.
bool is_no_answer(Code code) {
  return code == Code::unavailable || code == Code::unknown_outcome || code == Code::deadline ||
         code == Code::cancelled || code == Code::closed;
}

}  // namespace

std::unique_ptr<Link> make_tcp_link(Env& env, const std::string& address, ChannelOptions options) {
  return std::make_unique<TcpLink>(env, address, std::move(options));
}

Endpoint::Endpoint(Env& env, const EndpointOptions& options, std::string address,
                   std::unique_ptr<Link> link, std::function<void()> changed)
    : env_(env),
      options_(options),
      address_(std::move(address)),
      link_(std::move(link)),
      changed_(std::move(changed)),
      shield_(options.shield) {}

Endpoint::~Endpoint() { CHECK(in_flight_ == 0); }

bool Endpoint::ask() {
  const MethodInfo method = question_method();
  Call call = runtime::background_call(env_, options_.connect_time);
  call.priority.business = 0;  // Whether it is there must be known under overload too.
  const Empty request;
  Empty response;
  const Status status = link_->call(call, method, request, response);
  if (is_no_answer(status.code())) {
    why_ = status;
    return false;
  }
  answered_at_ = env_.now();
  return true;
}

void Endpoint::keep() {
  Duration pause{};
  for (;;) {
    const Time now = env_.now();
    if (now >= leaves_at_) break;
    const Time ask_at = doubted_ ? after(asked_at_, k_pause_min) : after(answered_at_, k_quiet_max);
    if (reachable_ && now < ask_at) {
      if (news_.wait(std::min(ask_at, leaves_at_)).code() == Code::cancelled) break;
      continue;
    }
    doubted_ = false;
    asked_at_ = now;
    if (ask()) {
      pause = {};
      told_ = false;
      if (!std::exchange(reachable_, true)) {
        reachable_since_ = env_.now();
        changed_();
      }
      continue;
    }
    if (std::exchange(reachable_, false)) slowly_ = true;  // It has perhaps lost its caches.
    if (why_.code() != Code::cancelled && why_.code() != Code::closed && !std::exchange(told_, true)) {
      env_.log().info("rpc: {} can't be reached: {}", address_, why_.detail());
    }
    pause = std::clamp(pause * 2, k_pause_min, k_pause_max);
    const auto half = static_cast<uint64_t>(pause.count() / 2);
    const Time until = after(env_.now(), Duration(half + env_.random_u64() % (half + 1)));
    Status waited;
    while (env_.now() < until && env_.now() < leaves_at_) {
      waited = news_.wait(std::min(until, leaves_at_));
      if (waited.code() == Code::cancelled) break;
    }
    if (waited.code() == Code::cancelled) break;
  }
  reachable_ = false;
  closed_ = true;
  link_->close();
}

void Endpoint::leave() {
  if (leaves_at_ != runtime::k_never) return;
  leaves_at_ = after(env_.now(), options_.linger);
  news_.wake_all();
}

bool Endpoint::stay() {
  if (closed_ || env_.now() >= leaves_at_) return false;
  leaves_at_ = runtime::k_never;
  return true;
}

Outcome Endpoint::judge(const Status& status, Duration took, bool overtaken) const {
  switch (status.code()) {
    case Code::unavailable:
    case Code::unknown_outcome:
    case Code::internal:
    case Code::corrupt:
    case Code::io: return Outcome::bad;
    case Code::deadline: return took >= options_.fair_time ? Outcome::bad : Outcome::neutral;
    case Code::overloaded:  // It works, and said so cheaply.
    case Code::rate_limited:
    case Code::closed: return Outcome::neutral;
    case Code::cancelled: return overtaken ? Outcome::bad : Outcome::neutral;
    default: return Outcome::good;  // An answer, be it a refusal on business grounds.
  }
}

double Endpoint::latency_us(Time now) const {
  const double age = std::chrono::duration<double>(now - latency_at_).count();
  const double half_life = std::chrono::duration<double>(k_latency_half_life).count();
  return latency_us_ * std::exp2(-age / half_life);
}

// Slower is believed at once, faster slowly.
void Endpoint::note_latency(Duration took) {
  const Time now = env_.now();
  const double sample = static_cast<double>(took.count()) / 1000;
  const double before = latency_us(now);
  latency_us_ = before + (sample - before) * (sample > before ? 0.5 : 0.2);
  latency_at_ = now;
}

Status Endpoint::call(Call& call, const MethodInfo& method, const Message& request,
                      Message& response, Random& random, const bool& overtaken) {
  const Time begun = env_.now();
  const bool probe = shield_.started(begun);
  ++in_flight_;
  ++calls_;
  Status status = link_->call(call, method, request, response);
  --in_flight_;
  const Time now = env_.now();
  const Duration took = now - begun;
  const Outcome outcome = judge(status, took, overtaken);
  const bool refused = status.code() == Code::overloaded;
  failures_ += outcome == Outcome::bad;
  refusals_ += refused;
  if (!is_no_answer(status.code())) {
    answered_at_ = now;
    refused_part_ += ((refused ? 1.0 : 0.0) - refused_part_) / 8;
    if (refused) refused_at_ = now;
  }
  // Of one that was given up we know that it took at least so long.
  if (!refused && status.code() != Code::unavailable) note_latency(took);
  if (status.code() == Code::unavailable || status.code() == Code::unknown_outcome) {
    doubted_ = true;
    news_.wake_all();
  }
  shieldings_ += shield_.ended(now, probe, outcome, random);
  return status;
}

Health Endpoint::health(Time now) const {
  Health health{.reachable = reachable_,
                .shielded = !shield_.allows(now),
                .in_flight = in_flight_,
                .latency_us = latency_us(now)};
  const bool refuses = refused_part_ > 0.5 && now < after(refused_at_, k_refusal_counts);
  health.full = refuses || in_flight_ >= options_.in_flight_max;
  if (slowly_ && options_.slow_start > Duration{}) {
    const double age = std::chrono::duration<double>(now - reachable_since_).count();
    const double whole = std::chrono::duration<double>(options_.slow_start).count();
    health.share = std::clamp(k_share_min + (1 - k_share_min) * age / whole, k_share_min, 1.0);
  }
  return health;
}

}  // namespace hongyan::rpc
