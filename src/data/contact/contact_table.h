// Where data/contact keeps what: row keys, the decoding of rows, and the commits that change an edge. On disk: never
// change a key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/client/message.pb.h"
#include "base/result.h"
#include "data/contact/contact_rows.pb.h"
#include "store/table/table.h"

namespace hongyan::contact {

inline constexpr std::string_view k_row_count = "n";

store::EntityId contact_entity(uint64_t uin);
std::optional<uint64_t> uin_of(const store::EntityId& entity);
std::string edge_key(uint64_t peer);
std::string pending_key(uint64_t peer);
// The peer of an edge row's key; nothing for other rows.
std::optional<uint64_t> peer_of_edge(std::string_view key);
std::optional<uint64_t> peer_of_pending(std::string_view key);

store::Read edge_read(uint64_t uin, uint64_t peer);
store::Read count_read(uint64_t uin);

struct Edge {
  EdgeRow row;
  uint64_t version = 0;  // 0: absent
};
Result<Edge> parse_edge(const store::ReadReply& reply);
Result<int64_t> parse_count(const store::ReadReply& reply);
client::Contact contact_of(uint64_t peer, const Edge& edge);

// Adds the change of an edge to a commit: only if the row is still `before`, and a new row only below the limit.
void change_edge(store::Commit& commit, uint64_t peer, const Edge& before, const EdgeRow& after);
// Whether it was the limit that refused the commit.
bool refused_by_limit(const store::Commit& commit, const store::CommitReply& reply);

}  // namespace hongyan::contact
