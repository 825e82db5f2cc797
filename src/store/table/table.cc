#include "store/table/table.h"

namespace hongyan::store {

Result<int64_t> number_of(const Row& row) {
  Reader reader(row.value);
  const auto number = reader.u64();
  if (!number || !reader.empty()) return Status(Code::corrupt, "a number row has no 8 bytes");
  return static_cast<int64_t>(*number);
}

Result<std::optional<Row>> get_row(Call& call, Store& store, const EntityId& entity, const std::string& key) {
  ReadReply reply = TRY(store.read(call, {.entity = entity, .from = key, .to = key + '\0', .rows_max = 1}));
  if (reply.rows.empty()) return std::optional<Row>();
  return std::optional<Row>(std::move(reply.rows.front()));
}

Result<CommitReply> commit_or_conflict(Call& call, Store& store, Commit commit) {
  CommitReply reply = TRY(store.commit(call, std::move(commit)));
  if (!reply.committed) return Status(Code::conflict, "a precondition failed");
  return reply;
}

RequestId new_request_id(Env& env) {
  std::string time;
  put_u64(time, static_cast<uint64_t>(env.utc_ms()));
  return time.substr(2) + env.random_bytes(10);
}

}  // namespace hongyan::store
