#include "sim/faults/mutants.h"

namespace hongyan::sim {

namespace {

constexpr MutantInfo k_mutants[] = {
    {Mutant::ack_before_sync, "ack-before-sync", "a commit is answered before its sync, which happens with the next one"},
    {Mutant::dedup_off, "dedup-off", "a message that is there already is appended again"},
    {Mutant::ring_lost, "ring-lost", "clients rely on rings alone: no sync by timer or when they connect"},
    {Mutant::foreign_snapshot, "foreign-snapshot", "a snapshot of another device is accepted"},
    {Mutant::index_row_skipped, "index-row-skipped", "fan-out that a crash interrupted counts as done"},
    {Mutant::late_logout, "late-logout", "a logout of an old session ends the device's new one"},
    {Mutant::order_swapped, "order-swapped", "two messages of one batch change places"},
    {Mutant::frame_swapped, "frame-swapped", "the last row before a cut of sync comes behind what follows it"},
    {Mutant::unread_not_reset, "unread-not-reset", "reading a conversation leaves its unread count"},
    {Mutant::marker_forgotten, "marker-forgotten", "a marker that waits for its time is no work that stays"},
};

}  // namespace

std::span<const MutantInfo> all_mutants() { return k_mutants; }

std::optional<Mutant> mutant_named(std::string_view name) {
  for (const MutantInfo& info : k_mutants) {
    if (info.name == name) return info.mutant;
  }
  return std::nullopt;
}

}  // namespace hongyan::sim
