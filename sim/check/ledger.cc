#include "sim/check/ledger.h"

#include <algorithm>

#include "base/check.h"

namespace hongyan::sim {

void Ledger::violated(const std::string& invariant, const std::string& detail) {
  if (violation_) return;
  violation_ = Violation{invariant, detail};
  world_.note("VIOLATED: " + invariant + ": " + detail);
  world_.stop();
}

Send& Ledger::add_send(Send send) {
  const auto [place, fresh] = sends_.emplace(std::pair(send.sender, send.client_msg_id), send);
  CHECK(fresh);
  return place->second;
}

Send* Ledger::find(uint64_t sender, const std::string& client_msg_id) {
  const auto found = sends_.find({sender, client_msg_id});
  return found == sends_.end() ? nullptr : &found->second;
}

void Ledger::restored(Time backup_at) {
  restores_.push_back({.timeline = timeline() + 1, .backup_at = backup_at});
}

bool Ledger::holds(const Said& said) const {
  for (const Restore& restore : restores_) {
    if (restore.timeline > said.timeline && said.at > restore.backup_at) return false;
  }
  return true;
}

void Ledger::marked_read(uint64_t uin, const ConversationKey& conversation, uint64_t position, const Said& said) {
  marks_[{uin, conversation}].push_back({position, said});
}

uint64_t Ledger::read_up_to(uint64_t uin, const ConversationKey& conversation) const {
  uint64_t highest = 0;
  const auto found = marks_.find({uin, conversation});
  if (found == marks_.end()) return 0;
  for (const ReadMark& mark : found->second) {
    if (holds(mark.said)) highest = std::max(highest, mark.position);
  }
  return highest;
}

void Ledger::befriended(uint64_t a, uint64_t b, const Said& said) {
  friends_.try_emplace({std::min(a, b), std::max(a, b)}, said);
}

}  // namespace hongyan::sim
