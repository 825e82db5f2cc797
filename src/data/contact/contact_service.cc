#include "data/contact/contact_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "data/contact/contact_counters.h"
#include "data/contact/contact_ring.h"
#include "data/contact/contact_rules.h"
#include "data/contact/contact_table.h"
#include "data/contact/delivery.h"
#include "data/contact/limits.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"
#include "queue/task/worker.h"
#include "rpc/service_identity.h"

namespace hongyan::contact {

namespace {

Status contended() { return Status(Code::conflict, "the contacts are being changed by others"); }
Status full(std::string_view whose) {
  return model::error(model::ErrorCode::contacts_full, std::string(whose) + " contact list is full");
}

// Both edges of a pair, and how many the peer has.
struct Pair {
  Edge mine;
  Edge theirs;
  int64_t their_count = 0;
};

struct Key {
  uint64_t uin = 0;
  uint64_t peer = 0;
};

class ContactServiceImpl final : public Service {
 public:
  ContactServiceImpl(Env& env, ContactDeps deps, const ContactConfig& config)
      : env_(env),
        deps_(std::move(deps)),
        counters_(env.counters()),
        self_(env, deps_.audiences, "contact"),
        ring_(deps_.presence, self_, counters_),
        delivery_(env, deps_.store, ring_, counters_),
        worker_(env, deps_.store, model::k_work_edge,
                [this](Call& call, const store::Work& work) { return deliver_late(call, work); },
                {.share = config.share, .grace = config.grace}) {}

  void start() override { worker_.start(); }
  Status stop(Call& call) override { return worker_.stop(call); }

  Result<internal::EdgeResponse> ask(Call& call, const internal::AskRequest& request) override;
  Result<internal::EdgeResponse> accept(Call& call, const internal::AcceptRequest& request) override;
  Result<internal::EdgeResponse> remove(Call& call, const internal::RemoveRequest& request) override;
  Result<internal::EdgeResponse> set_edge(Call& call, const internal::SetEdgeRequest& request) override;
  Result<internal::EdgeResponse> get_edge(Call& call, const internal::GetEdgeRequest& request) override;
  Result<internal::ListEdgesResponse> list_edges(Call& call, const internal::ListEdgesRequest& request) override;
  Result<internal::ContactChangesResponse> changes(Call& call, const internal::ContactChangesRequest& request) override;
  Result<internal::MayWriteResponse> may_write(Call& call, const internal::MayWriteRequest& request) override;
  Result<internal::MayWriteResponse> grant_write(Call& call, const internal::GrantWriteRequest& request) override;
  Result<internal::AreFriendsResponse> are_friends(Call& call, const internal::AreFriendsRequest& request) override;
  Result<internal::EdgeResponse> befriend(Call& call, const internal::BefriendRequest& request) override;

 private:
  Status deliver_late(Call& call, const store::Work& work);
  Status check_peer(const Key& key) const;                 // invalid
  Status check_exists(Call& call, uint64_t uin);           // not_found
  Result<Edge> read_edge(Call& call, const Key& key);
  Result<Pair> read_pair(Call& call, const Key& key);
  Result<Pair> read_edges(Call& call, const Key& key);  // Without the count.
  // Commits a step of one's own edge. False: it changed meanwhile, decide again.
  Result<bool> take_step(Call& call, const Key& key, const Edge& before, const Step& step);
  // The edge as it is now, after what was left for the peer has been tried.
  Result<internal::EdgeResponse> settled(Call& call, const Key& key, bool with_delivery);
  std::string grant(const Key& key, std::string_view right) const;
  const std::string& write_grant(const Key& key);

