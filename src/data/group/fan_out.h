// Brings a group's log into its members' inboxes. Each member gets all rows it may see, once and in seq order: an inbox
// takes rows of a group only above the last seq it has, so all of this is harmless to repeat.
//
// run() reads the log from the cursor to the head, in rounds of bounded size, and moves the cursor after each. A member
// whose inbox fails or takes too long is written down as behind (rows 'B') and skipped from then on, so that one member
// never holds up the others; catch_up() serves those who are behind, is repeated with growing waits until it succeeds,
// and takes their rows away. Where everybody fails, nothing is written down and run() itself is repeated.
#pragma once

#include <functional>
#include <span>

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
  runtime::Counter& fell_behind;
  runtime::Counter& caught_up;
};

class FanOut {
 public:
  FanOut(Env& env, store::Store& store, internal::InboxClient inbox, rpc::KeyRing grants, rpc::ServiceIdentity self);
  // Handlers of the workers of k_work_fan_out and of k_work_fan_out_behind.
  Status run(Call& call, const store::Work& work);
  Status catch_up(Call& call, const store::Work& work);

 private:
  using Entries = std::vector<client::Entry>;
  struct Served {
    size_t tried = 0;
    std::vector<uint64_t> failed;
    Status first_failure;
  };
  using ServeOne = std::function<Result<bool>(Call& call, uint64_t uin)>;

  Result<Entries> read_log(Call& call, uint64_t group, const Loaded& loaded, uint64_t after);
  Result<Served> serve_all(Call& call, const std::vector<uint64_t>& uins, const ServeOne& serve_one);
  // False: none of the entries is for this member.
  Result<bool> serve(Call& call, uint64_t group, uint64_t uin, const Member& member, const Entries& entries);
  Result<uint64_t> last_seq_of(Call& call, uint64_t group, uint64_t uin);
  internal::AppendFromGroupRequest request_for(uint64_t group, uint64_t uin, uint64_t from);
  Status move_cursor(Call& call, const store::EntityId& entity, uint64_t from, uint64_t to, const Served& served);

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
