// How entities lie in an ordered byte map: the same on every engine. On disk: never renumber, never reorder.
//
//   rows space   slot(u16) · table(u16) · id length(u8) · id · kind(u8) · key        kind: Kind below
//   work space   slot(u16) · tag(u16) · table(u16) · id length(u8) · id              -> version(u64) of the marking commit
//
// slot = stable_hash(table · id) & 0xffff: a shard owns ranges of slots, so an entity's rows and marks move together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/entity/store.h"

namespace hongyan::store {

enum class Space : uint8_t { rows = 0, work = 1 };

enum class Kind : uint8_t {
  header = 0,
  row = 1,         // key = the row's key; value = version varint · payload
  change = 2,      // tracked tables: key = version(u64) · row key; value = one byte: 0 changed, 1 erased
  request = 3,     // key = request id; value = the recorded reply
  tombstone = 4,   // tracked tables: key = row key of an erased row; value = version(u64)
};

uint16_t slot_of(const EntityId& entity);
std::string entity_prefix(const EntityId& entity);            // Up to and with the id.
std::string kind_prefix(const EntityId& entity, Kind kind);
std::string row_key(const EntityId& entity, Kind kind, std::string_view key);
std::string work_key(const EntityId& entity, WorkTag tag);
// The smallest string above every string with this prefix; empty: there is none.
std::string prefix_end(std::string prefix);

struct WorkKey {
  WorkTag tag;
  EntityId entity;
};
std::optional<WorkKey> parse_work_key(std::string_view key);

std::string encode_row(uint64_t version, std::string_view payload);
struct StoredRow {
  uint64_t version;
  std::string_view payload;
};
std::optional<StoredRow> parse_row(std::string_view value);

// What the header row holds beside the public header.
struct StoredHeader {
  Header header;
  uint64_t request_ids = 0;        // How many are recorded.
  uint64_t oldest_request_ms = 0;  // None of them was issued before: where trimming begins.
  uint64_t purged_changes = 0;     // No tombstone is left at or below this version: where purging begins.
};
std::string encode_header(const StoredHeader& header);
Result<StoredHeader> parse_header(std::string_view value);  // Code::corrupt, unsupported (a newer format).

}  // namespace hongyan::store
