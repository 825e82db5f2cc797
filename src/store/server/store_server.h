// The store of one node for the data services of other processes. Stands behind a StoreGuard.
//
// A service reaches the tables and works it owns, nothing else (forbidden). Order, durability and limits are the
// engine's; an answer over 8 MiB is cut: reads after the cut are asked for again, a commit that failed on a row that
// no longer fits is answered too_large. A server that is closing says unavailable: nothing was done.
// Owning thread only. stop_waiting() before the rpc server closes, else those who wait for work hold it up.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runtime/coro/sync.h"
#include "runtime/env/env.h"
#include "store/entity/store.h"
#include "store/remote/store.rpc.pb.h"

namespace hongyan::store {

// The one service that writes it.
struct Owners {
  std::map<TableId, std::string> tables;
  std::map<WorkTag, std::string> works;
};

class StoreServer : public wire::StoreService {
 public:
  // Makes a checkpoint of that name and says where.
  using Checkpoint = std::function<Result<std::string>(Call& call, const std::string& name)>;

  StoreServer(Env& env, Store& store, Owners owners, Checkpoint checkpoint);
  void stop_waiting() { waiting_.cancel_and_join(); }

  Result<wire::CommitResponse> commit(Call& call, const wire::CommitRequest& request) override;
  Result<wire::ReadResponse> read(Call& call, const wire::ReadRequest& request) override;
  Result<wire::ChangesResponse> changes(Call& call, const wire::ChangesRequest& request) override;
  Result<wire::ScanWorkResponse> scan_work(Call& call, const wire::ScanWorkRequest& request) override;
  Result<wire::WaitWorkResponse> wait_work(Call& call, const wire::WaitWorkRequest& request) override;
  Result<wire::CheckpointResponse> checkpoint(Call& call, const wire::CheckpointRequest& request) override;

 private:
  Status check_table(const std::string& service, const wire::EntityId& entity) const;
  Status check_work(const std::string& service, uint32_t tag) const;
  Status check_commit(const std::string& service, const wire::Commit& commit) const;

  Env& env_;
  Store& store_;
  const Owners owners_;
  const Checkpoint checkpoint_;
  const uint64_t run_;         // Marks are counted anew by each.
  runtime::Nursery waiting_;
};

}  // namespace hongyan::store
