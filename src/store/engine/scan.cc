#include "store/engine/scan.h"

#include <algorithm>

#include "base/bytes.h"
#include "store/engine/wire_fields.h"

namespace hongyan::store {

namespace {

constexpr size_t k_filters_max = 16;     // Each is a walk over every row.
constexpr size_t k_projection_max = 64;

Result<Header> header_under(Cursor& cursor, const EntityId& entity, uint64_t restore_salt) {
  const std::string at = row_key(entity, Kind::header, "");
  cursor.seek(at);
  TRY(cursor.status());
  if (!cursor.valid() || cursor.key() != at) return Header();
  return reported(TRY(parse_header(cursor.value())).header, restore_salt);
}

}  // namespace

Status check_read(const Tables& tables, const Read& read) {
  TRY(check_entity(tables, read.entity));
  // "Just after the longest key" has one byte more.
  if (read.from.size() > k_row_key_bytes_max + 1 || read.to.size() > k_row_key_bytes_max + 1) {
    return Status(Code::too_large, "store: the bound of a range is over 513 bytes");
  }
  if (read.filters.size() > k_filters_max || read.projection.size() > k_projection_max) {
    return Status(Code::too_large, "store: over 16 filters or 64 projected fields");
  }
  for (const Filter& filter : read.filters) {
    if (filter.field == 0 || filter.number.has_value() == filter.bytes.has_value()) {
      return Status(Code::invalid, "store: a filter compares one field with one value");
    }
  }
  if (read.direction != Direction::forward && read.direction != Direction::backward) {
    return Status(Code::invalid, "store: unknown direction");
  }
  return {};
}

Status check_changes(const Tables& tables, const EntityId& entity) {
  TRY(check_entity(tables, entity));
  if (!tables.find(entity.table)->tracked) return Status(Code::invalid, "store: the table is not tracked");
  return {};
}

ReadScan::ReadScan(Backend& backend, const Read& read, Reach reach, uint64_t restore_salt)
    : read_(read),
      restore_salt_(restore_salt),
      prefix_(kind_prefix(read.entity, Kind::row)),
      end_(read.to.empty() ? prefix_end(prefix_) : prefix_ + read.to),
      rows_max_(std::min(read.rows_max, k_operation_rows_max)),
      bytes_max_(std::min(read.bytes_max, k_operation_bytes_max)),
      cursor_(backend.cursor(Space::rows, row_key(read.entity, Kind::header, ""), end_, reach)) {}

Status ReadScan::start() {
  started_ = true;
  reply_.header = TRY(header_under(*cursor_, read_.entity, restore_salt_));
  if (reply_.header.incarnation == 0 || rows_max_ == 0 || (!read_.to.empty() && read_.to <= read_.from)) {
    finished_ = true;
  } else if (read_.direction == Direction::forward) {
    cursor_->seek(prefix_ + read_.from);
  } else {
    cursor_->seek_before(end_);
  }
  return {};
}

Status ReadScan::step(size_t rows_max) {
  if (!started_) TRY(start());
  for (size_t seen = 0; !finished_ && seen < rows_max; ++seen) {
    TRY(look());
    if (finished_) break;
    if (read_.direction == Direction::forward) cursor_->next();
    else cursor_->previous();
  }
  if (finished_) cursor_.reset();
  return {};
}

Status ReadScan::look() {
  const bool forward = read_.direction == Direction::forward;
  if (!cursor_->valid()) {
    finished_ = true;
    return cursor_->status();
  }
  // Below the rows there is the header; above them the cursor's bound.
  if (!forward && cursor_->key() < prefix_ + read_.from) {
    finished_ = true;
    return {};
  }
  const auto stored = parse_row(cursor_->value());
  if (!stored) return Status(Code::corrupt, "store: a damaged row");
  if (!matches(stored->payload, read_.filters)) return {};
  Row row{.key = std::string(cursor_->key().substr(prefix_.size())), .value = {}, .version = stored->version};
  row.value = read_.projection.empty() ? std::string(stored->payload) : project(stored->payload, read_.projection);
  const size_t size = row.key.size() + row.value.size();
  // The first row always goes in: an answer without progress would never end.
  if (reply_.rows.size() >= rows_max_ || (!reply_.rows.empty() && bytes_ + size > bytes_max_)) {
    reply_.more = true;
    finished_ = true;
    return {};
  }
  bytes_ += size;
  reply_.rows.push_back(std::move(row));
  return {};
}

ChangesScan::ChangesScan(Backend& backend, const EntityId& entity, uint64_t since, size_t rows_max, Reach reach,
                         uint64_t restore_salt)
    : entity_(entity),
      since_(since),
      restore_salt_(restore_salt),
      prefix_(kind_prefix(entity, Kind::change)),
      rows_max_(std::clamp<size_t>(rows_max, 1, k_operation_rows_max)),
      cursor_(backend.cursor(Space::rows, row_key(entity, Kind::header, ""), prefix_end(prefix_), reach)) {}

Status ChangesScan::start() {
  started_ = true;
  reply_.header = TRY(header_under(*cursor_, entity_, restore_salt_));
  if (since_ > reply_.header.version) return Status(Code::not_found, "store: that version is ahead of the entity");
  if (since_ != 0 && since_ < reply_.header.floor) return Status(Code::not_found, "store: that version is below the floor");
  if (since_ == reply_.header.version && since_ != 0) {
    finished_ = true;
    return {};
  }
  std::string from = prefix_;
  put_u64(from, since_ == 0 ? 0 : since_ + 1);  // From the start: also what silent commits put at version 0.
  cursor_->seek(from);
  return {};
}

Status ChangesScan::step(size_t rows_max) {
  if (!started_) TRY(start());
  if (!finished_ && !collected_) TRY(collect(rows_max));
  if (!finished_ && collected_) TRY(fill(rows_max));
  if (finished_) cursor_.reset();
  return {};
}

// Cut between versions only, or the reader could not name the place to go on from.
Status ChangesScan::collect(size_t rows_max) {
  for (size_t seen = 0; seen < rows_max; ++seen, cursor_->next()) {
    if (!cursor_->valid()) {
      collected_ = true;
      return cursor_->status();
    }
    Reader reader(cursor_->key().substr(prefix_.size()));
    const auto version = reader.u64();
    if (!version || cursor_->value().size() != 1) return Status(Code::corrupt, "store: a damaged change");
    // Nor after version 0, from where a reader begins.
    const uint64_t last = reply_.changes.empty() ? 0 : reply_.changes.back().row.version;
    if (reply_.changes.size() >= rows_max_ && *version != last && last != 0) {
      reply_.more = true;
      collected_ = true;
      return {};
    }
    const bool erased = cursor_->value()[0] != 0;
    if (erased && since_ == 0) continue;  // From the start there is nothing to take away.
    reply_.changes.push_back(
        {.row = {.key = std::string(reader.rest()), .value = {}, .version = *version}, .erased = erased});
  }
  return {};
}

Status ChangesScan::fill(size_t rows_max) {
  auto& changes = reply_.changes;
  for (size_t seen = 0; seen < rows_max; ++seen, ++filled_) {
    if (filled_ == changes.size()) {
      finished_ = true;
      return {};
    }
    Change& change = changes[filled_];
    if (filled_ > 0 && changes[filled_ - 1].row.version != change.row.version && bytes_ >= k_operation_bytes_max) {
      changes.resize(filled_);
      reply_.more = true;
      finished_ = true;
      return {};
    }
    if (!change.erased) {
      const std::string at = row_key(entity_, Kind::row, change.row.key);
      cursor_->seek(at);
      TRY(cursor_->status());
      const auto stored = cursor_->valid() && cursor_->key() == at ? parse_row(cursor_->value()) : std::nullopt;
      if (!stored) return Status(Code::corrupt, "store: the change index names a row that is not there");
      change.row.value = stored->payload;
    }
    bytes_ += change.row.key.size() + change.row.value.size();
  }
  return {};
}

}  // namespace hongyan::store