  Env& env_;
  ContactDeps deps_;
  ContactCounters counters_;
  rpc::ServiceIdentity self_;
  ContactRing ring_;
  Delivery delivery_;
  task::Worker worker_;
  // A grant to write, and when it was made.
  struct Given {
    Key key;
    std::string grant;
    int64_t at_ms = 0;
  };
  std::vector<Given> given_ = std::vector<Given>(k_grants_kept);  // By hash.
};

Status ContactServiceImpl::deliver_late(Call& call, const store::Work& work) {
  const auto uin = uin_of(work.entity);
  ENSURE(uin.has_value());
  return delivery_.deliver_marked(call, *uin);
}

Status ContactServiceImpl::check_peer(const Key& key) const {
  if (!model::is_user(key.peer)) return Status(Code::invalid, "peer is no user");
  if (key.uin == key.peer) return Status(Code::invalid, "nobody is their own contact");
  return {};
}

Status ContactServiceImpl::check_exists(Call& call, uint64_t uin) {
  internal::ProfilesRequest request;
  request.add_uins(uin);
  Call as_self = self_.as_self(call);
  if (TRY(deps_.account.profiles(as_self, request)).profiles_size() == 0) {
    return Status(Code::not_found, "no such user");
  }
  return {};
}

Result<Edge> ContactServiceImpl::read_edge(Call& call, const Key& key) {
  return parse_edge(TRY(deps_.store.read(call, edge_read(key.uin, key.peer))));
}

Result<Pair> ContactServiceImpl::read_edges(Call& call, const Key& key) {
  const store::Read reads[] = {edge_read(key.uin, key.peer), edge_read(key.peer, key.uin)};
  std::vector<Result<store::ReadReply>> replies = deps_.store.read_many(call, reads);
  ENSURE(replies.size() == 2);
  Pair out;
  out.mine = TRY(parse_edge(TRY(std::move(replies[0]))));
  out.theirs = TRY(parse_edge(TRY(std::move(replies[1]))));
  return out;
}

Result<Pair> ContactServiceImpl::read_pair(Call& call, const Key& key) {
  const std::vector<store::Read> reads = {edge_read(key.uin, key.peer), edge_read(key.peer, key.uin),
                                          count_read(key.peer)};
  std::vector<Result<store::ReadReply>> replies = deps_.store.read_many(call, reads);
  ENSURE(replies.size() == reads.size());
  Pair out;
  out.mine = TRY(parse_edge(TRY(std::move(replies[0]))));
  out.theirs = TRY(parse_edge(TRY(std::move(replies[1]))));
  out.their_count = TRY(parse_count(TRY(std::move(replies[2]))));
  return out;
}

Result<bool> ContactServiceImpl::take_step(Call& call, const Key& key, const Edge& before, const Step& step) {
  store::Commit commit{.entity = contact_entity(key.uin)};
  change_edge(commit, key.peer, before, step.edge);
  if (step.action) {
    PendingRow pending;
    pending.set_action(static_cast<uint32_t>(*step.action));
    pending.set_greeting(step.greeting);
    commit.mutations.push_back(store::put(pending_key(key.peer), pending));
    commit.mark_work = model::k_work_edge;
  }
  if (commit.mutations.empty()) return true;
  const store::CommitReply reply = TRY(deps_.store.commit(call, commit));
  if (refused_by_limit(commit, reply)) return full("this user's");
  if (reply.committed) ring_.ring(call, key.uin, reply.header.version);
  return reply.committed;
}

Result<internal::EdgeResponse> ContactServiceImpl::settled(Call& call, const Key& key, bool with_delivery) {
  // The change is durable: what can't be delivered now is the worker's, and no failure of this call.
  if (with_delivery) (void)delivery_.deliver(call, key.uin);
  internal::EdgeResponse out;
  *out.mutable_contact() = contact_of(key.peer, TRY(read_edge(call, key)));
  return out;
}

Result<internal::EdgeResponse> ContactServiceImpl::ask(Call& call, const internal::AskRequest& request) {
  const Key key{.uin = request.uin(), .peer = request.peer()};
  TRY(check_peer(key));
  TRY(check_greeting(request.greeting()));
  bool exists = false;
  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Pair pair = TRY(read_pair(call, key));
    const bool both_friends = pair.mine.row.state() == model::k_edge_friend &&
                              pair.theirs.row.state() == model::k_edge_friend;
    if (both_friends) return settled(call, key, false);
    // The server's own accounts can be blocked like anybody, but are nobody's friends.
    if (key.peer < model::k_first_uin) return Status(Code::not_found, "no such user");
    if (!exists && pair.mine.version == 0) TRY(check_exists(call, key.peer));
    exists = true;
    if (pair.theirs.version == 0 && pair.their_count >= static_cast<int64_t>(model::k_contacts_max)) {
      return full("the other's");
    }
    if (!TRY(take_step(call, key, pair.mine, contact::ask(pair.mine.row, request.greeting(), env_.utc_ms())))) continue;
    counters_.asked.add(1);
    return settled(call, key, true);
  }
  return contended();
}

Result<internal::EdgeResponse> ContactServiceImpl::accept(Call& call, const internal::AcceptRequest& request) {
  const Key key{.uin = request.uin(), .peer = request.peer()};
  TRY(check_peer(key));
  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Edge mine = TRY(read_edge(call, key));
    const Step step = TRY(contact::accept(mine.row, env_.utc_ms()));
    if (!step.action) return settled(call, key, false);
    if (!TRY(take_step(call, key, mine, step))) continue;
    counters_.accepted.add(1);
    return settled(call, key, true);
  }
  return contended();
}

