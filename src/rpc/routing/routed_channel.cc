#include "rpc/routing/routed_channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "runtime/log/log.h"

namespace hongyan::rpc {

using runtime::Duration;
using runtime::Time;
using namespace std::chrono_literals;

namespace {

constexpr Duration k_resolve_pause_min = 100ms;
constexpr Duration k_resolve_pause_max = 5s;
constexpr double k_backup_quantile = 0.95;
constexpr int k_calls_between_quantiles = 32;  // Computing one costs as much as a pick.

// Between half of it and all of it.
Duration jittered(Duration pause, Random& random) {
  const auto half = static_cast<uint64_t>(pause.count() / 2);
  return Duration(static_cast<int64_t>(half + random.below(half + 1)));
}

// The other attempt, or another instance, can only do worse.
bool is_final(Code code) {
  return code != Code::unavailable && code != Code::overloaded && code != Code::unknown_outcome &&
         code != Code::closed && code != Code::deadline && code != Code::cancelled;
}

}  // namespace

RoutedChannel::Counts::Counts(runtime::Counters& counters, const std::string& name)
    : calls(counters.counter("hongyan_rpc_client_" + name + "_calls", "Calls made by name")),
      failures(counters.counter("hongyan_rpc_client_" + name + "_failures",
                                "Calls that ended without an answer")),
      retries(counters.counter("hongyan_rpc_client_" + name + "_retries",
                               "Attempts after a failed one")),
      backups(counters.counter("hongyan_rpc_client_" + name + "_backups",
                               "Second requests while the first was late")),
      backups_won(counters.counter("hongyan_rpc_client_" + name + "_backups_won",
                                   "Second requests that were answered first")),
      over_budget(counters.counter("hongyan_rpc_client_" + name + "_over_budget",
                                   "Retries and backups not made: the budget was empty")),
      unreachable(counters.counter("hongyan_rpc_client_" + name + "_unreachable",
                                   "Calls for which no instance could be reached")),
      shieldings(counters.counter("hongyan_rpc_client_" + name + "_shieldings",
                                  "Times an instance was spared calls because it failed")),
      panics(counters.counter("hongyan_rpc_client_" + name + "_panics",
                              "Calls sent while most instances failed and shields were ignored")),
      spills(counters.counter("hongyan_rpc_client_" + name + "_spills",
                              "Calls that left the own zone")),
      list_failures(counters.counter("hongyan_rpc_client_" + name + "_list_failures",
                                     "Lists of instances that could not be had")),
      instances(counters.counter("hongyan_rpc_client_" + name + "_instances", "Instances listed",
                                 runtime::CounterKind::gauge)) {}

RoutedChannel::RoutedChannel(Env& env, std::string name, std::unique_ptr<Resolver> resolver,
                             RoutedChannelOptions options)
    : env_(env),
      name_(std::move(name)),
      options_(std::move(options)),
      resolver_(std::move(resolver)),
      random_(env.random_u64()),
      budget_(options_.extra_calls, options_.extra_burst),
      counts_(env.counters(), name_),
      router_(std::make_unique<Router>(std::vector<Instance>{}, options_.balance, "")),
      background_(env.scheduler()) {
  CHECK(options_.attempts_max >= 1);
}

RoutedChannel::~RoutedChannel() { CHECK(callers_ == 0 && background_.live() == 0); }

void RoutedChannel::start() {
  CHECK(!started_);
  started_ = true;
  background_.spawn("rpc resolver", [this] { resolve_loop(); });
}

void RoutedChannel::close() {
  closed_ = true;
  reachable_.wake_all();
  for (const EndpointPtr& endpoint : std::vector(endpoints_)) endpoint->close();
  background_.cancel_and_join();
  while (callers_ > 0) no_callers_.wait_uncancellable();
  endpoints_.clear();
  lingering_.clear();
}

void RoutedChannel::resolve_loop() {
  Duration pause{};
  std::string last_failure;
  while (!closed_) {
    Call call;
    auto instances = resolver_->resolve(call);
    if (instances.ok() && instances->empty()) {
      instances = Status(Code::not_found, "the list is empty");
    }
    if (closed_) return;
    Status waited;
    if (instances.ok()) {
      pause = {};
      last_failure.clear();
      apply(std::move(instances).value());
      waited = resolver_->changed(call);
    } else {
      counts_.list_failures.add(1);
      const std::string failure = instances.status().detail();
      if (failure != last_failure) {
        env_.log().warning("rpc: instances of {} stay as they are: {}", name_, failure);
        last_failure = failure;
      }
      pause = std::clamp(pause * 2, k_resolve_pause_min, k_resolve_pause_max);
      waited = runtime::sleep(call, jittered(pause, random_));
    }
    if (waited.code() == Code::cancelled) return;
  }
}

void RoutedChannel::apply(std::vector<Instance> instances) {
  std::erase_if(instances, [](const Instance& one) { return one.state == InstanceState::down; });
  if (lists_ > 0 && instances == router_->instances()) return;
  std::erase_if(lingering_, [](const auto& entry) { return entry.second->closed(); });
  std::map<std::string, EndpointPtr> before = std::move(lingering_);
  lingering_.clear();
  for (const EndpointPtr& endpoint : endpoints_) before[endpoint->address()] = endpoint;
  endpoints_.clear();
  for (const Instance& instance : instances) {
    const auto found = before.find(instance.address);
    if (found != before.end() && found->second->stay()) {
      endpoints_.push_back(found->second);
      before.erase(found);
    } else {
      endpoints_.push_back(endpoint_for(instance.address));
    }
  }
  for (auto& [address, endpoint] : before) {
    endpoint->leave();
    lingering_.emplace(address, endpoint);
  }
  counts_.instances.set(static_cast<int64_t>(instances.size()));
  router_ = std::make_unique<Router>(std::move(instances), options_.balance, options_.own_zone);
  ++lists_;
  reachable_.wake_all();  // Some may be for calls that had nobody.
}

RoutedChannel::EndpointPtr RoutedChannel::endpoint_for(const std::string& address) {
  auto link = options_.make_link
                  ? options_.make_link(address)
                  : make_tcp_link(env_, address, {.connect_time = options_.endpoint.connect_time, .tls = options_.tls});
  auto endpoint = std::make_shared<Endpoint>(env_, options_.endpoint, address, std::move(link),
                                             [this] { reachable_.wake_all(); });
  if (lists_ > 0) endpoint->start_slowly();
  background_.spawn("rpc endpoint", [endpoint] { endpoint->keep(); });
  return endpoint;
}

RoutedChannel::Method& RoutedChannel::method_of(const MethodInfo& method) {
  const auto [place, is_new] = methods_.try_emplace(method.id);
  if (is_new) {
    place->second.once = method;
    place->second.once.idempotent = false;
    place->second.idempotent = method.idempotent;
  }
  return place->second;
}

RoutedChannel::EndpointPtr RoutedChannel::pick(Errand& errand) {
  const Time now = env_.now();
  health_.clear();
  for (const EndpointPtr& endpoint : endpoints_) {
    health_.push_back(endpoint->health(now));
    // By address: an instance that left the list and came back is the same to this call.
    health_.back().tried = std::ranges::any_of(errand.tried, [&](const EndpointPtr& one) {
      return one->address() == endpoint->address();
    });
  }
  const Choice choice = router_->pick(errand.question, health_, masked(), random_);
  if (choice.instance == k_no_instance) return nullptr;
  counts_.panics.add(choice.panic);
  counts_.spills.add(choice.spilled);
  errand.tried.push_back(endpoints_[choice.instance]);
  ++errand.attempts;
  return errand.tried.back();
}

// Who answered that it is too busy is left alone; who lost the connection may have a new process by
// now, and a service of one instance has nobody else.
RoutedChannel::EndpointPtr RoutedChannel::pick_again(Errand& errand, Code code) {
  if (EndpointPtr other = pick(errand)) return other;
  if (code == Code::overloaded || code == Code::deadline) return nullptr;
  errand.tried.clear();
  return pick(errand);
}

// No instance of the list is for it, however healthy.
bool RoutedChannel::for_nobody(const Errand& errand) {
  const auto& eligible = router_->eligible(errand.question, masked());
  return std::ranges::find(eligible, true) == eligible.end();
}

Result<RoutedChannel::EndpointPtr> RoutedChannel::first_pick(Errand& errand) {
  const Time limit =
      std::min(errand.call.deadline, after(env_.now(), options_.endpoint.connect_time));
  for (;;) {
    if (closed_) return Status(Code::closed, "the channel is closed");
    if (env_.now() >= errand.call.deadline) {
      return Status(Code::deadline, "no time left to call " + name_);
    }
    if (EndpointPtr endpoint = pick(errand)) return endpoint;
    if (lists_ > 0 && for_nobody(errand)) {
      counts_.unreachable.add(1);
      return Status(Code::unavailable, "no instance of " + name_ + " is for this call");
    }
    const Status waited = reachable_.wait(limit);
    if (waited.ok()) continue;
    if (waited.code() != Code::deadline || env_.now() >= errand.call.deadline) return waited;
    counts_.unreachable.add(1);
    return Status(Code::unavailable, lists_ == 0
                                         ? "the instances of " + name_ + " are not known yet"
                                         : "no instance of " + name_ + " can be reached");
  }
}

bool RoutedChannel::may_repeat(const Errand& errand, Code code) const {
  switch (code) {
    case Code::unavailable:
    case Code::overloaded: return true;  // Was not handled.
    case Code::unknown_outcome:
    case Code::closed:
    case Code::deadline: return errand.method.idempotent && !closed_;
    default: return false;
  }
}

Status RoutedChannel::attempt(Errand& errand, Endpoint& endpoint, Message& response,
                              const bool& overtaken) {
  Call call = options_.attempt_time > Duration{}
                  ? errand.call.until(after(env_.now(), options_.attempt_time))
                  : errand.call;
  const Time begun = env_.now();
  const uint64_t shieldings = endpoint.shieldings();
  const Status status =
      endpoint.call(call, errand.method.once, errand.request, response, random_, overtaken);
  if (status.ok()) {
    Method& method = errand.method;
    method.latency.add(env_.now() - begun);
    if (--method.until_late_again <= 0) {
      method.late = method.latency.quantile(k_backup_quantile);
      method.until_late_again = k_calls_between_quantiles;
    }
  }
  if (endpoint.shieldings() != shieldings) {
    counts_.shieldings.add(1);
    env_.log().warning("rpc: {} of {} gets no calls for {} ms: {}", endpoint.address(), name_,
                       runtime::milliseconds(endpoint.shield().open_until() - env_.now()),
                       status.detail());
  }
  return status;
}

Status RoutedChannel::attempt_with_backup(Errand& errand, EndpointPtr first, Duration wait) {
  struct Runner {
    bool started = false;
    bool ended = false;
    bool overtaken = false;
    Status status;
  };
  Runner runners[2];
  std::unique_ptr<Message> other_response;
  runtime::WaitList news;
  runtime::Nursery nursery(env_.scheduler());
  const auto start = [&](Runner& runner, EndpointPtr endpoint, Message& response) {
    runner.started = true;
    nursery.spawn("rpc attempt", [this, &errand, &runner, &news, &response, endpoint] {
      runner.status = attempt(errand, *endpoint, response, runner.overtaken);
      runner.ended = true;
      news.wake_all();
    });
  };
  const auto decides = [](const Runner& runner) {
    return runner.ended && (runner.status.ok() || is_final(runner.status.code()));
  };

  start(runners[0], std::move(first), errand.response);
  Status waited = news.wait(after(env_.now(), wait));
  if (!runners[0].ended && waited.code() == Code::deadline && !closed_) {
    if (!budget_.take()) {
      counts_.over_budget.add(1);
    } else if (EndpointPtr second = pick(errand)) {
      counts_.backups.add(1);
      other_response.reset(errand.response.New());
      start(runners[1], std::move(second), *other_response);
    } else {
      budget_.give_back();
    }
    waited = {};
  }
  // Both have deadlines, so this ends.
  while (waited.code() != Code::cancelled && !decides(runners[0]) && !decides(runners[1]) &&
         nursery.live() > 0) {
    if (runners[0].ended && (!runners[1].started || runners[1].ended)) break;
    waited = news.wait(runtime::k_never);
  }
  const bool second_won = decides(runners[1]) && !decides(runners[0]);
  const bool cancelled = waited.code() == Code::cancelled && !decides(runners[0]) && !second_won;
  runners[0].overtaken = second_won;
  nursery.cancel_and_join();
  if (cancelled) return waited;
  if (!second_won) return runners[0].status;
  counts_.backups_won.add(1);
  errand.response.GetReflection()->Swap(&errand.response, other_response.get());
  return runners[1].status;
}

Status RoutedChannel::run(Errand& errand) {
  EndpointPtr endpoint = TRY(first_pick(errand));
  const auto attempts_max = static_cast<size_t>(options_.attempts_max);
  Duration pause{};
  for (;;) {
    const Method& method = errand.method;
    const Duration late = options_.backup_after > Duration{} ? options_.backup_after : method.late;
    const bool backed = options_.backup && method.idempotent && late > Duration{} &&
                        errand.attempts == 1 && attempts_max > 1 && endpoints_.size() > 1;
    Status status;
    if (backed) {
      const Duration wait = std::max(late, options_.backup_min);
      status = attempt_with_backup(errand, std::move(endpoint), wait);
    } else {
      const bool alone = false;
      status = attempt(errand, *endpoint, errand.response, alone);
    }
    if (status.ok() || errand.attempts >= attempts_max || !may_repeat(errand, status.code())) {
      return status;
    }
    pause = std::clamp(pause * 2, options_.backoff_min, options_.backoff_max);
    const Duration wait = jittered(pause, random_);
    if (after(env_.now(), wait) >= errand.call.deadline) return status;
    if (!budget_.take()) {
      counts_.over_budget.add(1);
      return status;
    }
    const bool slept = runtime::sleep(errand.call, wait).ok();
    endpoint = slept && !closed_ ? pick_again(errand, status.code()) : nullptr;
    if (endpoint == nullptr) {
      budget_.give_back();
      return status;
    }
    counts_.retries.add(1);
  }
}

Status RoutedChannel::call(Call& call, const MethodInfo& method, const Message& request,
                           Message& response) {
  if (closed_) return Status(Code::closed, "the channel is closed");
  CHECK(started_);
  ++callers_;
  counts_.calls.add(1);
  budget_.called();
  Errand errand{.call = call.until(after(env_.now(), options_.call_time)),
                .method = method_of(method),
                .request = request,
                .response = response,
                .question = {}};
  if (method.routing_key != nullptr) errand.call.routing_key = method.routing_key(request);
  errand.question.key = errand.call.routing_key;
  if (options_.client_version)
    errand.question.client_version = options_.client_version(call, request);
  Status status = run(errand);
  if (!status.ok() && !is_final(status.code())) counts_.failures.add(1);
  errand.tried.clear();
  if (--callers_ == 0) no_callers_.wake_all();
  return status;
}

Status RoutedChannel::wait_reachable(Call& call) {
  for (;;) {
    if (closed_) return Status(Code::closed, "the channel is closed");
    const Time now = env_.now();
    if (std::ranges::any_of(endpoints_,
                            [now](const EndpointPtr& one) { return one->health(now).reachable; })) {
      return {};
    }
    TRY(reachable_.wait(call.deadline));
  }
}

ChannelSnapshot RoutedChannel::snapshot() const {
  const Time now = env_.now();
  ChannelSnapshot all{.name = name_, .lists = lists_, .budget = budget_.tokens(), .instances = {}};
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    const Endpoint& endpoint = *endpoints_[i];
    const Health health = endpoint.health(now);
    InstanceSnapshot one{.instance = router_->instances()[i],
                         .reachable = health.reachable,
                         .full = health.full,
                         .shield = endpoint.shield().state(now),
                         .share = health.share,
                         .in_flight = health.in_flight,
                         .latency_us = health.latency_us,
                         .calls = endpoint.calls(),
                         .failures = endpoint.failures(),
                         .refusals = endpoint.refusals(),
                         .shieldings = endpoint.shieldings()};
    if (one.shield == ShieldState::open) one.shielded_for = endpoint.shield().open_until() - now;
    all.instances.push_back(std::move(one));
  }
  return all;
}

std::string to_text(const ChannelSnapshot& snapshot) {
  std::string out =
      fmt::format("{}: {} instances, list {}, {:.1f} extra calls allowed\n", snapshot.name,
                  snapshot.instances.size(), snapshot.lists, snapshot.budget);
  out +=
      fmt::format("{:<24} {:<8} {:>3} {:<9} {:<12} {:<10} {:>5} {:>9} {:>10} {:>10} {:>9} {:>9}\n",
                  "instance", "zone", "w", "state", "reachable", "shield", "share", "in flight",
                  "latency us", "calls", "failures", "refusals");
  for (const InstanceSnapshot& one : snapshot.instances) {
    out += fmt::format(
        "{:<24} {:<8} {:>3} {:<9} {:<12} {:<10} {:>5.2f} {:>9} {:>10.0f} {:>10} {:>9} {:>9}\n",
        one.instance.address, one.instance.zone.empty() ? "-" : one.instance.zone,
        one.instance.weight, name_of(one.instance.state),
        !one.reachable ? "no"
        : one.full     ? "yes, full"
                       : "yes",
        name_of(one.shield), one.share, one.in_flight, one.latency_us, one.calls, one.failures,
        one.refusals);
  }
  return out;
}

}  // namespace hongyan::rpc
