// Brings a group's log into its members' inboxes (group_service.h says how). Harmless to repeat: an inbox takes rows
// of a group only above the last seq it has.
#pragma once

#include "api/internal/inbox.rpc.pb.h"
#include "data/group/group_table.h"
#include "rpc/service_identity.h"
#include "rpc/ticket.h"
#include "runtime/counters/counters.h"

namespace hongyan::group {

struct FanOutCounters {
  explicit FanOutCounters(runtime::Counters& counters);
  runtime::Counter& rounds;
  runtime::Counter& deliveries;
  runtime::Counter& failures;
};

class FanOut {
 public:
  FanOut(Env& env, store::Store& store, internal::InboxClient inbox, rpc::KeyRing grants, rpc::ServiceIdentity self);
  // The worker's handler: serves everybody up to the head, then clears the mark.
  Status run(Call& call, const store::Work& work);

 private:
  Result<std::vector<client::Entry>> read_log(Call& call, uint64_t group, const Loaded& loaded, uint64_t after);
  Status serve_members(Call& call, uint64_t group, const Loaded& loaded, const std::vector<client::Entry>& entries);
  Status serve(Call& call, uint64_t group, uint64_t uin, const Member& member, const std::vector<client::Entry>& entries);

  Env& env_;
  store::Store& store_;
  internal::InboxClient inbox_;
  rpc::KeyRing grants_;
  rpc::ServiceIdentity self_;
  FanOutCounters counters_;
};

// The seq of an entry that read_log made.
uint64_t seq_of(const client::Entry& entry);
// What clients see of the group; without members.
void fill_group(uint64_t id, const Loaded& loaded, client::Group& group);

}  // namespace hongyan::group
