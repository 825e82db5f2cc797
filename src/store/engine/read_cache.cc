#include "store/engine/read_cache.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/engine/evaluate.h"
#include "store/engine/limits.h"

namespace hongyan::store {

namespace {

constexpr size_t k_row_overhead = sizeof(Row);

size_t bytes_of(const Row& row) { return row.key.size() + row.value.size() + k_row_overhead; }

bool plain(const Read& read) {
  return read.direction == Direction::forward && read.filters.empty() && read.projection.empty() && read.rows_max > 0;
}

std::vector<Row>::iterator first_at(std::vector<Row>& rows, std::string_view key) {
  return std::lower_bound(rows.begin(), rows.end(), key, [](const Row& row, std::string_view at) { return row.key < at; });
}

}  // namespace

bool ReadCache::Range::covers(const Read& read) const {
  return read.from >= from && (to.empty() || (!read.to.empty() && read.to <= to));
}

ReadCache::ReadCache(uint64_t restore_salt) : restore_salt_(restore_salt), entries_(k_cached_entities_max) {}

size_t ReadCache::place_of(TableId table, std::string_view id) const { return stable_hash(id, table) % entries_.size(); }

const ReadCache::Entry* ReadCache::entry_of(const EntityId& entity) const {
  const Entry& entry = entries_[place_of(entity.table, entity.id)];
  return entry.used && entry.entity == entity ? &entry : nullptr;
}

std::optional<Header> ReadCache::header(const EntityId& entity) const {
  const Entry* entry = entry_of(entity);
  return entry == nullptr ? std::nullopt : std::optional<Header>(entry->header);
}

std::optional<ReadReply> ReadCache::find(const Read& read) const {
  const Entry* entry = entry_of(read.entity);
  if (entry == nullptr) return std::nullopt;
  if (read.rows_max == 0) return ReadReply{.header = entry->header, .rows = {}};
  if (!plain(read)) return std::nullopt;
  const auto range = std::find_if(entry->ranges.rbegin(), entry->ranges.rend(), [&](const Range& one) { return one.covers(read); });
  if (range == entry->ranges.rend()) return std::nullopt;
  ReadReply reply{.header = entry->header, .rows = {}};
  size_t bytes = 0;
  auto row = std::lower_bound(range->rows.begin(), range->rows.end(), std::string_view(read.from),
                              [](const Row& one, std::string_view at) { return one.key < at; });
  for (; row != range->rows.end() && (read.to.empty() || row->key < read.to); ++row) {
    const size_t size = row->key.size() + row->value.size();
    if (reply.rows.size() >= read.rows_max || (!reply.rows.empty() && bytes + size > read.bytes_max)) {
      reply.more = true;
      break;
    }
    bytes += size;
    reply.rows.push_back(*row);
  }
  return reply;
}

ReadCache::Entry* ReadCache::fresh(const EntityId& entity, const Header& header, uint64_t batches) {
  Entry& entry = entries_[place_of(entity.table, entity.id)];
  const bool same = entry.used && entry.entity == entity;
  if (same && entry.header.position > header.position) return nullptr;
  if (same && entry.header.position == header.position) return &entry;
  if (batches != batches_) {
    if (same) {  // Older than what was answered.
      entry.used = false;
      entry.ranges.clear();
      count(entry);
    }
    return nullptr;
  }
  entry.entity = entity;
  entry.header = header;
  entry.ranges.clear();
  entry.used = true;
  count(entry);
  return &entry;
}

void ReadCache::note(const EntityId& entity, const Header& header, uint64_t batches) {
  (void)fresh(entity, header, batches);
}

void ReadCache::keep(const Read& read, const ReadReply& reply, uint64_t batches) {
  Entry* entry = fresh(read.entity, reply.header, batches);
  if (entry == nullptr || reply.more || !plain(read)) return;
  if (!read.to.empty() && read.to <= read.from) return;
  Range range{.from = read.from, .to = read.to, .rows = {}};
  for (const Row& row : reply.rows) range.bytes += bytes_of(row);
  if (range.bytes > k_cached_range_bytes_max) return;
  range.rows = reply.rows;
  std::erase_if(entry->ranges, [&](const Range& old) {
    return old.from >= range.from && (range.to.empty() || (!old.to.empty() && old.to <= range.to));
  });
  if (entry->ranges.size() >= k_cached_ranges_max) entry->ranges.erase(entry->ranges.begin());
  entry->ranges.push_back(std::move(range));
  count(*entry);
  make_room();
}

void ReadCache::apply(const std::vector<Write>& written) {
  constexpr size_t k_id_at = 5;  // keys.h: slot, table, length of the id
  ++batches_;
  for (const Write& write : written) {
    if (write.space != Space::rows) continue;
    const std::string_view key = write.key;
    const auto table = static_cast<TableId>(static_cast<unsigned char>(key[2]) << 8 | static_cast<unsigned char>(key[3]));
    const std::string_view id = key.substr(k_id_at, static_cast<unsigned char>(key[k_id_at - 1]));
    Entry& entry = entries_[place_of(table, id)];
    if (!entry.used || entry.entity.table != table || entry.entity.id != id) continue;
    const auto kind = static_cast<Kind>(key[k_id_at + id.size()]);
    if (kind == Kind::row) change(entry, key.substr(k_id_at + id.size() + 1), write.value);
    if (kind != Kind::header) continue;
    const auto stored = write.value ? parse_header(*write.value) : Result<StoredHeader>(Status(Code::corrupt, ""));
    if (stored.ok()) {
      entry.header = reported(stored->header, restore_salt_);
    } else {
      entry.used = false;  // Whoever reads it finds out.
    }
  }
  make_room();
}

void ReadCache::change(Entry& entry, std::string_view key, const std::optional<std::string>& stored) {
  const auto parsed = stored ? parse_row(*stored) : std::nullopt;
  for (Range& range : entry.ranges) {
    if (!range.holds(key)) continue;
    auto at = first_at(range.rows, key);
    const bool there = at != range.rows.end() && at->key == key;
    if (there) range.bytes -= bytes_of(*at);
    if (parsed) {
      if (!there) at = range.rows.insert(at, Row{.key = std::string(key), .value = {}});
      at->value = parsed->payload;
      at->version = parsed->version;
      range.bytes += bytes_of(*at);
    } else if (there) {
      range.rows.erase(at);
    }
    if (range.bytes <= k_cached_range_bytes_max) continue;
    // The end of a log is what is asked for: the first half goes.
    const size_t half = (range.rows.size() + 1) / 2;
    for (size_t i = 0; i < half; ++i) range.bytes -= bytes_of(range.rows[i]);
    range.from = range.rows[half - 1].key + '\0';
    range.rows.erase(range.rows.begin(), range.rows.begin() + static_cast<std::ptrdiff_t>(half));
  }
  count(entry);
}

void ReadCache::count(Entry& entry) {
  bytes_ -= entry.bytes;
  entry.bytes = entry.entity.id.size();
  for (const Range& range : entry.ranges) entry.bytes += sizeof(Range) + range.from.size() + range.to.size() + range.bytes;
  bytes_ += entry.bytes;
}

void ReadCache::make_room() {
  for (size_t seen = 0; bytes_ > k_cached_bytes_max && seen < entries_.size(); ++seen) {
    Entry& entry = entries_[hand_];
    hand_ = (hand_ + 1) % entries_.size();
    bytes_ -= entry.bytes;
    entry = Entry();
  }
}

void ReadCache::clear() {
  ++batches_;
  for (Entry& entry : entries_) entry = Entry();
  bytes_ = 0;
}

}  // namespace hongyan::store
