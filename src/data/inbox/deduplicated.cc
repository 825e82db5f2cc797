#include "data/inbox/deduplicated.h"

#include <algorithm>
#include <iterator>

#include "model/kinds.h"

namespace hongyan::inbox {

namespace {

constexpr size_t k_append_mutations = 7;  // Of a message, with its open send.

Result<Outcome> outcome_of(const Result<store::CommitReply>& reply, const std::string& payload_hash) {
  if (!reply.ok()) return reply.status();
  if (reply->committed) return Outcome{true, reply->header.version, {}, false};
  ENSURE(reply->present.has_value());
  const auto dedup = decode_dedup(reply->present->value);
  if (!dedup) return Status(Code::corrupt, "an inbox dedup row can't be read");
  return Outcome{false, reply->present->version, dedup, dedup->payload_hash != payload_hash};
}

}  // namespace

InOrder commit_deduplicated(Call& call, store::Store& store, const std::vector<Append>& appends, OnReused on_reused) {
  InOrder done;
  while (done.outcomes.size() < appends.size()) {
    const size_t start = done.outcomes.size();
    std::vector<store::Commit> rest;
    for (size_t i = start; i < appends.size(); ++i) rest.push_back(appends[i].commit);
    const auto replies = store.commit_many(call, std::move(rest), store::Order::in_order);
    for (const Result<store::CommitReply>& reply : replies) {
      const Result<Outcome> outcome = outcome_of(reply, appends[done.outcomes.size()].payload_hash);
      if (!outcome.ok()) {
        done.failure = outcome.status();
        return done;
      }
      done.outcomes.push_back(*outcome);
      if (outcome->reused && on_reused == OnReused::stop) return done;
      if (!outcome->committed) break;  // The store stopped here; what follows starts a new list.
    }
    if (done.outcomes.size() == start) {
      done.failure = Status(Code::internal, "the store answered no commit");
      return done;
    }
  }
  return done;
}

namespace {

Append append_row(uint64_t owner, const ConversationId& conversation, const client::Message& message, const LogRow& row,
                  std::string payload_hash) {
  const bool mine = message.sender() == owner;
  const bool no_unread = (message.flags() & model::k_flag_no_unread) != 0;
  const auto& named = message.mentions();
  const bool mentioned = !mine && std::find(named.begin(), named.end(), owner) != named.end();
  const uint32_t marks = (mine ? k_mark_mine : 0) | (no_unread ? k_mark_no_unread : 0) |
                         (mentioned ? k_mark_mentions_me : 0);
  std::string value = row.SerializeAsString();

  Append append{{.entity = entity_of(owner)}, std::move(payload_hash), value.size()};
  store::Commit& commit = append.commit;
  commit.preconditions.push_back(absent(dedup_key(message.key())));
  auto& mutations = commit.mutations;
  mutations.reserve(k_append_mutations);
  mutations.push_back(put_at_version(log_prefix(), std::move(value)));
  mutations.push_back(put(dedup_key(message.key()), encode(DedupRow{append.payload_hash, message.server_time_ms()})));
  mutations.push_back(put_at_version(history_prefix(conversation), marks_value(marks)));
  if ((message.flags() & model::k_flag_no_list) == 0) {
    mutations.push_back(put_with_version(view_key(conversation, Field::last)));
  }
  if (counts_as_unread(marks)) {
    mutations.push_back(add(view_key(conversation, Field::unread), 1));
    if (mentioned) mutations.push_back(add(view_key(conversation, Field::mentions), 1));
  }
  return append;
}

}  // namespace

Append append_of(uint64_t owner, const client::Message& message, std::string payload_hash) {
  LogRow row;
  *row.mutable_message() = row_of(message, owner);
  return append_row(owner, conversation_id(message.conversation()), message, row, std::move(payload_hash));
}

Appends append_both(uint64_t sender, uint64_t peer, const client::Message& message, const std::string& payload_hash) {
  LogRow row;
  *row.mutable_message() = row_of(message, sender, KeyIs::hash);
  Append mine = append_row(sender, direct(peer), message, row, payload_hash);
  // All else is the same for both.
  row.mutable_message()->set_peer(sender);
  row.mutable_message()->set_mine(false);
  return {std::move(mine), append_row(peer, direct(sender), message, row, payload_hash)};
}

}  // namespace hongyan::inbox
