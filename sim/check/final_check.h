// The judgement at the end of a run, when faults are over and everybody has synced: what fresh devices read page by
// page is compared with what the old devices got row by row, with what the server promised, and with what was asked.
// The sentences of Ledger::violated name the invariants; docs/decisions/0005-simulator.md lists them.
#pragma once

#include <map>
#include <vector>

#include "sim/workload/people.h"

namespace hongyan::sim {

class FinalCheck {
 public:
  FinalCheck(Stage& stage, People& people) : stage_(stage), people_(people) {}
  // In a coroutine of the stage's domain.
  void run();

 private:
  using Log = std::vector<client::Message>;  // Oldest first.

  void read_everything();
  void check_devices(const Person& person);
  void check_device(const Device& device, const ConversationKey& key, const Log& log);
  void check_states(const Person& person);
  void check_direct();
  void check_groups();
  void check_group(const KnownGroup& group);
  void check_sends();
  void check_send(const Send& send, const Log& log, const char* whose);
  void check_order(const ConversationKey& key, const Log& log, uint64_t reader);
  void check_unread(const Person& person);
  void check_contacts();
  const Log* log_of(uint64_t uin, const ConversationKey& key) const;
  void violated(const std::string& invariant, const std::string& detail) { stage_.ledger.violated(invariant, detail); }

  Stage& stage_;
  People& people_;
  std::map<uint64_t, std::map<ConversationKey, Log>> logs_;  // By user.
  std::map<uint64_t, std::map<ConversationKey, client::ConversationState>> states_;
  std::map<uint64_t, std::map<uint64_t, client::Contact>> contacts_;
};

}  // namespace hongyan::sim
