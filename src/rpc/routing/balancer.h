// Which of the usable instances gets a call. A balancer is a pure function of the candidates, a
// key, chance and what it chose before: health, zones and retries are decided elsewhere and arrive
// as `usable`. One for each immutable set of instances; no I/O, no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "rpc/routing/instance.h"

namespace hongyan::rpc {

// An instance at this instant.
struct Candidate {
  bool usable = false;
  uint32_t weight = 1;
  double share = 1;        // Of its weight it takes while it is new (slow start): 0 < share <= 1.
  uint32_t in_flight = 0;  // Of this channel.
  double latency_us = 0;   // Moving average; 0: unknown.
};

inline constexpr size_t k_no_instance = SIZE_MAX;

class Balancer {
 public:
  virtual ~Balancer() = default;
  // `candidates` in the order of the set it was made for. k_no_instance only if none is usable.
  virtual size_t pick(uint64_t key, std::span<const Candidate> candidates, Random& random) = 0;
};

enum class Balance { hash, owner, round_robin, weighted, least_latency };
// "hash", "owner", "round_robin", "weighted", "least_latency".
Result<Balance> parse_balance(std::string_view name);
std::unique_ptr<Balancer> make_balancer(Balance balance, std::span<const Instance> instances);

// Consistent hash with bounded load (Mirrokni, Thorup, Zadimoghaddam 2018): a key stays with its
// instance while the set changes around it, unless that instance carries more than 1.25 times its
// part of what is in flight; then the next one on the ring takes it. Key 0 goes anywhere.
// With Load::any a key stays where it is however busy or new its instance is: for services whose
// answer depends on who is asked (presence keeps in memory who is where).
class HashRing : public Balancer {
 public:
  // Whether an instance that has its part already is passed over.
  enum class Load { bounded, any };
  // Sorted array and binary search; 100..160 points an instance spread keys within some 10 %.
  static constexpr uint32_t k_points = 128;
  static constexpr uint64_t k_points_max = 1 << 20;  // 16 MiB; heavier sets get fewer points.
  static constexpr double k_load_max = 1.25;

  explicit HashRing(std::span<const Instance> instances, Load load = Load::bounded);
  size_t pick(uint64_t key, std::span<const Candidate> candidates, Random& random) override;

 private:
  struct Point {
    uint64_t hash;
    uint32_t instance;
  };
  const Load load_;
  std::vector<Point> points_;
};

// One after the other; weights and slow start say nothing.
class RoundRobin : public Balancer {
 public:
  size_t pick(uint64_t key, std::span<const Candidate> candidates, Random& random) override;

 private:
  size_t next_ = 0;
};

// In proportion to weight, evenly interleaved (nginx's smooth weighted round robin).
class Weighted : public Balancer {
 public:
  size_t pick(uint64_t key, std::span<const Candidate> candidates, Random& random) override;

 private:
  std::vector<double> credit_;
};

// The better of two chosen by chance, by latency x (in flight + 1): no herd runs to the fastest.
class LeastLatency : public Balancer {
 public:
  size_t pick(uint64_t key, std::span<const Candidate> candidates, Random& random) override;
};

}  // namespace hongyan::rpc
