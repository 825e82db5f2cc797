// Brings a group's log into its members' inboxes. Each member gets all rows it may see, once and in seq order: an inbox
// takes rows of a group only above the last seq it has, so all of this is harmless to repeat.
//
// run() reads the log from the cursor to the head, in rounds of bounded size, and moves the cursor after each.
//
// Members who mute the group, and all members of a large one, get markers instead ("new up to n", data/inbox's
// group_marker.h), at most one in 5 s: who mutes is known by the inbox, which takes no rows then; run() writes the member
// down as waiting (rows 'W'), goes on without, and serves those who wait by one marker each when the time has come.
// Until then the group stays marked, so the last marker comes however silent the group falls.
//
// A delivery has the priority of a group send, of the foremost user level: what was accepted goes before what asks to be.
// It rises by a class when the oldest row is older than 30 s.
//
// A member// whose inbox fails or takes too long is written down as behind (rows 'B') and skipped from then on, so that one member
// never holds up the others; catch_up() serves those who are behind, is repeated with growing waits until it succeeds,
// and takes their rows away. Where everybody fails, nothing is written down and run() itself is repeated.
#pragma once

#include <functional>
#include <map>

#include "api/internal/inbox.rpc.pb.h"
#include "data/group/group_table.h"
#include "data/group/marker.h"
#include "rpc/service_identity.h"
#include "rpc/ticket.h"
#include "runtime/counters/counters.h"

namespace hongyan::group {

struct FanOutCounters {
  explicit FanOutCounters(runtime::Counters& counters);
  runtime::Counter& rounds;
  runtime::Counter& deliveries;
  runtime::Counter& markers;
  runtime::Counter& put_off;
  runtime::Counter& raised;
  runtime::Counter& failures;
  runtime::Counter& fell_behind;
  runtime::Counter& caught_up;
  runtime::Histogram& backlog_ms;
};

class FanOut {
 public:
  FanOut(Env& env, store::Store& store, internal::InboxClient inbox, rpc::KeyRing grants, rpc::ServiceIdentity self,
         size_t row_members_max);
  // Handlers of the workers of k_work_fan_out and of k_work_fan_out_behind. `again_at` is set when markers are due later.
  Status run(Call& call, const store::Work& work, runtime::Time& again_at);
  Status catch_up(Call& call, const store::Work& work);

 private:
  using Entries = std::vector<client::Entry>;
  struct Served {
    size_t tried = 0;
    std::vector<uint64_t> failed;
    std::vector<uint64_t> muted;
    Status first_failure;
    bool hopeless() const;  // No trouble of single members.
  };
  enum class Outcome { nothing, brought, muted };
  using ServeOne = std::function<Result<Outcome>(Call& call, uint64_t uin)>;

  Result<Entries> read_log(Call& call, uint64_t group, const Loaded& loaded, uint64_t after);
  Result<Served> serve_all(Call& call, const std::vector<uint64_t>& uins, const ServeOne& serve_one);
  Result<Stretch> read_stretch(Call& call, uint64_t group, const Loaded& loaded, uint64_t after);
  Status row_round(Call& call, const store::Work& work, uint64_t group, const Loaded& loaded);
  Status marker_round(Call& call, const store::Work& work, uint64_t group, const Loaded& loaded);
  bool large(const Loaded& loaded) const { return loaded.info.member_count() > row_members_max_; }
  std::map<uint64_t, uint64_t> served_by_markers(const Loaded& loaded) const;
  runtime::Time markers_due(const Loaded& loaded) const;
  void note_backlog(Call& call, int64_t oldest_ms);
  Result<Outcome> serve(Call& call, uint64_t group, uint64_t uin, const Member& member, const Entries& entries);
  Result<Outcome> serve_marker(Call& call, uint64_t group, uint64_t uin, const Member& member, uint64_t after,
                               const Stretch& stretch);
  Result<Outcome> catch_up_one(Call& call, uint64_t group, uint64_t uin, const Loaded& loaded, bool& marked);
  Result<uint64_t> last_seq_of(Call& call, uint64_t group, uint64_t uin);
  internal::AppendFromGroupRequest request_for(uint64_t group, uint64_t uin, uint64_t from);
  void write_behind(store::Commit& commit, const Served& served, const std::map<uint64_t, uint64_t>& from);

  Env& env_;
  store::Store& store_;
  internal::InboxClient inbox_;
  rpc::KeyRing grants_;
  rpc::ServiceIdentity self_;
  const size_t row_members_max_;
  std::map<uint64_t, runtime::Time> put_off_;  // Large groups with news whose markers are due later.
  FanOutCounters counters_;
};

// The seq of an entry that read_log made.
uint64_t seq_of(const client::Entry& entry);
// What clients see of the group; without members.
void fill_group(uint64_t id, const Loaded& loaded, client::Group& group);

}  // namespace hongyan::group
