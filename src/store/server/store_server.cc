#include "store/server/store_server.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "rpc/ticket.h"
#include "store/remote/wire.h"

namespace hongyan::store {

using namespace std::chrono_literals;

namespace {

// A frame holds 8 MiB; the rest is for heads, lengths and the last answer.
constexpr size_t k_answer_bytes_max = 6 * 1024 * 1024;
// Reads that are asked together: each is 1 MiB at the most, so they always fit behind what is there already.
constexpr int k_reads_at_a_time = 4;
constexpr size_t k_reads_bytes_before_max = 3 * 1024 * 1024;
// Waiting is asked for again: so a caller that has gone is not waited for long.
constexpr auto k_wait_work_max = 20s;
constexpr size_t k_many_max = 1000;
constexpr size_t k_checkpoint_name_max = 64;

// The process is closing, which concerns no caller: to them this store can't be reached just now.
Status told(Status status) {
  if (status.code() == Code::closed) return Status(Code::unavailable, status.detail());
  if (status.code() == Code::cancelled) return Status(Code::unknown_outcome, "store: cut short");
  return status;
}

Result<CommitReply> not_reached() { return Status(Code::cancelled, "store: a commit of the list did not pass"); }

// All or none, and the last that was looked at is refused.
wire::CommitResponse none_of(int count, const std::vector<std::optional<Status>>& looked_at) {
  wire::CommitResponse response;
  for (int i = 0; i < count; ++i) {
    const bool this_one = static_cast<size_t>(i) + 1 == looked_at.size();
    to_wire(this_one ? Result<CommitReply>(*looked_at.back()) : not_reached(), *response.add_results());
  }
  return response;
}

// Why the engine did not do all of it, where that is not the commits' own doing.
Status cut_short(const std::vector<Result<CommitReply>>& replies, Order order) {
  // Of all or none, one has a reply of its own.
  const auto cancelled = [](const Result<CommitReply>& reply) { return reply.code() == Code::cancelled; };
  if (order == Order::together && !std::ranges::all_of(replies, cancelled)) return {};
  for (const Result<CommitReply>& reply : replies) {
    if (reply.code() == Code::cancelled || reply.code() == Code::closed) return told(reply.status());
    // In order, what follows is cancelled because of this one.
    if (!reply.ok() || !reply->committed) break;
  }
  return {};
}

}  // namespace

StoreServer::StoreServer(Env& env, Store& store, Owners owners, Checkpoint checkpoint)
    : env_(env),
      store_(store),
      owners_(std::move(owners)),
      checkpoint_(std::move(checkpoint)),
      run_(env.random_u64() | 1),
      waiting_(env.scheduler()) {}

Status StoreServer::check_table(const std::string& service, const wire::EntityId& entity) const {
  const auto found = owners_.tables.find(static_cast<TableId>(std::min<uint32_t>(entity.table(), UINT16_MAX)));
  if (found == owners_.tables.end()) return Status(Code::invalid, "store: no such table");
  if (found->second == service) return {};
  return Status(Code::forbidden, "store: the table is not " + service + "'s");
}

Status StoreServer::check_work(const std::string& service, uint32_t tag) const {
  const auto found = owners_.works.find(static_cast<WorkTag>(std::min<uint32_t>(tag, UINT16_MAX)));
  if (found == owners_.works.end()) return Status(Code::invalid, "store: no such work");
  if (found->second == service) return {};
  return Status(Code::forbidden, "store: the work is not " + service + "'s");
}

Status StoreServer::check_commit(const std::string& service, const wire::Commit& commit) const {
  TRY(check_table(service, commit.entity()));
  if (commit.has_mark_work()) TRY(check_work(service, commit.mark_work()));
  if (commit.has_work_done()) TRY(check_work(service, commit.work_done().tag()));
  return {};
}

Result<wire::CommitResponse> StoreServer::commit(Call& call, const wire::CommitRequest& request) {
  const rpc::Caller caller = TRY(rpc::caller_of(call));
  if (static_cast<size_t>(request.commits_size()) > k_many_max) {
    return Status(Code::too_large, "store: over 1000 commits in one call");
  }
  if (request.order() > static_cast<uint32_t>(Order::together)) return Status(Code::unsupported, "store: unknown order");
  const Order order = request.order() == 0 ? Order::any : static_cast<Order>(request.order());
  const bool in_order = order != Order::any;
  // One that is refused here stands in its place; in order, it stops what follows, so that goes to no engine.
  std::vector<Commit> commits;
  std::vector<std::optional<Status>> refused;
  for (const wire::Commit& one : request.commits()) {
    Status status = check_commit(caller.service, one);
    if (status.ok()) {
      auto commit = from_wire(wire::Commit(one));
      status = commit.status();
      if (commit.ok()) commits.push_back(std::move(*commit));
    }
    const bool stop = !status.ok() && in_order;
    refused.push_back(status.ok() ? std::nullopt : std::optional(std::move(status)));
    if (stop) break;
  }
  if (order == Order::together && !refused.empty() && refused.back()) return none_of(request.commits_size(), refused);
  auto replies = store_.commit_many(call, std::move(commits), order);
  TRY(cut_short(replies, order));

  wire::CommitResponse response;
  size_t bytes = 0;
  auto reply = replies.begin();
  for (size_t i = 0; i < static_cast<size_t>(request.commits_size()); ++i) {
    wire::CommitResult& result = *response.add_results();
    if (i >= refused.size()) {
      to_wire(not_reached(), result);
    } else if (refused[i]) {
      const bool reached = !in_order || replies.empty() || (replies.back().ok() && replies.back()->committed);
      to_wire(reached ? Result<CommitReply>(*refused[i]) : not_reached(), result);
    } else {
      const bool fits = !reply->ok() || !(*reply)->present || bytes + (*reply)->present->value.size() < k_answer_bytes_max;
      to_wire(fits ? std::move(*reply) : Result<CommitReply>(Status(Code::too_large, "store: the row in the way does not fit")), result);
      ++reply;
    }
    bytes += result.ByteSizeLong();
  }
  return response;
}

Result<wire::ReadResponse> StoreServer::read(Call& call, const wire::ReadRequest& request) {
  const rpc::Caller caller = TRY(rpc::caller_of(call));
  if (static_cast<size_t>(request.reads_size()) > k_many_max) return Status(Code::too_large, "store: over 1000 reads in one call");
  wire::ReadResponse response;
  size_t bytes = 0;
  while (response.results_size() < request.reads_size() && bytes <= k_reads_bytes_before_max) {
    std::vector<Read> reads;
    std::vector<Status> refused;
    const int first = response.results_size();
    for (int i = first; i < std::min(first + k_reads_at_a_time, request.reads_size()); ++i) {
      Status status = check_table(caller.service, request.reads(i).entity());
      if (status.ok()) {
        auto read = from_wire(request.reads(i));
        status = read.status();
        if (read.ok()) reads.push_back(std::move(*read));
      }
      refused.push_back(std::move(status));
    }
    auto replies = store_.read_many(call, reads);
    auto reply = replies.begin();
    for (const Status& status : refused) {
      wire::ReadResult& result = *response.add_results();
      if (!status.ok()) {
        to_wire(Result<ReadReply>(status), result);
      } else {
        if (!reply->ok()) to_wire(Result<ReadReply>(told(reply->status())), result);
        else to_wire(std::move(*reply), result);
        ++reply;
      }
      bytes += result.ByteSizeLong();
    }
  }
  return response;
}

Result<wire::ChangesResponse> StoreServer::changes(Call& call, const wire::ChangesRequest& request) {
  const rpc::Caller caller = TRY(rpc::caller_of(call));
  TRY(check_table(caller.service, request.entity()));
  const EntityId entity = TRY(from_wire(request.entity()));
  auto reply = store_.changes(call, entity, request.since(), request.rows_max());
  if (!reply.ok()) return told(reply.status());
  wire::ChangesResponse response;
  to_wire(reply->header, *response.mutable_header());
  for (Change& change : reply->changes) {
    wire::Change& to = *response.add_changes();
    to_wire(std::move(change.row), *to.mutable_row());
    to.set_erased(change.erased);
  }
  response.set_more(reply->more);
  return response;
}

Result<wire::ScanWorkResponse> StoreServer::scan_work(Call& call, const wire::ScanWorkRequest& request) {
  const rpc::Caller caller = TRY(rpc::caller_of(call));
  TRY(check_work(caller.service, request.tag()));
  EntityId after;
  if (request.has_after()) after = TRY(from_wire(request.after()));
  const auto work = store_.scan_work(call, TRY(tag_from_wire(request.tag())), request.has_after() ? &after : nullptr, request.rows_max());
  if (!work.ok()) return told(work.status());
  wire::ScanWorkResponse response;
  for (const Work& one : *work) {
    wire::Work& to = *response.add_work();
    to_wire(one.entity, *to.mutable_entity());
    to.set_marked_at(one.marked_at);
  }
  return response;
}

Result<wire::WaitWorkResponse> StoreServer::wait_work(Call& call, const wire::WaitWorkRequest& request) {
  const rpc::Caller caller = TRY(rpc::caller_of(call));
  TRY(check_work(caller.service, request.tag()));
  const WorkTag tag = TRY(tag_from_wire(request.tag()));
  const auto wait = [&](uint64_t seen, runtime::Time deadline) {
    Call limited = call.until(deadline);
    return store_.wait_work(limited, tag, seen);
  };
  if (request.run() == 0 || request.run() == run_) {
    // As a child, so that stop_waiting() ends it.
    bool ended = false;
    runtime::WaitList end;
    waiting_.spawn("store waits for work", [&] {
      (void)wait(request.seen(), env_.now() + k_wait_work_max).ok();
      ended = true;
      end.wake_all();
    });
    while (!ended) end.wait_uncancellable();
  }
  const auto count = wait(0, env_.now());
  wire::WaitWorkResponse response;
  response.set_run(run_);
  response.set_count(count.ok() ? *count : 0);
  return response;
}

Result<wire::CheckpointResponse> StoreServer::checkpoint(Call& call, const wire::CheckpointRequest& request) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (request.name().empty() || request.name().size() > k_checkpoint_name_max || !std::ranges::all_of(request.name(), allowed)) {
    return Status(Code::invalid, "store: a checkpoint's name is 1 to 64 of a-z, 0-9 and -");
  }
  wire::CheckpointResponse response;
  response.set_directory(TRY(checkpoint_(call, request.name())));
  return response;
}

}  // namespace hongyan::store
