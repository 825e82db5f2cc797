#include "rpc/routing/balancer.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/hash.h"

namespace hongyan::rpc {
namespace {

uint64_t hash_of_key(uint64_t key, uint64_t seed = 0) {
  char bytes[8];
  std::memcpy(bytes, &key, sizeof bytes);
  return stable_hash(std::string_view(bytes, sizeof bytes), seed);
}

// Whether a new instance already takes this key: a growing, stable part of its keys.
bool takes(const Candidate& candidate, uint64_t key, size_t index) {
  if (candidate.share >= 1) return true;
  const double place = static_cast<double>(hash_of_key(key, index + 1) >> 11) * 0x1.0p-53;
  return place < candidate.share;
}

}  // namespace

Result<Balance> parse_balance(std::string_view name) {
  if (name == "hash") return Balance::hash;
  if (name == "owner") return Balance::owner;
  if (name == "round_robin") return Balance::round_robin;
  if (name == "weighted") return Balance::weighted;
  if (name == "least_latency") return Balance::least_latency;
  return Status(Code::invalid, "no way to balance is called \"" + std::string(name) + "\"");
}

std::unique_ptr<Balancer> make_balancer(Balance balance, std::span<const Instance> instances) {
  switch (balance) {
    case Balance::hash: return std::make_unique<HashRing>(instances);
    case Balance::owner: return std::make_unique<HashRing>(instances, HashRing::Load::any);
    case Balance::round_robin: return std::make_unique<RoundRobin>();
    case Balance::weighted: return std::make_unique<Weighted>();
    case Balance::least_latency: return std::make_unique<LeastLatency>();
  }
  return std::make_unique<RoundRobin>();
}

HashRing::HashRing(std::span<const Instance> instances, Load load) : load_(load) {
  uint64_t weights = 0;
  for (const Instance& instance : instances) weights += instance.weight;
  if (weights == 0) return;
  const uint64_t points_for_weight = std::clamp<uint64_t>(k_points_max / weights, 1, k_points);
  points_.reserve(points_for_weight * weights);
  for (uint32_t i = 0; i < instances.size(); ++i) {
    for (uint32_t n = 0; n < points_for_weight * instances[i].weight; ++n) {
      std::string name = instances[i].address;
      put_u32(name, n);
      points_.push_back({stable_hash(name), i});
    }
  }
  std::ranges::sort(points_, [](const Point& a, const Point& b) {
    return std::pair(a.hash, a.instance) < std::pair(b.hash, b.instance);
  });
}

size_t HashRing::pick(uint64_t key, std::span<const Candidate> candidates, Random& random) {
  double in_flight = 1;  // With the call to come.
  double weights = 0;
  for (const Candidate& candidate : candidates) {
    if (!candidate.usable) continue;
    in_flight += candidate.in_flight;
    weights += candidate.weight;
  }
  if (weights == 0) return k_no_instance;
  if (key == 0) key = random.next();
  const auto first = std::ranges::lower_bound(points_, hash_of_key(key), {}, &Point::hash);
  const size_t start = static_cast<size_t>(first - points_.begin());
  size_t second_best = k_no_instance;
  for (size_t step = 0; step < points_.size(); ++step) {
    const size_t i = points_[(start + step) % points_.size()].instance;
    const Candidate& candidate = candidates[i];
    if (!candidate.usable) continue;
    if (load_ == Load::any) return i;
    const double bound = std::ceil(k_load_max * in_flight * candidate.weight / weights);
    if (candidate.in_flight >= bound) continue;
    if (takes(candidate, key, i)) return i;
    if (second_best == k_no_instance) second_best = i;
  }
  return second_best;  // Somebody is below the mean, so there is one.
}

size_t RoundRobin::pick(uint64_t, std::span<const Candidate> candidates, Random&) {
  for (size_t step = 0; step < candidates.size(); ++step) {
    const size_t i = next_++ % candidates.size();
    if (candidates[i].usable) return i;
  }
  return k_no_instance;
}

size_t Weighted::pick(uint64_t, std::span<const Candidate> candidates, Random&) {
  credit_.resize(candidates.size());
  double total = 0;
  size_t best = k_no_instance;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].usable) continue;
    const double weight = candidates[i].weight * candidates[i].share;
    total += weight;
    credit_[i] += weight;
    if (best == k_no_instance || credit_[i] > credit_[best]) best = i;
  }
  if (best != k_no_instance) credit_[best] -= total;
  return best;
}

size_t LeastLatency::pick(uint64_t, std::span<const Candidate> candidates, Random& random) {
  size_t usable = 0;
  for (const Candidate& candidate : candidates) usable += candidate.usable;
  if (usable == 0) return k_no_instance;
  const auto nth = [&](size_t n) {
    size_t i = 0;
    for (;; ++i) {
      if (candidates[i].usable && n-- == 0) return i;
    }
  };
  const size_t a = random.below(usable);
  const size_t first = nth(a);
  if (usable == 1) return first;
  const size_t second = nth((a + 1 + random.below(usable - 1)) % usable);
  // One whose latency is not known yet is tried: it counts as fast, its calls in flight slow it.
  const auto cost = [&](size_t i) {
    const Candidate& candidate = candidates[i];
    return (candidate.latency_us + 1) * (candidate.in_flight + 1) /
           (candidate.weight * candidate.share);
  };
  return cost(second) < cost(first) ? second : first;
}

}  // namespace hongyan::rpc
