// A server that can do so many calls a second, each of them work for the processor, is asked three times as many by the
// clock: sends, group sends and searches of 128 user levels, under tickets that are checked. Beside refusal by chance,
// which is what FastReject of PhxRPC does: 5 % more or less every second.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <sstream>
#include <thread>

#include "base/check.h"
#include "base/random.h"
#include "bench/echo.rpc.pb.h"
#include "bench/load.h"
#include "bench/options.h"
#include "bench/peer_process.h"
#include "rpc/guard.h"
#include "rpc/overload/level.h"
#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "runtime/coro/run.h"
#include "runtime/log/log.h"
#include "runtime/os/os_env.h"

namespace hongyan::bench {

namespace {

using namespace std::chrono_literals;

constexpr auto k_deadline = 500ms;
constexpr int k_call_us = 200;
constexpr double k_overload = 3;
constexpr std::array<uint8_t, 3> k_business = {20, 50, 110};  // A send, a group send, a search.
constexpr std::array<uint64_t, 3> k_share = {2, 2, 6};        // In ten.

rpc::KeyRing ring() { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, 'k')}}); }

uint64_t spin(uint64_t rounds) {
  uint64_t x = 88172645463325252;
  for (uint64_t i = 0; i < rounds; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}

// How many rounds are so long; the shortest of several, for others use the machine too.
uint64_t rounds_of(int us) {
  constexpr uint64_t k_rounds = 1'000'000;
  int64_t best = INT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const int64_t start = now_ns();
    volatile uint64_t sink = spin(k_rounds);
    (void)sink;
    best = std::min(best, now_ns() - start);
  }
  return k_rounds * static_cast<uint64_t>(us) * 1000 / static_cast<uint64_t>(best);
}

class Working : public EchoService {
 public:
  explicit Working(int us) : rounds_(us == 0 ? 0 : rounds_of(us)) {}
  Result<EchoReply> say(Call&, const EchoRequest& request) override {
    EchoReply reply;
    reply.set_body(spin(rounds_) == 0 ? "zero" : request.body());
    return reply;
  }

 private:
  const uint64_t rounds_;
};

class ByChance : public rpc::Admission {
 public:
  Verdict ask(const rpc::Arrival& arrival) override {
    wait(arrival.now - arrival.arrived, arrival.now);
    if (random_.unit() < chance_) return {.code = Code::overloaded, .why = "by chance"};
    return {};
  }
  uint32_t level() const override { return rpc::k_level_open; }
  void started(const rpc::MethodInfo&, runtime::Duration) override {}
  void ended(const rpc::MethodInfo&, runtime::Duration, Code) override {}
  void late(const rpc::Arrival& arrival) override { wait(arrival.now - arrival.arrived, arrival.now); }

 private:
  void wait(runtime::Duration waited, runtime::Time now) {
    sum_ += waited;
    ++count_;
    if (now - tick_ < 1s) return;
    chance_ = std::clamp(chance_ + (sum_ / count_ > 20ms ? 0.05 : -0.05), 0.0, 0.99);
    tick_ = now;
    sum_ = {};
    count_ = 0;
  }
  Random random_{1};
  double chance_ = 0;
  runtime::Time tick_{};
  runtime::Duration sum_{};
  int count_ = 0;
};

class Nobody : public rpc::Admission {
 public:
  Verdict ask(const rpc::Arrival&) override { return {.code = Code::overloaded, .why = "the server is overloaded"}; }
  uint32_t level() const override { return rpc::k_level_open; }
  void started(const rpc::MethodInfo&, runtime::Duration) override {}
  void ended(const rpc::MethodInfo&, runtime::Duration, Code) override {}
};

struct Tally {
  std::array<double, 3> asked{}, done{};
  double calls = 0, refused = 0, seconds = 0;

  std::string text() const {
    return fmt::format("{} {} {} {} {} {} {} {} {}", asked[0], asked[1], asked[2], done[0], done[1], done[2], calls, refused, seconds);
  }
  static Tally parse(const std::string& line) {
    Tally out;
    std::istringstream in(line);
    for (double& n : out.asked) in >> n;
    for (double& n : out.done) in >> n;
    in >> out.calls >> out.refused >> out.seconds;
    return out;
  }
  double actions_per_second() const { return (done[0] + done[1] + done[2]) / seconds; }
};

struct Asking {  // "rate calls warm_ms run_ms": rate 0 is 16 in flight, each asked again when it is answered.
  double rate = 0;
  int calls = 1, warm_ms = 0, run_ms = 0;
};

