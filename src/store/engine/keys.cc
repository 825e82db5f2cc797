#include "store/engine/keys.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"

namespace hongyan::store {

uint16_t slot_of(const EntityId& entity) {
  std::string name;
  put_u16(name, entity.table);
  name += entity.id;
  return static_cast<uint16_t>(stable_hash(name) & 0xffff);
}

namespace {

void put_entity(std::string& out, const EntityId& entity) {
  CHECK(!entity.id.empty() && entity.id.size() <= k_entity_id_bytes_max);
  put_u16(out, entity.table);
  put_u8(out, static_cast<uint8_t>(entity.id.size()));
  out += entity.id;
}

}  // namespace

std::string entity_prefix(const EntityId& entity) {
  std::string out;
  put_u16(out, slot_of(entity));
  put_entity(out, entity);
  return out;
}

std::string kind_prefix(const EntityId& entity, Kind kind) {
  std::string out = entity_prefix(entity);
  put_u8(out, static_cast<uint8_t>(kind));
  return out;
}

std::string row_key(const EntityId& entity, Kind kind, std::string_view key) {
  std::string out = kind_prefix(entity, kind);
  out += key;
  return out;
}

std::string work_key(const EntityId& entity, WorkTag tag) {
  std::string out;
  put_u16(out, slot_of(entity));
  put_u16(out, tag);
  put_entity(out, entity);
  return out;
}

std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::optional<WorkKey> parse_work_key(std::string_view key) {
  Reader reader(key);
  const auto slot = reader.u16();
  const auto tag = reader.u16();
  const auto table = reader.u16();
  const auto length = reader.u8();
  if (!slot || !tag || !table || !length || *length == 0 || reader.rest().size() != *length) return std::nullopt;
  return WorkKey{.tag = *tag, .entity = {.table = *table, .id = std::string(reader.rest())}};
}

std::string encode_row(uint64_t version, std::string_view payload) {
  std::string out;
  out.reserve(payload.size() + 4 + sizeof(uint64_t));  // The version may be put behind it, too.
  put_varint(out, version);
  out.append(payload);
  return out;
}

std::optional<StoredRow> parse_row(std::string_view value) {
  Reader reader(value);
  const auto version = reader.varint();
  if (!version) return std::nullopt;
  return StoredRow{.version = *version, .payload = reader.rest()};
}

std::string encode_header(const StoredHeader& stored) {
  std::string out;
  put_varint(out, stored.header.format);
  put_u64(out, stored.header.incarnation);
  put_varint(out, stored.header.version);
  put_varint(out, stored.header.floor);
  put_varint(out, stored.header.position);
  put_varint(out, stored.request_ids);
  put_varint(out, stored.oldest_request_ms);
  put_varint(out, stored.purged_changes);
  return out;
}

Result<StoredHeader> parse_header(std::string_view value) {
  Reader reader(value);
  const auto format = reader.varint();
  if (!format) return Status(Code::corrupt, "entity header is empty");
  if (*format == 0) return Status(Code::corrupt, "entity header is damaged");
  if (*format > 1) {
    return Status(Code::unsupported, "entity header has format " + std::to_string(*format) + ": written by a newer version");
  }
  const auto incarnation = reader.u64();
  const auto version = reader.varint();
  const auto floor = reader.varint();
  const auto position = reader.varint();
  const auto request_ids = reader.varint();
  const auto oldest_request_ms = reader.varint();
  const auto purged_changes = reader.varint();
  const bool whole = incarnation && version && floor && position && request_ids && oldest_request_ms && purged_changes;
  if (!whole || !reader.empty() || *incarnation == 0 || *floor > *version || *version > *position) {
    return Status(Code::corrupt, "entity header is damaged");
  }
  StoredHeader stored;
  stored.header = {.format = 1, .incarnation = *incarnation, .version = *version, .floor = *floor, .position = *position};
  stored.request_ids = *request_ids;
  stored.oldest_request_ms = *oldest_request_ms;
  stored.purged_changes = *purged_changes;
  return stored;
}

}  // namespace hongyan::store
