// The store of a data service that runs in a process of its own: store/entity's interface over rpc, to store/server.
//
// Promises of the interface, and: a commit whose connection was lost after it left is sent again under its request id
// until it is known what became of it, so it happens exactly once; commits that bring no id get one. Who still doesn't
// know at the call's deadline or after 50 s is told unknown_outcome. An entity that takes more commits in a minute
// than the store remembers ids of (8,192) is served without an id from there on: such a commit's loss is unknown_outcome
// at once. The store away is unavailable at once, nothing done. A store that was restarted counts marks anew; who
// waits for work is woken then, so no mark is missed.
// Overloaded, deadline, no_space and the others are passed through. Answers over a frame come in several.
//
// Clocks of the two machines may differ by less than a minute, as request ids carry their time.
// Owning thread only; the channel outlives it, the calls do not.
#pragma once

#include <map>

#include "rpc/service_identity.h"
#include "runtime/env/env.h"
#include "store/entity/store.h"
#include "store/remote/store.rpc.pb.h"

namespace hongyan::store {

class RemoteStore : public Store {
 public:
  // `self` signs for the audience "store".
  RemoteStore(Env& env, rpc::Channel& channel, rpc::ServiceIdentity self);

  Result<CommitReply> commit(Call& call, Commit commit) override;
  std::vector<Result<CommitReply>> commit_many(Call& call, std::vector<Commit> commits, Order order) override;
  Result<ReadReply> read(Call& call, const Read& read) override;
  std::vector<Result<ReadReply>> read_many(Call& call, std::span<const Read> reads) override;
  Result<ChangesReply> changes(Call& call, const EntityId& entity, uint64_t since, size_t rows_max) override;
  Result<std::vector<Work>> scan_work(Call& call, WorkTag tag, const EntityId* after, size_t rows_max) override;
  Result<uint64_t> wait_work(Call& call, WorkTag tag, uint64_t seen) override;

 private:
  using CommitReplies = std::vector<Result<CommitReply>>;
  // The server's count of marks, and ours, which never falls.
  struct Marks {
    uint64_t run = 0;
    uint64_t theirs = 0;
    uint64_t ours = 0;
  };
  // Where the outcome is settled by asking again.
  CommitReplies settle(Call& call, wire::CommitRequest request);
  CommitReplies send(Call& call, const wire::CommitRequest& request, bool again, bool& lost);
  void send_without_ids(Call& call, const std::vector<Commit>& commits, const std::vector<bool>& own_ids, Order order,
                        CommitReplies& replies);
  CommitReplies send_all(Call& call, const std::vector<Commit>& commits, Order order);
  void note_marks(WorkTag tag, uint64_t seen, const wire::WaitWorkResponse& response);

  Env& env_;
  wire::StoreClient client_;
  rpc::ServiceIdentity self_;
  std::map<WorkTag, Marks> marks_;
};

}  // namespace hongyan::store
