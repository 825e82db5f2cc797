#include "store/remote/remote_store.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/bytes.h"
#include "runtime/coro/sync.h"
#include "store/remote/wire.h"

namespace hongyan::store {

using namespace std::chrono_literals;

namespace {

// One call's commits: the limits of every engine.
constexpr size_t k_many_max = 1000;
constexpr size_t k_many_bytes_max = 8 * 1024 * 1024;
// Of one frame, which holds 8 MiB; a commit is 1 MiB at most.
constexpr size_t k_request_bytes_max = 6 * 1024 * 1024;
// Ids are good for 60 s; what is on its way arrives in the rest.
constexpr auto k_settle_limit = 50s;
constexpr auto k_settle_pause = 100ms;
// How long one question for marks may stand; the server's own limit is shorter.
constexpr auto k_wait_work_limit = 30s;

size_t bytes_of(const Commit& commit) {
  size_t bytes = commit.entity.id.size();
  for (const Mutation& mutation : commit.mutations) bytes += mutation.key.size() + mutation.value.size();
  return bytes;
}

bool passed(const Result<CommitReply>& reply) { return reply.ok() && reply->committed; }

Status not_reached() { return Status(Code::cancelled, "store: a commit before it in the list did not pass"); }

RequestId new_id(Env& env) {
  std::string time;
  put_u64(time, static_cast<uint64_t>(env.utc_ms()));
  return time.substr(2) + env.random_bytes(10);
}

}  // namespace

RemoteStore::RemoteStore(Env& env, rpc::Channel& channel, rpc::ServiceIdentity self)
    : env_(env), client_(channel), self_(std::move(self)) {}

Result<CommitReply> RemoteStore::commit(Call& call, Commit commit) {
  std::vector<Commit> one;
  one.push_back(std::move(commit));
  return std::move(commit_many(call, std::move(one), Order::any).front());
}

std::vector<Result<CommitReply>> RemoteStore::commit_many(Call& call, std::vector<Commit> commits, Order order) {
  size_t bytes = 0;
  for (const Commit& commit : commits) bytes += bytes_of(commit);
  if (commits.size() > k_many_max || (commits.size() > 1 && bytes > k_many_bytes_max)) {
    return CommitReplies(commits.size(), Status(Code::too_large, "store: over 1000 commits or 8 MiB in one call"));
  }
  std::vector<bool> own_ids(commits.size());
  for (size_t i = 0; i < commits.size(); ++i) {
    own_ids[i] = commits[i].request_id.empty();
    if (own_ids[i]) commits[i].request_id = new_id(env_);
  }
  CommitReplies replies = send_all(call, commits, order);
  send_without_ids(call, commits, own_ids, order, replies);
  return replies;
}

// An entity at its cap of ids refuses before any work; what was refused for that alone is asked for without one, with
// what was not reached because of it.
void RemoteStore::send_without_ids(Call& call, const std::vector<Commit>& commits, const std::vector<bool>& own_ids,
                                   Order order, CommitReplies& replies) {
  std::vector<size_t> places;
  const auto refused = [&](size_t i) { return own_ids[i] && replies[i].code() == Code::overloaded; };
  for (size_t i = 0; i < replies.size(); ++i) {
    if (refused(i) || (order == Order::in_order && !places.empty())) places.push_back(i);
  }
  if (places.empty()) return;
  if (order == Order::together) {
    places.resize(replies.size());
    std::iota(places.begin(), places.end(), size_t{0});
  }
  std::vector<Commit> again;
  for (size_t i : places) {
    again.push_back(commits[i]);
    if (own_ids[i]) again.back().request_id.clear();
  }
  CommitReplies late = send_all(call, again, order);
  for (size_t i = 0; i < places.size(); ++i) replies[places[i]] = std::move(late[i]);
}

RemoteStore::CommitReplies RemoteStore::send_all(Call& call, const std::vector<Commit>& commits, Order order) {
  CommitReplies replies;
  replies.reserve(commits.size());
  while (replies.size() < commits.size()) {
    if (order == Order::in_order && !replies.empty() && !passed(replies.back())) {
      replies.emplace_back(not_reached());
      continue;
    }
    wire::CommitRequest request;
    request.set_order(static_cast<uint32_t>(order));
    for (size_t i = replies.size(), bytes = 0; i < commits.size(); ++i) {
      wire::Commit& to = *request.add_commits();
      to_wire(commits[i], to);
      bytes += to.ByteSizeLong() + 8;
      // All or none is one request, or too large for the channel.
      if (bytes > k_request_bytes_max && request.commits_size() > 1 && order != Order::together) {
        request.mutable_commits()->RemoveLast();
        break;
      }
    }
    CommitReplies part = settle(call, std::move(request));
    std::ranges::move(part, std::back_inserter(replies));
  }
  return replies;
}

RemoteStore::CommitReplies RemoteStore::settle(Call& call, wire::CommitRequest request) {
  const bool all_have_ids =
      std::ranges::none_of(request.commits(), [](const wire::Commit& commit) { return commit.request_id().empty(); });
  Call limited = call.until(env_.now() + k_settle_limit);
  bool lost = false;
  CommitReplies replies = send(call, request, false, lost);
  if (!all_have_ids) return replies;
  while (lost && env_.now() < limited.deadline) {
    if (!runtime::sleep(limited, k_settle_pause).ok()) break;
    replies = send(limited, request, true, lost);
  }
  return replies;
}

// `again`: an earlier attempt may have happened, so only an answer that says what became of it counts.
RemoteStore::CommitReplies RemoteStore::send(Call& call, const wire::CommitRequest& request, bool again, bool& lost) {
  const auto count = static_cast<size_t>(request.commits_size());
  Call own = self_.as_self(call);
  auto response = client_.commit(own, request);
  lost = response.code() == Code::unknown_outcome || (again && !response.ok());
  if (response.ok() && response->results_size() != request.commits_size()) {
    response = Status(Code::internal, "store: an answer for other commits");
  }
  if (!response.ok()) {
    const Status status = lost ? Status(Code::unknown_outcome, response.status().detail()) : response.status();
    return CommitReplies(count, status);
  }
  CommitReplies replies;
  replies.reserve(count);
  for (wire::CommitResult& result : *response->mutable_results()) {
    Result<CommitReply> reply = from_wire(std::move(result));
    const bool unsettled = again && (reply.code() == Code::overloaded || reply.code() == Code::deadline);
    lost = lost || unsettled;
    if (unsettled) reply = Status(Code::unknown_outcome, reply.status().detail());
    replies.push_back(std::move(reply));
  }
  return replies;
}

Result<ReadReply> RemoteStore::read(Call& call, const Read& read) {
  return std::move(read_many(call, {&read, 1}).front());
}

std::vector<Result<ReadReply>> RemoteStore::read_many(Call& call, std::span<const Read> reads) {
  std::vector<Result<ReadReply>> replies;
  replies.reserve(reads.size());
  if (reads.size() > k_many_max) {
    replies.assign(reads.size(), Status(Code::too_large, "store: over 1000 reads in one call"));
    return replies;
  }
  while (replies.size() < reads.size()) {
    wire::ReadRequest request;
    for (const Read& read : reads.subspan(replies.size())) to_wire(read, *request.add_reads());
    Call own = self_.as_self(call);
    auto response = client_.read(own, request);
    if (response.ok() && (response->results_size() == 0 || response->results_size() > request.reads_size())) {
      response = Status(Code::internal, "store: an answer for other reads");
    }
    if (!response.ok()) {
      replies.resize(reads.size(), response.status());
      break;
    }
    for (wire::ReadResult& result : *response->mutable_results()) replies.push_back(from_wire(std::move(result)));
  }
  return replies;
}

Result<ChangesReply> RemoteStore::changes(Call& call, const EntityId& entity, uint64_t since, size_t rows_max) {
  wire::ChangesRequest request;
  to_wire(entity, *request.mutable_entity());
  request.set_since(since);
  request.set_rows_max(rows_max);
  Call own = self_.as_self(call);
  wire::ChangesResponse response = TRY(client_.changes(own, request));
  ChangesReply reply;
  reply.header = from_wire(response.header());
  for (wire::Change& change : *response.mutable_changes()) {
    reply.changes.push_back({.row = from_wire(std::move(*change.mutable_row())), .erased = change.erased()});
  }
  reply.more = response.more();
  return reply;
}

Result<std::vector<Work>> RemoteStore::scan_work(Call& call, WorkTag tag, const EntityId* after, size_t rows_max) {
  wire::ScanWorkRequest request;
  request.set_tag(tag);
  if (after != nullptr) to_wire(*after, *request.mutable_after());
  request.set_rows_max(rows_max);
  Call own = self_.as_self(call);
  const wire::ScanWorkResponse response = TRY(client_.scan_work(own, request));
  std::vector<Work> work;
  for (const wire::Work& one : response.work()) {
    work.push_back({.entity = TRY(from_wire(one.entity())), .marked_at = one.marked_at()});
  }
  return work;
}

Result<uint64_t> RemoteStore::wait_work(Call& call, WorkTag tag, uint64_t seen) {
  for (;;) {
    const Marks& marks = marks_[tag];
    if (marks.ours > seen) return marks.ours;
    wire::WaitWorkRequest request;
    request.set_tag(tag);
    request.set_seen(marks.run == 0 ? seen : marks.theirs);
    request.set_run(marks.run);
    Call own = self_.as_self(call).until(env_.now() + k_wait_work_limit);
    const auto response = client_.wait_work(own, request);
    if (response.ok()) note_marks(tag, seen, *response);
    else if (response.code() != Code::deadline || own.deadline == call.deadline) return response.status();
  }
}

void RemoteStore::note_marks(WorkTag tag, uint64_t seen, const wire::WaitWorkResponse& response) {
  Marks& marks = marks_[tag];
  if (marks.run == 0) {
    marks.ours = response.count();
  } else if (marks.run != response.run()) {
    marks.ours = std::max(marks.ours, seen) + 1;  // It may have been marked while nobody looked.
  } else if (response.count() > marks.theirs) {
    marks.ours += response.count() - marks.theirs;
  } else {
    return;  // Another waiter's answer was later.
  }
  marks.run = response.run();
  marks.theirs = response.count();
}

}  // namespace hongyan::store
