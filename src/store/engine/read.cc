#include <algorithm>

#include "base/bytes.h"
#include "store/engine/evaluate.h"
#include "store/engine/wire_fields.h"

namespace hongyan::store {

namespace {

// Rows a filter may look at for one answer: a read that finds nothing must still end soon. `more` says to go on.
constexpr size_t k_rows_examined_max = 10'000;

Result<Header> header_under(Cursor& cursor, const EntityId& entity, uint64_t restore_salt) {
  const std::string at = row_key(entity, Kind::header, "");
  cursor.seek(at);
  TRY(cursor.status());
  Header header;
  if (!cursor.valid() || cursor.key() != at) return header;
  header = TRY(parse_header(cursor.value())).header;
  header.incarnation ^= restore_salt;
  if (header.incarnation == 0) header.incarnation = 1;
  return header;
}

Status check_entity(const Tables& tables, const EntityId& entity) {
  if (tables.find(entity.table) == nullptr) {
    return Status(Code::invalid, "store: unknown table " + std::to_string(entity.table));
  }
  if (entity.id.empty() || entity.id.size() > k_entity_id_bytes_max) {
    return Status(Code::invalid, "store: an entity id has 1 to 255 bytes");
  }
  return {};
}

}  // namespace

Result<ReadReply> read_rows(Backend& backend, const Tables& tables, const Read& read, Reach reach, uint64_t restore_salt) {
  TRY(check_entity(tables, read.entity));
  const auto cursor = backend.cursor(Space::rows, reach);
  ReadReply reply;
  reply.header = TRY(header_under(*cursor, read.entity, restore_salt));
  const std::string prefix = kind_prefix(read.entity, Kind::row);
  const std::string first = prefix + read.from;
  const std::string end = read.to.empty() ? prefix_end(prefix) : prefix + read.to;
  const bool forward = read.direction == Direction::forward;
  const size_t rows_max = std::clamp<size_t>(read.rows_max, 1, k_operation_rows_max);
  const size_t bytes_max = std::min(read.bytes_max, k_operation_bytes_max);
  size_t bytes = 0;
  size_t examined = 0;
  if (forward) cursor->seek(first);
  else cursor->seek_before(end);
  for (; cursor->valid(); forward ? cursor->next() : cursor->previous()) {
    if (forward ? (!end.empty() && cursor->key() >= end) : cursor->key() < first) break;
    const auto stored = parse_row(cursor->value());
    if (!stored) return Status(Code::corrupt, "store: a damaged row");
    // The first row always goes in: an answer without progress would never end.
    const bool full = reply.rows.size() >= rows_max || (!reply.rows.empty() && bytes >= bytes_max);
    if (full || ++examined > k_rows_examined_max) {
      reply.more = true;
      break;
    }
    if (!matches(stored->payload, read.filters)) continue;
    Row row{.key = std::string(cursor->key().substr(prefix.size())), .value = {}, .version = stored->version};
    row.value = read.projection.empty() ? std::string(stored->payload) : project(stored->payload, read.projection);
    bytes += row.key.size() + row.value.size();
    if (!reply.rows.empty() && bytes > bytes_max) {
      reply.more = true;
      break;
    }
    reply.rows.push_back(std::move(row));
  }
  TRY(cursor->status());
  return reply;
}

Result<ChangesReply> read_changes(Backend& backend, const Tables& tables, const EntityId& entity, uint64_t since,
                                  size_t rows_max, Reach reach, uint64_t restore_salt) {
  TRY(check_entity(tables, entity));
  if (!tables.find(entity.table)->tracked) return Status(Code::invalid, "store: the table is not tracked");
  const auto cursor = backend.cursor(Space::rows, reach);
  ChangesReply reply;
  reply.header = TRY(header_under(*cursor, entity, restore_salt));
  if (since > reply.header.version) return Status(Code::not_found, "store: that version is ahead of the entity");
  if (since != 0 && since < reply.header.floor) return Status(Code::not_found, "store: that version is below the floor");
  const std::string prefix = kind_prefix(entity, Kind::change);
  const std::string end = prefix_end(prefix);
  std::string from = prefix;
  put_u64(from, since + 1);
  rows_max = std::clamp<size_t>(rows_max, 1, k_operation_rows_max);
  uint64_t last = 0;
  for (cursor->seek(from); cursor->valid() && cursor->key() < end; cursor->next()) {
    Reader reader(cursor->key().substr(prefix.size()));
    const auto version = reader.u64();
    if (!version || cursor->value().size() != 1) return Status(Code::corrupt, "store: a damaged change");
    // Never cut between rows of one version: the next read starts after it.
    if (reply.changes.size() >= rows_max && *version != last) {
      reply.more = true;
      break;
    }
    last = *version;
    const bool erased = cursor->value()[0] != 0;
    if (erased && since == 0) continue;  // From the start there is nothing to take away.
    reply.changes.push_back({.row = {.key = std::string(reader.rest()), .value = {}, .version = *version}, .erased = erased});
  }
  TRY(cursor->status());
  for (Change& change : reply.changes) {
    if (change.erased) continue;
    const std::string at = row_key(entity, Kind::row, change.row.key);
    cursor->seek(at);
    TRY(cursor->status());
    const auto stored = cursor->valid() && cursor->key() == at ? parse_row(cursor->value()) : std::nullopt;
    if (!stored) return Status(Code::corrupt, "store: the change index names a row that is not there");
    change.row.value = stored->payload;
  }
  return reply;
}

}  // namespace hongyan::store