class Generator {
 public:
  Generator(Env& env, int port) : env_(env), channel_(env, "127.0.0.1:" + std::to_string(port)), client_(channel_) {
    const rpc::AudienceKeys keys = {{"echo", ring()}};
    request_.set_body(std::string(100, 'x'));
    for (uint8_t business : k_business) {
      for (uint8_t user = 0; user < rpc::k_user_levels; ++user) {
        const rpc::Identity identity{.uin = user + 1u, .device = "d", .epoch = 1, .feature_level = 2,
                                     .expires_ms = env.utc_ms() + rpc::k_call_ticket_ms_max};
        tickets_.push_back(std::make_shared<const std::string>(
            rpc::make_call_ticket(keys, identity, runtime::Priority{.business = business, .user = user})));
      }
    }
  }
  ~Generator() { channel_.close(); }

  Tally run(const Asking& asking) {
    start_ = now_ns() + asking.warm_ms * int64_t{1'000'000};
    end_ = start_ + asking.run_ms * int64_t{1'000'000};
    runtime::Nursery actions(env_.scheduler());
    if (asking.rate == 0) {
      for (int i = 0; i < 16; ++i) {
        actions.spawn("caller", [this] {
          while (now_ns() < end_) act(random_.below(3), 1);
        });
      }
    } else {
      by_the_clock(asking, actions);
    }
    Call for_ever;
    CHECK(actions.join(for_ever).ok());
    tally_.seconds = asking.run_ms / 1000.0;
    return tally_;
  }

 private:
  void by_the_clock(const Asking& asking, runtime::Nursery& actions) {
    const int64_t begin = now_ns();
    Call for_ever;
    for (int64_t n = 0;;) {
      const int64_t now = now_ns();
      if (now >= end_) return;
      const int64_t due = begin + static_cast<int64_t>(static_cast<double>(n) * 1e9 / asking.rate);
      if (now < due) {
        (void)runtime::sleep(for_ever, runtime::Duration(due - now));
        continue;
      }
      if (++n % 64 == 0) env_.scheduler().yield();
      const uint64_t of_ten = random_.below(10);
      const size_t kind = of_ten < k_share[0] ? 0 : of_ten < k_share[0] + k_share[1] ? 1 : 2;
      actions.spawn("action", [this, kind, calls = asking.calls] { act(kind, calls); });
    }
  }

  // One user action: calls one after the other; one that fails is the end of it.
  void act(size_t kind, int calls) {
    const int64_t began = now_ns();
    const bool counts = began >= start_ && began < end_;
    Call call = background_call(env_, k_deadline);
    const auto user = static_cast<uint8_t>(random_.below(rpc::k_user_levels));
    call.priority = {.business = k_business[kind], .user = user};
    call.ticket = tickets_[kind * rpc::k_user_levels + user];
    if (counts) ++tally_.asked[kind];
    for (int i = 0; i < calls; ++i) {
      const bool ok = client_.say(call, request_).ok();
      if (counts) ++(ok ? tally_.calls : tally_.refused);
      if (!ok) return;
    }
    if (counts) ++tally_.done[kind];
  }

  Env& env_;
  rpc::TcpChannel channel_;
  EchoClient client_;
  EchoRequest request_;
  std::vector<std::shared_ptr<const std::string>> tickets_;
  Random random_{7};
  int64_t start_ = 0, end_ = 0;
  Tally tally_;
};

struct OverloadedServer {
  PeerProcess process;
  std::string port;
  Status start(const std::string& role) {
    port = TRY(process.start("hongyan-bench", {"peer", role}, 0));
    return {};
  }
};

Result<Tally> ask(OverloadedServer& server, const Asking& asking, double* cpu_us_per_call = nullptr) {
  PeerProcess load;
  TRY(load.start("hongyan-bench", {"peer", "load-overload", server.port}, 1));
  const double before = server.process.cpu_seconds();
  const Tally tally = Tally::parse(TRY(load.ask(fmt::format("{} {} {} {}", asking.rate, asking.calls, asking.warm_ms, asking.run_ms))));
  if (tally.seconds == 0) return Status(Code::internal, "the load generator said nothing");
  if (cpu_us_per_call != nullptr) {
    const double share = static_cast<double>(asking.run_ms) / (asking.run_ms + asking.warm_ms);
    *cpu_us_per_call = (server.process.cpu_seconds() - before) * share * 1e6 / std::max(1.0, tally.calls + tally.refused);
  }
  return tally;
}

}  // namespace

int serve_overload(const std::string& how) {
  const auto env = runtime::make_os_env({});
  env->log().set_level(runtime::LogLevel::error);
  Working working(how == "idle" ? 0 : k_call_us);
  rpc::Revocations revocations;
  rpc::Guard guard(*env, "echo", ring(), {}, revocations);
  ByChance by_chance;
  Nobody nobody;
  rpc::ServerOptions options;  // By level: as every server is.
  options.in_flight_max = 100'000;
  if (how == "chance") options.admission = &by_chance;
  if (how == "nobody") options.admission = &nobody;
  rpc::Server server(*env, "127.0.0.1:0", {{&working, &guard}}, options);
  runtime::run_to_end(env->scheduler(), "start", [&] {
    CHECK(server.start().ok());
    const std::string address = server.address();
    say(address.substr(address.rfind(':') + 1));
  });
  std::thread reader([&] {
    std::string line;
    while (next_question(line)) {
    }
    env->scheduler().stop();
  });
  env->scheduler().run();
  reader.join();
  std::_Exit(0);
}

