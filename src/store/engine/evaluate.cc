#include "store/engine/evaluate.h"

#include "base/bytes.h"
#include "base/hash.h"

namespace hongyan::store {

namespace {

constexpr size_t k_value_table_bytes_max = 4096;
// Old request ids that one commit clears away: more than it adds, so that the backlog shrinks.
constexpr int k_requests_trimmed_max = 8;
// Ids are forgotten this long after they became too old: a clock set back by less can't let a late duplicate run.
constexpr int64_t k_request_trim_margin_ms = 5'000;
// Change entries that one raise of the floor looks at; the next one goes on.
constexpr size_t k_changes_purged_max = 500;

Status damaged(const char* what) { return Status(Code::corrupt, std::string("store: a damaged ") + what); }

std::string encode_number(int64_t number) {
  std::string out;
  put_u64(out, static_cast<uint64_t>(number));
  return out;
}

Result<int64_t> decode_number(std::string_view payload) {
  Reader reader(payload);
  const auto value = reader.u64();
  if (!value || !reader.empty()) return Status(Code::invalid, "store: the row is no number row");
  return static_cast<int64_t>(*value);
}

int64_t request_time_ms(std::string_view id) {
  uint64_t ms = 0;
  for (int i = 0; i < 6; ++i) ms = ms << 8 | static_cast<unsigned char>(id[static_cast<size_t>(i)]);
  return static_cast<int64_t>(ms);
}

// As a request id begins.
std::string request_time(uint64_t ms) {
  std::string out;
  put_u64(out, ms);
  return out.substr(2);
}

bool stamps(const Mutation& mutation, Mutation::Stamp stamp) {
  return mutation.kind == Mutation::Kind::put && mutation.stamp == stamp;
}

Status check_mutation(const TableSpec& spec, const Commit& commit, const Mutation& mutation) {
  const size_t key_bytes = mutation.key.size() + (stamps(mutation, Mutation::Stamp::key) ? 8 : 0);
  const size_t value_bytes = mutation.value.size() + (stamps(mutation, Mutation::Stamp::value) ? 8 : 0);
  if (key_bytes > k_row_key_bytes_max) return Status(Code::too_large, "store: row key over 512 bytes");
  if (value_bytes > k_row_bytes_max) return Status(Code::too_large, "store: row over 256 KiB");
  if (mutation.stamp != Mutation::Stamp::none) {
    if (mutation.kind != Mutation::Kind::put) return Status(Code::invalid, "store: only a put is stamped");
    if (commit.visibility == Visibility::silent) return Status(Code::invalid, "store: a silent commit has no version to stamp");
  }
  if (spec.table_class == TableClass::value && (key_bytes != 0 || value_bytes > k_value_table_bytes_max)) {
    return Status(Code::invalid, "store: a value table has one row with an empty key and at most 4 KiB");
  }
  return {};
}

}  // namespace

Tables::Tables(std::vector<TableSpec> specs) {
  for (TableSpec& spec : specs) {
    const TableId id = spec.id;
    CHECK(specs_.emplace(id, std::move(spec)).second);
  }
}

const TableSpec* Tables::find(TableId id) const {
  const auto found = specs_.find(id);
  return found == specs_.end() ? nullptr : &found->second;
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

Status check_commit(const Tables& tables, const Commit& commit) {
  TRY(check_entity(tables, commit.entity));
  const TableSpec* spec = tables.find(commit.entity.table);
  if (!commit.request_id.empty() && commit.request_id.size() != 16) {
    return Status(Code::invalid, "store: a request id has 16 bytes");
  }
  if (commit.preconditions.size() > k_operation_rows_max || commit.mutations.size() > k_operation_rows_max) {
    return Status(Code::too_large, "store: over 1000 rows in one commit");
  }
  if (commit.visibility != Visibility::visible && commit.visibility != Visibility::silent) {
    return Status(Code::invalid, "store: unknown visibility");
  }
  if (commit.raise_floor && commit.visibility != Visibility::silent) {
    return Status(Code::invalid, "store: only a silent commit raises the floor");
  }
  size_t bytes = 0;
  for (const Precondition& precondition : commit.preconditions) {
    if (precondition.key.size() > k_row_key_bytes_max) return Status(Code::too_large, "store: row key over 512 bytes");
    if (precondition.kind < Precondition::Kind::entity_version || precondition.kind > Precondition::Kind::number_below) {
      return Status(Code::invalid, "store: unknown precondition");
    }
    bytes += precondition.key.size();
  }
  for (const Mutation& mutation : commit.mutations) {
    if (mutation.kind < Mutation::Kind::put || mutation.kind > Mutation::Kind::max ||
        mutation.stamp > Mutation::Stamp::value) {
      return Status(Code::invalid, "store: unknown mutation");
    }
    TRY(check_mutation(*spec, commit, mutation));
    bytes += mutation.key.size() + mutation.value.size();
  }
  if (bytes > k_operation_bytes_max) return Status(Code::too_large, "store: over 1 MiB in one commit");
  return {};
}

struct Evaluation::Draft {
  const EntityId& entity;
  const TableSpec& spec;
  StoredHeader header;
  uint64_t version = 0;   // What written rows carry.
  Changes writes;
  const std::string prefix = entity_prefix(entity);

  std::string key(Kind kind, std::string_view row) const {
    std::string out;
    out.reserve(prefix.size() + 1 + row.size() + sizeof(uint64_t));  // A version may be put behind it.
    out = prefix;
    put_u8(out, static_cast<uint8_t>(kind));
    out += row;
    return out;
  }
  void put(Space space, std::string at, std::string value) { writes.insert_or_assign(Key{space, std::move(at)}, std::move(value)); }
  void erase(Space space, std::string at) { writes.insert_or_assign(Key{space, std::move(at)}, std::nullopt); }
};

Evaluation::Evaluation(const Tables& tables, Backend& backend, CommitCache& cache, Moment moment)
    : tables_(tables), backend_(backend), cache_(cache), moment_(moment) {}

Result<CommitReply> Evaluation::evaluate(const Commit& commit) {
  TRY(check_commit(tables_, commit));
  Draft draft{.entity = commit.entity, .spec = *tables_.find(commit.entity.table), .header = {}, .writes = {}};
  const std::string header_key = draft.key(Kind::header, "");
  if (const auto value = TRY(stored_often(draft, header_key))) draft.header = TRY(parse_header(*value));

  if (auto replay = TRY(recorded(draft, commit))) return *replay;
  CommitReply reply;
  if (!TRY(preconditions_hold(draft, commit, reply))) {
    reply.header = reported(draft.header.header);
    return reply;
  }
  Header& header = draft.header.header;
  if (header.incarnation == 0) {
    header.incarnation = stable_hash(header_key, moment_.entropy) | 1;
  }
  header.position += 1;
  if (commit.visibility == Visibility::visible) header.version += 1;
  draft.version = header.version;
  TRY(apply(draft, commit, reply));
  TRY(apply_work(draft, commit));
  if (commit.raise_floor) TRY(raise_floor(draft, *commit.raise_floor));
  reply.committed = true;
  reply.header = reported(header);
  if (!commit.request_id.empty()) TRY(record_request(draft, commit, reply));
  draft.put(Space::rows, header_key, encode_header(draft.header));
  while (!draft.writes.empty()) {
    auto placed = overlay_.insert(draft.writes.extract(draft.writes.begin()));
    if (in_group_) {
      undo_.emplace_back(placed.position,
                         placed.inserted ? std::optional<Changed>() : std::optional<Changed>(placed.position->second));
    }
    if (!placed.inserted) placed.position->second = std::move(placed.node.mapped());
  }
  return reply;
}

void Evaluation::begin_group() {
  in_group_ = true;
  undo_.clear();
}

void Evaluation::drop_group() {
  for (auto change = undo_.rbegin(); change != undo_.rend(); ++change) {
    if (change->second) change->first->second = std::move(*change->second);
    else overlay_.erase(change->first);
  }
  undo_.clear();
}

std::vector<Write> Evaluation::take_writes() {
  std::vector<Write> writes;
  writes.reserve(overlay_.size());
  while (!overlay_.empty()) {
    auto node = overlay_.extract(overlay_.begin());
    writes.push_back({.space = node.key().first, .key = std::move(node.key().second), .value = std::move(node.mapped())});
  }
  return writes;
}

const Evaluation::Changed* Evaluation::changed(const Draft& draft, Space space, std::string_view key) const {
  const KeyView at{space, key};
  for (const Changes* changes : {&draft.writes, &overlay_}) {
    if (changes->empty()) continue;
    if (const auto found = changes->find(at); found != changes->end()) return &found->second;
  }
  return nullptr;
}

Result<std::optional<std::string>> Evaluation::stored(const Draft& draft, Space space, const std::string& key) {
  if (const Changed* here = changed(draft, space, key)) return *here;
  return backend_.get(space, key, Reach::disk);
}

Result<std::optional<std::string>> Evaluation::stored_often(const Draft& draft, const std::string& key) {
  if (const Changed* here = changed(draft, Space::rows, key)) return *here;
  if (const auto* known = cache_.find(key)) return *known;
  std::optional<std::string> value = TRY(backend_.get(Space::rows, key, Reach::disk));
  cache_.keep(key, value);
  return value;
}

// The recorded reply when this request id has been committed before.
Result<std::optional<CommitReply>> Evaluation::recorded(Draft& draft, const Commit& commit) {
  if (commit.request_id.empty()) return std::optional<CommitReply>();
  const int64_t age_ms = moment_.utc_ms - request_time_ms(commit.request_id);
  if (age_ms > k_request_id_age_ms_max || age_ms < -k_request_id_age_ms_max) {
    return Status(Code::invalid, "store: the request id is not of this minute");
  }
  const auto value = TRY(stored(draft, Space::rows, draft.key(Kind::request, commit.request_id)));
  if (!value) {
    if (draft.header.request_ids >= k_request_ids_max) {
      TRY(trim_requests(draft));  // Sheds load only when the oldest is not old enough to forget.
      if (draft.header.request_ids >= k_request_ids_max) return Status(Code::overloaded, "store: too many requests for one entity");
    }
    return std::optional<CommitReply>();
  }
  Reader reader(*value);
  CommitReply reply;
  const auto version = reader.varint();
  const auto floor = reader.varint();
  const auto position = reader.varint();
  const auto count = reader.varint();
  if (!version || !floor || !position || !count || *count > k_operation_rows_max ||
      reader.rest().size() != *count * sizeof(uint64_t)) {
    return damaged("request record");
  }
  for (uint64_t i = 0; i < *count; ++i) reply.numbers.push_back(static_cast<int64_t>(*reader.u64()));
  reply.committed = true;
  reply.replayed = true;
  reply.header = reported(draft.header.header);
  reply.header.version = *version;
  reply.header.floor = *floor;
  reply.header.position = *position;
  return std::optional<CommitReply>(std::move(reply));
}

Result<bool> Evaluation::preconditions_hold(Draft& draft, const Commit& commit, CommitReply& reply) {
  for (size_t i = 0; i < commit.preconditions.size(); ++i) {
    const Precondition& precondition = commit.preconditions[i];
    bool holds = true;
    if (precondition.kind == Precondition::Kind::entity_version) {
      holds = draft.header.header.version == static_cast<uint64_t>(precondition.value);
    } else if (precondition.kind == Precondition::Kind::number_below) {
      holds = TRY(number(draft, precondition.key)) < precondition.value;
    } else {
      const auto value = TRY(stored(draft, Space::rows, draft.key(Kind::row, precondition.key)));
      std::optional<StoredRow> row;
      if (value) {
        row = parse_row(*value);
        if (!row) return damaged("row");
      }
      holds = precondition.kind == Precondition::Kind::row_absent
                  ? !row
                  : (row ? row->version : 0) == static_cast<uint64_t>(precondition.value);
      if (!holds && row) {
        reply.present = Row{.key = precondition.key, .value = std::string(row->payload), .version = row->version};
      }
    }
    if (!holds) {
      reply.failed_precondition = i;
      return false;
    }
  }
  return true;
}

Status Evaluation::apply(Draft& draft, const Commit& commit, CommitReply& reply) {
  for (const Mutation& mutation : commit.mutations) {
    switch (mutation.kind) {
      case Mutation::Kind::put:
        TRY(put_row(draft, mutation.key, mutation.value, mutation.stamp));
        break;
      case Mutation::Kind::erase:
        TRY(erase_row(draft, mutation.key));
        break;
      case Mutation::Kind::add:
      case Mutation::Kind::max: {
        const int64_t before = TRY(number(draft, mutation.key));
        int64_t after = std::max(before, mutation.number);
        if (mutation.kind == Mutation::Kind::max && after == before) {
          reply.numbers.push_back(after);  // Nothing changes, not even the row's version.
          break;
        }
        if (mutation.kind == Mutation::Kind::add && __builtin_add_overflow(before, mutation.number, &after)) {
          return Status(Code::invalid, "store: the number row would overflow");
        }
        TRY(put_row(draft, mutation.key, encode_number(after)));
        reply.numbers.push_back(after);
        break;
      }
    }
  }
  return {};
}

Status Evaluation::put_row(Draft& draft, std::string_view key, std::string_view payload, Mutation::Stamp stamp) {
  std::string at = draft.key(Kind::row, key);
  if (stamp == Mutation::Stamp::key) put_u64(at, draft.version);
  if (draft.spec.tracked) {
    const std::string_view stamped = std::string_view(at).substr(draft.prefix.size() + 1);
    TRY(forget_change(draft, stamped));
    std::string change;
    put_u64(change, draft.version);
    change += stamped;
    draft.put(Space::rows, draft.key(Kind::change, change), std::string(1, '\0'));
  }
  std::string value = encode_row(draft.version, payload);
  if (stamp == Mutation::Stamp::value) put_u64(value, draft.version);
  draft.put(Space::rows, std::move(at), std::move(value));
  return {};
}

Status Evaluation::erase_row(Draft& draft, const std::string& key) {
  const std::string at = draft.key(Kind::row, key);
  if (draft.spec.tracked) {
    if (!TRY(stored(draft, Space::rows, at))) return {};
    TRY(forget_change(draft, key));
    std::string change;
    put_u64(change, draft.version);
    change += key;
    draft.put(Space::rows, draft.key(Kind::change, change), std::string(1, '\1'));
    std::string version;
    put_u64(version, draft.version);
    draft.put(Space::rows, draft.key(Kind::tombstone, key), std::move(version));
  }
  draft.erase(Space::rows, at);
  return {};
}

// A row stands in the change index once, at its last change.
Status Evaluation::forget_change(Draft& draft, std::string_view key) {
  std::optional<uint64_t> changed_at;
  if (const auto value = TRY(stored(draft, Space::rows, draft.key(Kind::row, key)))) {
    const auto row = parse_row(*value);
    if (!row) return damaged("row");
    changed_at = row->version;
  } else if (const auto tombstone = TRY(stored(draft, Space::rows, draft.key(Kind::tombstone, key)))) {
    changed_at = Reader(*tombstone).u64();
    if (!changed_at) return damaged("tombstone");
    draft.erase(Space::rows, draft.key(Kind::tombstone, key));
  }
  if (changed_at) {
    std::string change;
    put_u64(change, *changed_at);
    change += key;
    draft.erase(Space::rows, draft.key(Kind::change, change));
  }
  return {};
}

Result<int64_t> Evaluation::number(const Draft& draft, const std::string& key) {
  const auto value = TRY(stored_often(draft, draft.key(Kind::row, key)));
  if (!value) return 0;
  const auto row = parse_row(*value);
  if (!row) return damaged("row");
  return decode_number(row->payload);
}

Status Evaluation::apply_work(Draft& draft, const Commit& commit) {
  if (commit.work_done) {
    const std::string at = work_key(draft.entity, commit.work_done->tag);
    if (const auto mark = TRY(stored(draft, Space::work, at))) {
      const auto marked_at = Reader(*mark).u64();
      if (!marked_at) return damaged("work mark");
      if (*marked_at <= commit.work_done->done_up_to) draft.erase(Space::work, at);
    }
  }
  if (commit.mark_work) {
    std::string version;
    put_u64(version, draft.version);
    draft.put(Space::work, work_key(draft.entity, *commit.mark_work), std::move(version));
  }
  return {};
}

Status Evaluation::raise_floor(Draft& draft, uint64_t floor) {
  Header& header = draft.header.header;
  floor = std::min(floor, header.version);
  if (floor <= header.floor) return {};
  header.floor = floor;
  return draft.spec.tracked ? purge_tombstones(draft) : Status();
}

// Below the floor nobody asks what was erased. What stands there yet is in the index too, since changes from version 0
// begin with it; it is passed over once and never again.
Status Evaluation::purge_tombstones(Draft& draft) {
  const std::string prefix = draft.key(Kind::change, "");
  std::string from = prefix;
  put_u64(from, draft.header.purged_changes + 1);
  std::string end = prefix;
  put_u64(end, draft.header.header.floor + 1);
  const auto cursor = backend_.cursor(Space::rows, from, end, Reach::disk);
  size_t seen = 0;
  for (cursor->seek(from); cursor->valid(); cursor->next()) {
    const std::string at(cursor->key());
    const uint64_t version = Reader(std::string_view(at).substr(prefix.size())).u64().value_or(0);
    if (++seen > k_changes_purged_max) {
      draft.header.purged_changes = std::max(draft.header.purged_changes, version - 1);
      return {};
    }
    const auto entry = TRY(stored(draft, Space::rows, at));
    if (!entry || *entry != std::string_view("\1", 1)) continue;  // Changed again in this batch; or it stands.
    draft.erase(Space::rows, at);
    draft.erase(Space::rows, draft.key(Kind::tombstone, at.substr(prefix.size() + sizeof(version))));
  }
  TRY(cursor->status());
  // Tombstones of this very batch are not under the cursor; they wait for the next floor.
  const auto fresh = [&](const auto& writes) {
    for (auto write = writes.lower_bound(KeyView{Space::rows, from}); write != writes.end(); ++write) {
      if (write->first.first != Space::rows || write->first.second >= end) break;
      if (write->second && *write->second == std::string_view("\1", 1)) return true;
    }
    return false;
  };
  if (!fresh(overlay_) && !fresh(draft.writes)) draft.header.purged_changes = draft.header.header.floor;
  return {};
}

Status Evaluation::record_request(Draft& draft, const Commit& commit, const CommitReply& reply) {
  TRY(trim_requests(draft));
  std::string record;
  put_varint(record, reply.header.version);
  put_varint(record, reply.header.floor);
  put_varint(record, reply.header.position);
  put_varint(record, reply.numbers.size());
  for (int64_t number : reply.numbers) put_u64(record, static_cast<uint64_t>(number));
  draft.put(Space::rows, draft.key(Kind::request, commit.request_id), std::move(record));
  const auto issued = static_cast<uint64_t>(request_time_ms(commit.request_id));
  draft.header.oldest_request_ms =
      draft.header.request_ids == 0 ? issued : std::min(draft.header.oldest_request_ms, issued);
  draft.header.request_ids += 1;
  return {};
}

// Ids begin with their time, so the oldest come first; from the oldest that is kept, since walking over what was
// erased before it is slow on some engines.
Status Evaluation::trim_requests(Draft& draft) {
  StoredHeader& header = draft.header;
  const int64_t limit_ms = moment_.utc_ms - k_request_id_age_ms_max - k_request_trim_margin_ms;
  if (header.request_ids == 0 || limit_ms <= 0 || header.oldest_request_ms >= static_cast<uint64_t>(limit_ms)) return {};
  const std::string prefix = draft.key(Kind::request, "");
  const std::string from = prefix + request_time(header.oldest_request_ms);
  const std::string end = prefix + request_time(static_cast<uint64_t>(limit_ms));
  const auto cursor = backend_.cursor(Space::rows, from, end, Reach::disk);
  int trimmed = 0;
  for (cursor->seek(from); cursor->valid(); cursor->next()) {
    const std::string at(cursor->key());
    if (!TRY(stored(draft, Space::rows, at))) continue;  // Trimmed in this batch already.
    if (trimmed == k_requests_trimmed_max) {
      header.oldest_request_ms = static_cast<uint64_t>(request_time_ms(std::string_view(at).substr(prefix.size())));
      return {};
    }
    if (header.request_ids == 0) return damaged("count of request ids");
    draft.erase(Space::rows, at);
    header.request_ids -= 1;
    ++trimmed;
  }
  TRY(cursor->status());
  // This batch's own ids are not under the cursor, and a clock that was set back may have issued them.
  const auto fresh = overlay_.lower_bound(KeyView{Space::rows, from});
  if (fresh == overlay_.end() || fresh->first >= Key{Space::rows, end}) {
    header.oldest_request_ms = static_cast<uint64_t>(limit_ms);
  }
  return {};
}

Header reported(Header header, uint64_t restore_salt) {
  if (header.incarnation == 0) return header;
  header.incarnation ^= restore_salt;
  if (header.incarnation == 0) header.incarnation = 1;  // 0 means absent.
  return header;
}

}  // namespace hongyan::store
