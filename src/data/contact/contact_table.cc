#include "data/contact/contact_table.h"

#include "base/bytes.h"
#include "data/contact/contact_rules.h"
#include "model/limits.h"
#include "model/tables.h"

namespace hongyan::contact {

namespace {

constexpr char k_kind_edge = 'e';
constexpr char k_kind_pending = 'w';

std::string key_of(char kind, uint64_t peer) {
  std::string key(1, kind);
  put_u64(key, peer);
  return key;
}

std::optional<uint64_t> peer_of(char kind, std::string_view key) {
  if (key.size() != 9 || key[0] != kind) return std::nullopt;
  return Reader(key.substr(1)).u64();
}

}  // namespace

store::EntityId contact_entity(uint64_t uin) {
  std::string id;
  put_u64(id, uin);
  return {.table = model::k_table_contact, .id = std::move(id)};
}

std::optional<uint64_t> uin_of(const store::EntityId& entity) {
  if (entity.table != model::k_table_contact || entity.id.size() != 8) return std::nullopt;
  return Reader(entity.id).u64();
}

std::string edge_key(uint64_t peer) { return key_of(k_kind_edge, peer); }
std::string pending_key(uint64_t peer) { return key_of(k_kind_pending, peer); }
std::optional<uint64_t> peer_of_edge(std::string_view key) { return peer_of(k_kind_edge, key); }
std::optional<uint64_t> peer_of_pending(std::string_view key) { return peer_of(k_kind_pending, key); }

store::Read edge_read(uint64_t uin, uint64_t peer) {
  const std::string key = edge_key(peer);
  return {.entity = contact_entity(uin), .from = key, .to = key + '\0', .rows_max = 1};
}

store::Read count_read(uint64_t uin) {
  return {.entity = contact_entity(uin),
          .from = std::string(k_row_count),
          .to = std::string(k_row_count) + '\0',
          .rows_max = 1};
}

Result<Edge> parse_edge(const store::ReadReply& reply) {
  Edge out;
  if (reply.rows.empty()) return out;
  if (!out.row.ParseFromString(reply.rows[0].value)) return Status(Code::corrupt, "an edge row does not parse");
  out.version = reply.rows[0].version;
  return out;
}

Result<int64_t> parse_count(const store::ReadReply& reply) {
  if (reply.rows.empty()) return int64_t{0};
  return store::number_of(reply.rows[0]);
}

client::Contact contact_of(uint64_t peer, const Edge& edge) {
  client::Contact out;
  out.set_uin(peer);
  out.set_state(edge.row.state());
  out.set_blocked(edge.row.blocked());
  out.set_remark(edge.row.remark());
  out.set_greeting(edge.row.greeting());
  out.set_since_ms(edge.row.since_ms());
  out.set_version(edge.version);
  return out;
}

void change_edge(store::Commit& commit, uint64_t peer, const Edge& before, const EdgeRow& after) {
  const std::string key = edge_key(peer);
  const std::string count(k_row_count);
  const bool is_new = before.version == 0;
  commit.preconditions.push_back(store::row_at(key, before.version));
  if (is_bare(after)) {
    if (is_new) return;
    commit.mutations.push_back(store::erase(key));
    commit.mutations.push_back(store::add(count, -1));
    return;
  }
  commit.mutations.push_back(store::put(key, after));
  if (!is_new) return;
  commit.mutations.push_back(store::add(count, 1));
  commit.preconditions.push_back(store::below(count, static_cast<int64_t>(model::k_contacts_max)));
}

bool refused_by_limit(const store::Commit& commit, const store::CommitReply& reply) {
  return !reply.committed &&
         commit.preconditions.at(reply.failed_precondition).kind == store::Precondition::Kind::number_below;
}

}  // namespace hongyan::contact
