#include "rpc/routing/router.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"

namespace hongyan::rpc {
namespace {

bool holds(const std::vector<NumberRange>& ranges, uint64_t number) {
  return std::ranges::any_of(ranges,
                             [number](const NumberRange& range) { return range.holds(number); });
}

// 0 to 1; of one key always the same, so that a key that spills over does so every time.
double place_of(uint64_t key, Random& random) {
  if (key == 0) return random.unit();
  std::string bytes = "zone";
  bytes.append(reinterpret_cast<const char*>(&key), sizeof key);
  return static_cast<double>(stable_hash(bytes) >> 11) * 0x1.0p-53;
}

}  // namespace

Router::Router(std::vector<Instance> instances, Balance balance, std::string own_zone)
    : instances_(std::move(instances)),
      own_zone_(std::move(own_zone)),
      passes_full_over_(balance != Balance::owner),
      balancer_(make_balancer(balance, instances_)) {
  for (const Instance& instance : instances_) {
    any_segments_ |= !instance.segments.empty();
    any_versions_ |= !instance.versions.empty();
  }
}

const std::vector<bool>& Router::eligible(const Question& question,
                                          const std::set<std::string>& masked_zones) {
  enum class Fit { segment, version, neither };
  Fit narrowest = Fit::neither;
  const auto in_segment = [&](const Instance& instance) {
    return question.key != 0 && holds(instance.segments, question.key);
  };
  const auto in_version = [&](const Instance& instance) {
    return question.client_version != 0 && holds(instance.versions, question.client_version);
  };
  if (any_segments_ && std::ranges::any_of(instances_, in_segment)) {
    narrowest = Fit::segment;
  } else if (any_versions_ && std::ranges::any_of(instances_, [&](const Instance& instance) {
               return instance.segments.empty() && in_version(instance);
             })) {
    narrowest = Fit::version;
  }
  const auto fits = [&](const Instance& instance) {
    switch (narrowest) {
      case Fit::segment: return in_segment(instance);
      case Fit::version: return instance.segments.empty() && in_version(instance);
      case Fit::neither: return instance.segments.empty() && instance.versions.empty();
    }
    return false;
  };
  eligible_.resize(instances_.size());
  for (size_t i = 0; i < instances_.size(); ++i) {
    const Instance& instance = instances_[i];
    eligible_[i] = instance.state == InstanceState::up && fits(instance) &&
                   (masked_zones.empty() || !masked_zones.contains(instance.zone));
  }
  return eligible_;
}

Choice Router::pick(const Question& question, std::span<const Health> health,
                    const std::set<std::string>& masked_zones, Random& random) {
  CHECK(health.size() == instances_.size());
  eligible(question, masked_zones);
  size_t all = 0;
  size_t healthy = 0;
  for (size_t i = 0; i < instances_.size(); ++i) {
    if (!eligible_[i]) continue;
    ++all;
    healthy += health[i].reachable && !health[i].shielded;
  }
  Choice choice;
  choice.panic = healthy * 2 < all;

  const auto may_have_calls = [&](size_t i) {
    return eligible_[i] && health[i].reachable && (choice.panic || !health[i].shielded);
  };
  const auto is_own = [&](size_t i) {
    return !own_zone_.empty() && instances_[i].zone == own_zone_;
  };
  Zone own;
  Zone other;
  for (size_t i = 0; i < instances_.size(); ++i) {
    if (!eligible_[i]) continue;
    Zone& zone = is_own(i) ? own : other;
    ++zone.instances;
    if (!may_have_calls(i)) continue;
    zone.good += !health[i].full;
    zone.usable += !health[i].tried;
  }
  if (own.usable + other.usable == 0) return choice;

  bool use_own = own.usable > 0;
  if (own.usable > 0 && other.usable > 0 && other.good > 0) {
    const double local =
        k_overprovision * static_cast<double>(own.good) / static_cast<double>(own.instances);
    use_own = local >= 1 || place_of(question.key, random) < local;
  }
  choice.spilled = own.instances > 0 && !use_own;

  // Full ones only when nobody else is left.
  bool any_not_full = false;
  candidates_.resize(instances_.size());
  for (size_t i = 0; i < instances_.size(); ++i) {
    Candidate& candidate = candidates_[i];
    candidate = {.usable = may_have_calls(i) && !health[i].tried && is_own(i) == use_own,
                 .weight = instances_[i].weight,
                 .share = health[i].share,
                 .in_flight = health[i].in_flight,
                 .latency_us = health[i].latency_us};
    any_not_full |= candidate.usable && !health[i].full;
  }
  if (any_not_full && passes_full_over_) {
    for (size_t i = 0; i < instances_.size(); ++i) candidates_[i].usable &= !health[i].full;
  }
  choice.instance = balancer_->pick(question.key, candidates_, random);
  return choice;
}

}  // namespace hongyan::rpc
