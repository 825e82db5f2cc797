// Bugs on purpose: each is a mistake that somebody could make, put around the server or the client from outside. The
// simulator must find every one of them within a few seeds; one that it does not find means a checker that sleeps.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace hongyan::sim {

enum class Mutant {
  none,
  ack_before_sync,
  dedup_off,
  ring_lost,
  foreign_snapshot,
  index_row_skipped,
  late_logout,
  order_swapped,
  frame_swapped,
  unread_not_reset,
  marker_forgotten,
};

struct MutantInfo {
  Mutant mutant;
  std::string_view name;
  std::string_view what;
};
std::span<const MutantInfo> all_mutants();
std::optional<Mutant> mutant_named(std::string_view name);

}  // namespace hongyan::sim