Result<internal::EdgeResponse> ContactServiceImpl::remove(Call& call, const internal::RemoveRequest& request) {
  const Key key{.uin = request.uin(), .peer = request.peer()};
  TRY(check_peer(key));
  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Edge mine = TRY(read_edge(call, key));
    if (mine.row.state() == model::k_edge_none) return settled(call, key, false);
    const Step step = contact::remove(mine.row, env_.utc_ms());
    if (!TRY(take_step(call, key, mine, step))) continue;
    counters_.removed.add(1);
    return settled(call, key, step.action.has_value());
  }
  return contended();
}

Result<internal::EdgeResponse> ContactServiceImpl::befriend(Call& call, const internal::BefriendRequest& request) {
  const Key key{.uin = request.uin(), .peer = request.peer()};
  if (!model::is_user(key.uin)) return Status(Code::invalid, "uin is no user");
  TRY(check_peer(key));
  TRY(check_exists(call, key.uin));
  TRY(check_exists(call, key.peer));
  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Pair pair = TRY(read_pair(call, key));
    if (pair.theirs.version == 0 && pair.their_count >= static_cast<int64_t>(model::k_contacts_max)) {
      return full("the other's");
    }
    if (!TRY(take_step(call, key, pair.mine, contact::befriend(pair.mine.row, env_.utc_ms())))) continue;
    return settled(call, key, true);
  }
  return contended();
}

Result<internal::EdgeResponse> ContactServiceImpl::set_edge(Call& call, const internal::SetEdgeRequest& request) {
  const Key key{.uin = request.uin(), .peer = request.peer()};
  TRY(check_peer(key));
  bool exists = false;
  for (int i = 0; i < k_commit_tries_max; ++i) {
    const Edge mine = TRY(read_edge(call, key));
    const Step step = TRY(contact::set(mine.row, request));
    if (!exists && mine.version == 0) TRY(check_exists(call, key.peer));
    exists = true;
    if (request.fields_size() > 0 && !TRY(take_step(call, key, mine, step))) continue;
    return settled(call, key, false);
  }
  return contended();
}

Result<internal::EdgeResponse> ContactServiceImpl::get_edge(Call& call, const internal::GetEdgeRequest& request) {
  return settled(call, {.uin = request.uin(), .peer = request.peer()}, false);
}

Result<internal::ListEdgesResponse> ContactServiceImpl::list_edges(Call& call,
                                                                   const internal::ListEdgesRequest& request) {
  if (request.limit() > model::k_contacts_page_max) return Status(Code::too_large, "limit is above 500");
  const size_t limit = request.limit() == 0 ? model::k_contacts_page_max : request.limit();
  const store::ReadReply reply =
      TRY(deps_.store.read(call, {.entity = contact_entity(request.uin()),
                                  .from = edge_key(request.after_peer()) + '\0',
                                  .to = "f",
                                  .rows_max = limit}));
  internal::ListEdgesResponse out;
  for (const store::Row& row : reply.rows) {
    Edge edge{.row = {}, .version = row.version};
    const auto peer = peer_of_edge(row.key);
    if (!peer || !edge.row.ParseFromString(row.value)) return Status(Code::corrupt, "an edge row does not parse");
    *out.add_contacts() = contact_of(*peer, edge);
  }
  out.set_more(reply.more);
  out.set_incarnation(reply.header.incarnation);
  out.set_version(reply.header.version);
  return out;
}

Result<internal::ContactChangesResponse> ContactServiceImpl::changes(Call& call,
                                                                     const internal::ContactChangesRequest& request) {
  if (request.limit() > model::k_contacts_page_max) return Status(Code::too_large, "limit is above 500");
  const size_t limit = request.limit() == 0 ? model::k_contacts_page_max : request.limit();
  const store::EntityId entity = contact_entity(request.uin());
  const store::Header header = TRY(deps_.store.read(call, {.entity = entity, .rows_max = 0})).header;
  const bool from_start = request.since() == 0 && request.incarnation() == 0;
  const bool known = request.incarnation() == header.incarnation && request.since() >= header.floor &&
                     request.since() <= header.version;
  internal::ContactChangesResponse out;
  out.set_reset(!known && !from_start);
  out.set_incarnation(header.incarnation);
  out.set_version(header.version);
  if (header.incarnation == 0) return out;

  const store::ChangesReply reply = TRY(deps_.store.changes(call, entity, known ? request.since() : 0, limit));
  for (const store::Change& change : reply.changes) {
    const auto peer = peer_of_edge(change.row.key);
    if (!peer) continue;
    Edge edge{.row = {}, .version = change.row.version};
    if (!change.erased && !edge.row.ParseFromString(change.row.value)) {
      return Status(Code::corrupt, "an edge row does not parse");
    }
    *out.add_contacts() = contact_of(*peer, edge);
  }
  out.set_more(reply.more);
  out.set_incarnation(reply.header.incarnation);
  out.set_version(reply.more ? reply.changes.back().row.version : reply.header.version);
  return out;
}