int load_overload(int port) {
  const auto env = runtime::make_os_env({});
  env->log().set_level(runtime::LogLevel::error);
  say("ready");
  for (std::string line; next_question(line);) {
    Asking asking;
    std::istringstream(line) >> asking.rate >> asking.calls >> asking.warm_ms >> asking.run_ms;
    std::string said;
    runtime::run_to_end(env->scheduler(), "load", [&] { said = Generator(*env, port).run(asking).text(); });
    say(said);
  }
  return 0;
}

// Peak and overload take turns, for a machine may be faster at the end than at the beginning. Refusal by chance comes last:
// it needs a quarter of a minute to find its share, which it still knows when the actions of four calls come.
Status bench_overload(Env&, const Options& options, Report& report) {
  OverloadedServer by_level, by_chance, nobody, idle;
  TRY(by_level.start("serve-level"));
  TRY(by_chance.start("serve-chance"));
  TRY(nobody.start("serve-nobody"));
  TRY(idle.start("serve-idle"));
  const auto ms = [&](int full) { return options.quick ? full / 20 : full; };

  double call_us = 0, refusal_us = 0, empty_us = 0;
  const Tally before = TRY(ask(by_level, {.warm_ms = ms(1000), .run_ms = ms(4000)}, &call_us));
  const double rate = k_overload * before.calls / before.seconds;
  const Tally one = TRY(ask(by_level, {.rate = rate, .calls = 1, .warm_ms = ms(5000), .run_ms = ms(12'000)}));
  const Tally between = TRY(ask(by_level, {.warm_ms = ms(1000), .run_ms = ms(3000)}));
  const Tally four = TRY(ask(by_level, {.rate = rate / 4, .calls = 4, .warm_ms = ms(5000), .run_ms = ms(12'000)}));
  const Tally after = TRY(ask(by_level, {.warm_ms = ms(1000), .run_ms = ms(3000)}));
  TRY(ask(nobody, {.warm_ms = ms(500), .run_ms = ms(1500)}, &refusal_us));
  TRY(ask(idle, {.warm_ms = ms(500), .run_ms = ms(1500)}, &empty_us));
  const Tally one_chance = TRY(ask(by_chance, {.rate = rate, .calls = 1, .warm_ms = ms(15'000), .run_ms = ms(5000)}));
  const Tally four_chance = TRY(ask(by_chance, {.rate = rate / 4, .calls = 4, .warm_ms = ms(4000), .run_ms = ms(6000)}));

  const auto per_second = [](const Tally& tally) { return tally.calls / tally.seconds; };
  const double peak_one = (per_second(before) + per_second(between)) / 2, peak_four = (per_second(between) + per_second(after)) / 2;
  const auto share_done = [](const Tally& tally, size_t kind) { return 100 * tally.done[kind] / std::max(1.0, tally.asked[kind]); };
  report.add({.test = "goodput at 3x the capacity", .unit = "calls/s", .ours = per_second(one),
              .peers = {{"peak", peak_one}}, .ratio_min = 0.9});
  report.add({.test = "goodput at 3x, beside chance", .unit = "calls/s", .ours = per_second(one),
              .peers = {{"by chance", per_second(one_chance)}}});
  report.add({.test = "success of the top priority", .unit = "%", .ours = share_done(one, 0),
              .peers = {{"all", 100}, {"by chance", share_done(one_chance, 0)}}, .ratio_min = 0.99});
  report.add({.test = "a refusal, server's processor", .unit = "us", .ours = refusal_us,
              .peers = {{"a call", call_us}, {"an empty call", empty_us}}, .ratio_max = 0.2});
  report.add({.test = "actions of 4 calls at 3x", .unit = "actions/s", .ours = four.actions_per_second(),
              .peers = {{"capacity / 4", peak_four / 4}, {"by chance", four_chance.actions_per_second()}}, .ratio_min = 0.85});
  report.add({.test = "actions of 4 calls, top priority", .unit = "%", .ours = share_done(four, 0),
              .peers = {{"all", 100}, {"by chance", share_done(four_chance, 0)}}});
  report.note(fmt::format("A call is {} us of work. At 3x: {:.1f} % of the group sends and {:.1f} % of the searches done; of the actions of 4 "
                          "calls {:.1f} and {:.1f} %. Peaks: {:.0f}, {:.0f}, {:.0f}/s.",
                          k_call_us, share_done(one, 1), share_done(one, 2), share_done(four, 1), share_done(four, 2),
                          per_second(before), per_second(between), per_second(after)));
  return {};
}

}  // namespace hongyan::bench
