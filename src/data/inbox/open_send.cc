#include "data/inbox/open_send.h"

#include <algorithm>

#include "api/client/checks.h"
#include "data/inbox/limits.h"
#include "model/error_code.h"
#include "model/kinds.h"
#include "model/tables.h"
#include "queue/task/worker.h"
#include "runtime/log/log.h"

namespace hongyan::inbox {

namespace {

using namespace std::chrono_literals;
constexpr runtime::Duration k_round_limit = 30s;

// The same message as its receiver sees it.
client::Message for_peer(const client::Message& message, uint64_t sender) {
  client::Message theirs = message;
  fill(direct(sender), *theirs.mutable_conversation());
  theirs.clear_position();
  theirs.clear_version();
  return theirs;
}

std::optional<OpenSendRow> decode_open(const store::Row& row) {
  OpenSendRow open;
  if (!open.ParseFromString(row.value)) return {};
  return open;
}

}  // namespace

std::vector<uint64_t> OpenSends::delivered(uint64_t sender) const {
  const auto found = delivered_.find(sender);
  if (found == delivered_.end()) return {};
  std::vector<uint64_t> versions(found->second.begin(), found->second.end());
  if (versions.size() > k_close_rows_max) versions.resize(k_close_rows_max);
  return versions;
}

void OpenSends::forget(uint64_t sender, std::span<const uint64_t> versions) {
  const auto found = delivered_.find(sender);
  if (found == delivered_.end()) return;
  for (uint64_t version : versions) core_.counters.closed_sends.add(static_cast<int64_t>(found->second.erase(version)));
  if (found->second.empty()) delivered_.erase(found);
}

void OpenSends::remember(uint64_t sender, uint64_t version) {
  if (delivered_.size() >= k_delivered_senders_max && !delivered_.contains(sender)) return;
  delivered_[sender].insert(version);
}

std::string OpenSends::first_open_key(uint64_t sender) const {
  const auto found = first_open_.find(sender);
  return found == first_open_.end() ? open_prefix() : open_key(found->second);
}

// `first_page`: all peers' rows, read from first_open_key. New rows are at versions above its header's.
void OpenSends::note_first_open(uint64_t sender, const store::ReadReply& first_page) {
  if (first_open_.size() >= k_delivered_senders_max && !first_open_.contains(sender)) first_open_.clear();
  first_open_[sender] = first_page.rows.empty() ? first_page.header.version + 1 : last_number(first_page.rows.front().key);
}

OpenSends::Opening::Opening(OpenSends& sends, uint64_t sender) : sends_(sends), sender_(sender) {
  sends_.none_open_.erase(sender);
  ++sends_.opening_[sender];
  ++sends_.openings_;
}

OpenSends::Opening::~Opening() {
  const auto found = sends_.opening_.find(sender_);
  if (--found->second == 0) sends_.opening_.erase(found);
}

Result<bool> OpenSends::none_open(Call& call, uint64_t sender) {
  if (none_open_.contains(sender)) return true;
  const store::Read read{.entity = entity_of(sender), .from = first_open_key(sender), .to = after_prefix(open_prefix()),
                         .rows_max = k_open_page_rows};
  const uint64_t openings = openings_;
  const store::ReadReply reply = TRY(core_.store.read(call, read));
  // What began meanwhile may have put a row behind what was read.
  if (opening_.contains(sender) || openings_ != openings || reply.more) return false;
  note_first_open(sender, reply);
  const auto known = delivered_.find(sender);
  for (const store::Row& row : reply.rows) {
    if (known == delivered_.end() || !known->second.contains(last_number(row.key))) return false;
  }
  if (!core_.config.alone) return true;
  if (none_open_.size() >= k_delivered_senders_max) none_open_.clear();
  none_open_.insert(sender);
  return true;
}

// The bodies of open sends: from the request where it names them, else from the sender's log.
Result<std::vector<client::Message>> OpenSends::with_earlier(
    Call& call, uint64_t sender, std::span<const store::Row> open,
    const std::map<std::string, const client::Message*>& given) {
  std::vector<client::Message> messages(open.size());
  std::vector<store::Read> reads;
  std::vector<size_t> of;
  for (size_t i = 0; i < open.size(); ++i) {
    const auto row = decode_open(open[i]);
    if (!row) return Status(Code::corrupt, "an open send can't be read");
    const auto found = given.find(row->key());
    if (found != given.end()) {
      messages[i] = *found->second;
      continue;
    }
    const std::string key = log_key(last_number(open[i].key));
    of.push_back(i);
    reads.push_back({.entity = entity_of(sender), .from = key, .to = key + '\0', .rows_max = 1});
  }
  if (reads.empty()) return messages;
  const auto replies = core_.store.read_many(call, reads);
  ENSURE(replies.size() == reads.size());
  for (size_t i = 0; i < replies.size(); ++i) {
    if (!replies[i].ok()) return replies[i].status();
    // Retention never passes an open send, so its log row is there.
    if (replies[i]->rows.empty()) return Status(Code::corrupt, "an open send without its message");
    const LogRow row = TRY(decode_log(replies[i]->rows[0].value));
    if (!row.has_message()) return Status(Code::corrupt, "an open send of no message");
    messages[of[i]] = message_of(row.message(), sender, direct(row.message().peer()));
    core_.counters.redeliveries.add(1);
  }
  return messages;
}

// `open_versions`: the 'O' rows of these messages, of the first ones where there are fewer.
Result<uint64_t> OpenSends::put_into(Call& call, uint64_t sender, uint64_t peer,
                                     std::span<const client::Message> messages,
                                     std::span<const uint64_t> open_versions) {
  std::vector<Append> appends;
  for (const client::Message& message : messages) {
    const client::Message theirs = for_peer(message, sender);
    appends.push_back(append_of(peer, theirs, api::payload_hash(message)));
    if (core_.config.retention != Retention::forever) appends.back().commit.mark_work = model::k_work_retention;
  }
  // An open send that the peer refuses for ever must not hold back those behind it.
  const OnReused on_reused = open_versions.empty() ? OnReused::stop : OnReused::go_on;
  const InOrder done = commit_deduplicated(call, core_.store, appends, on_reused);
  uint64_t newest = 0;
  bool reused = false;
  for (size_t i = 0; i < done.outcomes.size(); ++i) {
    const Outcome& outcome = done.outcomes[i];
    reused = reused || outcome.reused;
    core_.counters.duplicates.add(outcome.committed ? 0 : 1);
    if (outcome.committed) {
      core_.counters.appends.add(1);
      core_.counters.bytes.add(static_cast<int64_t>(appends[i].bytes));
      newest = outcome.version;
    }
    if (i < open_versions.size()) remember(sender, open_versions[i]);
  }
  if (newest != 0) {
    client::Conversation conversation;
    fill(direct(sender), conversation);
    core_.rings.ring(peer, newest, conversation, sender, {});
  }
  if (!done.failure.ok()) return done.failure;
  if (reused) return model::error(model::ErrorCode::client_msg_id_reused, "the peer has another message of this id");
  return done.outcomes.empty() ? 0 : done.outcomes.back().version;
}

Result<uint64_t> OpenSends::deliver(Call& call, uint64_t sender, uint64_t peer,
                                    std::span<const client::Message> messages) {
  std::map<std::string, const client::Message*> given;
  for (const client::Message& message : messages) given.emplace(message.key(), &message);
  std::map<std::string, uint64_t> placed;  // Where the given ones that were open are in the peer's inbox.

  store::Read read{.entity = entity_of(sender), .from = first_open_key(sender), .to = after_prefix(open_prefix()),
                   .rows_max = k_open_page_rows};
  for (bool first_page = true;; first_page = false) {
    store::ReadReply reply = TRY(core_.store.read(call, read));
    if (first_page) note_first_open(sender, reply);
    // What is known to be there already only waits for its row to be removed.
    const auto known = delivered_.find(sender);
    const std::string next = reply.rows.empty() ? std::string() : reply.rows.back().key + '\0';
    std::erase_if(reply.rows, [&](const store::Row& row) {
      if (known != delivered_.end() && known->second.contains(last_number(row.key))) return true;
      const auto open = decode_open(row);
      return !open || open->peer() != peer;
    });
    if (!reply.rows.empty()) {
      const auto open = TRY(with_earlier(call, sender, reply.rows, given));
      std::vector<uint64_t> versions;
      for (const store::Row& row : reply.rows) versions.push_back(last_number(row.key));
      const uint64_t version = TRY(put_into(call, sender, peer, open, versions));
      for (const client::Message& message : open) placed[message.key()] = version;
    }
    if (!reply.more || next.empty()) break;
    read.from = next;
  }
  std::vector<client::Message> rest;
  for (const client::Message& message : messages) {
    if (!placed.contains(message.key())) rest.push_back(message);
  }
  uint64_t version = messages.empty() || rest.size() == messages.size() ? 0 : placed[messages.back().key()];
  if (!rest.empty()) version = std::max(version, TRY(put_into(call, sender, peer, rest, {})));
  return version;
}

Result<OpenSends::Closing> OpenSends::prepare_closing(Call& call, uint64_t sender) {
  const store::Read read{.entity = entity_of(sender), .from = first_open_key(sender), .to = after_prefix(open_prefix()),
                         .rows_max = k_close_rows_max};
  const store::ReadReply reply = TRY(core_.store.read(call, read));
  note_first_open(sender, reply);
  const int64_t now = core_.env.utc_ms();
  const auto known = [&](uint64_t version) {
    const auto found = delivered_.find(sender);
    return found != delivered_.end() && found->second.contains(version);
  };
  std::set<uint64_t> peers;  // With an open send that is nobody's request any more.
  for (const store::Row& row : reply.rows) {
    if (known(last_number(row.key))) continue;
    const auto open = decode_open(row);
    if (!open) return Status(Code::corrupt, "an open send can't be read");
    const int64_t age_ms = now - open->time_ms();
    if (age_ms < 0 || age_ms >= core_.config.open_send_grace_ms) peers.insert(open->peer());
  }
  std::set<uint64_t> finished;  // Beside what is remembered, since that is bounded.
  for (uint64_t peer : peers) {
    const Result<uint64_t> done = deliver(call, sender, peer, {});
    if (done.ok()) {
      finished.insert(peer);
      continue;
    }
    core_.counters.worker_failures.add(1);
    core_.env.log().warning("inbox: open sends wait", {{"sender", sender}, {"peer", peer}, {"code", static_cast<uint32_t>(done.code())}});
  }
  Closing closing{sender, {}, {.entity = entity_of(sender), .visibility = store::Visibility::silent}};
  for (const store::Row& row : reply.rows) {
    const auto open = decode_open(row);
    if (!known(last_number(row.key)) && !(open && finished.contains(open->peer()))) continue;
    closing.versions.push_back(last_number(row.key));
    closing.commit.mutations.push_back(erase(row.key));
  }
  if (closing.versions.size() == reply.rows.size() && !reply.more) {
    closing.commit.work_done = store::WorkDone{model::k_work_open_send, reply.header.version};
  }
  if (core_.config.retention != Retention::forever) closing.commit.mark_work = model::k_work_retention;
  return closing;
}

Status OpenSends::close_many(Call& call, std::vector<Closing> closings) {
  std::vector<store::Commit> commits;
  for (Closing& closing : closings) commits.push_back(std::move(closing.commit));
  if (commits.empty()) return {};
  const auto replies = core_.store.commit_many(call, std::move(commits), store::Order::any);
  Status failure;
  for (size_t i = 0; i < replies.size() && i < closings.size(); ++i) {
    if (replies[i].ok()) {
      forget(closings[i].sender, closings[i].versions);
    } else {
      failure = replies[i].status();
    }
  }
  return failure;
}

Status OpenSends::finish_all(Call& call) {
  std::optional<store::EntityId> after;
  Status failure;
  while (true) {
    const auto marked = TRY(core_.store.scan_work(call, model::k_work_open_send, after ? &*after : nullptr,
                                                  k_scan_entities_max));
    std::vector<Closing> closings;
    for (const store::Work& work : marked) {
      const auto sender = uin_of(work.entity);
      if (!sender || !task::holds(core_.config.share, work.entity)) continue;
      Result<Closing> closing = prepare_closing(call, *sender);
      if (!closing.ok()) {
        failure = closing.status();
        continue;
      }
      if (!closing->versions.empty() || closing->commit.work_done) closings.push_back(std::move(*closing));
    }
    if (const Status closed = close_many(call, std::move(closings)); !closed.ok()) failure = closed;
    if (marked.size() < k_scan_entities_max) return failure;
    after = marked.back().entity;
  }
}

void OpenSends::run() {
  while (true) {
    Call rest;
    if (!runtime::sleep(rest, core_.config.close_interval).ok()) return;
    Call call = runtime::background_call(core_.env, k_round_limit);
    const Status done = finish_all(call);
    if (done.ok()) continue;
    core_.counters.worker_failures.add(1);
    core_.env.log().warning("inbox: a round over the open sends failed", {{"code", static_cast<uint32_t>(done.code())}});
  }
}

}  // namespace hongyan::inbox