std::string ContactServiceImpl::grant(const Key& key, std::string_view right) const {
  return rpc::make_grant(deps_.grants, {.issuer = "contact",
                                        .actor = key.uin,
                                        .object = key.peer,
                                        .right = std::string(right),
                                        .expires_ms = env_.utc_ms() + k_grant_ms});
}

// The same one for a second: its MAC is a good part of a question that is asked for every message. Whether it may be given
// is looked up each time.
const std::string& ContactServiceImpl::write_grant(const Key& key) {
  const int64_t now_ms = env_.utc_ms();
  Given& given = given_[stable_hash(std::string_view(reinterpret_cast<const char*>(&key), sizeof key)) % given_.size()];
  const bool same = given.key.uin == key.uin && given.key.peer == key.peer && !given.grant.empty();
  if (!same || now_ms < given.at_ms || now_ms - given.at_ms >= k_grant_again_ms) given = {key, grant(key, "write"), now_ms};
  return given.grant;
}

Result<internal::MayWriteResponse> ContactServiceImpl::may_write(Call& call, const internal::MayWriteRequest& request) {
  const Key key{.uin = request.uin(), .peer = request.peer()};
  if (!model::is_user(key.peer)) return Status(Code::invalid, "peer is no user");
  if (key.uin != key.peer) {
    const Pair pair = TRY(read_edges(call, key));
    const bool friends = contact::are_friends(pair.mine.row, pair.theirs.row);
    if (pair.theirs.row.blocked() || !friends) counters_.write_refused.add(1);
    if (pair.theirs.row.blocked()) return model::error(model::ErrorCode::blocked, "the other has blocked this user");
    if (!friends) return model::error(model::ErrorCode::not_friend, "not friends on both sides");
  }
  counters_.write_granted.add(1);
  internal::MayWriteResponse out;
  out.set_grant(write_grant(key));
  return out;
}

Result<internal::MayWriteResponse> ContactServiceImpl::grant_write(Call& call, const internal::GrantWriteRequest& request) {
  const Key key{.uin = request.uin(), .peer = request.peer()};
  if (!model::is_user(key.uin)) return Status(Code::invalid, "uin is no user");
  TRY(check_peer(key));
  if (key.uin != model::k_system_uin) TRY(check_exists(call, key.uin));
  TRY(check_exists(call, key.peer));
  if (TRY(read_pair(call, key)).theirs.row.blocked()) {
    counters_.write_refused.add(1);
    return model::error(model::ErrorCode::blocked, "the other has blocked this user");
  }
  counters_.write_granted.add(1);
  internal::MayWriteResponse out;
  out.set_grant(grant(key, "write"));
  return out;
}

Result<internal::AreFriendsResponse> ContactServiceImpl::are_friends(Call& call,
                                                                     const internal::AreFriendsRequest& request) {
  if (request.peers_size() > k_peers_max) return Status(Code::too_large, "more than 500 peers");
  internal::AreFriendsResponse out;
  for (int from = 0; from < request.peers_size(); from += k_peers_at_once_max) {
    const int to = std::min(request.peers_size(), from + k_peers_at_once_max);
    std::vector<store::Read> reads;
    for (int i = from; i < to; ++i) {
      reads.push_back(edge_read(request.uin(), request.peers(i)));
      reads.push_back(edge_read(request.peers(i), request.uin()));
    }
    std::vector<Result<store::ReadReply>> replies = deps_.store.read_many(call, reads);
    ENSURE(replies.size() == reads.size());
    for (int i = from; i < to; ++i) {
      const auto at = static_cast<size_t>(i - from) * 2;
      const Edge mine = TRY(parse_edge(TRY(std::move(replies[at]))));
      const Edge theirs = TRY(parse_edge(TRY(std::move(replies[at + 1]))));
      if (theirs.row.blocked() || !contact::are_friends(mine.row, theirs.row)) continue;
      out.add_friends(request.peers(i));
      out.add_grants(grant({.uin = request.uin(), .peer = request.peers(i)}, "invite"));
    }
  }
  return out;
}

}  // namespace

std::unique_ptr<Service> make_contact(Env& env, ContactDeps deps, ContactConfig config) {
  return std::make_unique<ContactServiceImpl>(env, std::move(deps), config);
}

}  // namespace hongyan::contact
