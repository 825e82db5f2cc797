// The one abstraction of the store. An entity is (table, id): a header and rows ordered by key. A commit is atomic
// inside one entity; across entities only Order::together is, and only where they lie in one shard. Every engine (embedded RocksDB, the log engine of the
// simulator, PaxosStore, SQL) implements Store and passes the same conformance suite
// (store/engine/testing/conformance.h).
//
// Durability: a commit that was answered has been synced; rows become visible after the sync, never before.
// Order: commits of one entity are serial. Preconditions are evaluated and mutations applied once, in order, by
// whoever serialises the entity, so that appends by many senders are blind commits: batched, not refused.
// Limits: k_* below. Errors: Code::no_space, read_only, io, corrupt, overloaded, deadline (outcome unknown),
// too_large, invalid. A failed precondition is not an error: it is CommitReply::committed == false.
// Who may call: data services, through store/table. Table, row-key and field numbers are on disk: never renumber.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/call.h"

namespace hongyan::store {

inline constexpr size_t k_entity_id_bytes_max = 255;    // Fits one length byte of the row key.
inline constexpr size_t k_row_key_bytes_max = 512;      // Far above any key we build; MySQL's index limit is 3072.
inline constexpr size_t k_row_bytes_max = 256 * 1024;   // One row is always less than one answer.
inline constexpr size_t k_operation_rows_max = 1000;    // Rows in one commit or one read answer.
inline constexpr size_t k_operation_bytes_max = 1024 * 1024;
inline constexpr size_t k_request_ids_max = 8192;       // Per entity; at the cap it sheds load instead of forgetting.
inline constexpr int64_t k_request_id_age_ms_max = 60'000;

using TableId = uint16_t;
using WorkTag = uint16_t;

enum class TableClass : uint8_t { value = 1, rows = 2 };  // value: one row of at most 4 KiB, log-as-value.

// What the store must know of a table. The list is fixed in src/model/tables.h.
struct TableSpec {
  TableId id = 0;
  std::string name;
  TableClass table_class = TableClass::rows;
  bool tracked = false;  // Keeps (row -> changed at version) with tombstones above the floor, for changes().
};

struct EntityId {
  TableId table = 0;
  std::string id;
  auto operator<=>(const EntityId&) const = default;
};

struct Header {
  uint32_t format = 1;
  uint64_t incarnation = 0;  // New on creation and on restore; 0: the entity does not exist.
  uint64_t version = 0;      // Visible version: +1 for each visible commit.
  uint64_t floor = 0;        // Versions up to here may have been purged.
  uint64_t position = 0;     // Log position: +1 for each commit. Never shown to clients.
};

struct Row {
  std::string key;
  std::string value;
  uint64_t version = 0;  // The visible version of the commit that wrote it (of the last one before a silent commit).
};

struct Precondition {
  enum class Kind : uint8_t {
    entity_version = 1,  // Header::version == value; 0: no visible commit yet.
    row_absent = 2,      // A failure returns the present row.
    row_version = 3,     // Row::version == value; an absent row has version 0.
    number_below = 4,    // Number row < value; an absent row counts as 0.
  };
  Kind kind;
  std::string key = {};
  int64_t value = 0;
};

struct Mutation {
  enum class Kind : uint8_t { put = 1, erase = 2, add = 3, max = 4 };  // A max that changes nothing writes nothing.
  // Where the new version goes, as 8 big-endian bytes appended to the key or to the value. Puts of visible commits only.
  enum class Stamp : uint8_t { none = 0, key = 1, value = 2 };
  Kind kind;
  std::string key = {};
  std::string value = {};
  int64_t number = 0;  // add, max. A number row's value is 8 big-endian bytes, two's complement; absent counts as 0.
  Stamp stamp = Stamp::none;
};

enum class Visibility : uint8_t { visible = 1, silent = 2 };

// Clears a work mark unless it was set again by a commit after version `done_up_to`. A silent commit marks at the
// version it finds, so a worker that had read that version may clear it: mark in visible commits.
struct WorkDone {
  WorkTag tag = 0;
  uint64_t done_up_to = 0;
};

// 16 bytes: issue time (u48 big-endian UTC ms), then 10 random bytes. The store refuses ids older than
// k_request_id_age_ms_max, so that a late duplicate can't run after its record was trimmed.
using RequestId = std::string;

struct Commit {
  EntityId entity;
  RequestId request_id = {};  // Empty: not a retried call.
  std::vector<Precondition> preconditions = {};
  std::vector<Mutation> mutations = {};
  Visibility visibility = Visibility::visible;
  std::optional<WorkTag> mark_work = {};
  std::optional<WorkDone> work_done = {};
  std::optional<uint64_t> raise_floor = {};  // Silent commits only; never lowers, at most to the version.
};

struct CommitReply {
  bool committed = false;
  Header header;                     // After the commit, or as it is when a precondition failed.
  std::vector<int64_t> numbers;      // The results of add and max, in mutation order.
  size_t failed_precondition = 0;    // Valid when not committed.
  std::optional<Row> present;        // The row that made row_absent or row_version fail.
  bool replayed = false;             // The request id had been committed before; this is its recorded result.
};

enum class Direction : uint8_t { forward = 1, backward = 2 };

// Keeps rows whose protobuf field `field` (varint or length-delimited, top level) equals the value.
struct Filter {
  uint32_t field = 0;
  std::optional<uint64_t> number = {};
  std::optional<std::string> bytes = {};
};

struct Read {
  EntityId entity;
  std::string from = {};                   // Inclusive.
  std::string to = {};                     // Exclusive; empty: to the end.
  Direction direction = Direction::forward;
  size_t rows_max = k_operation_rows_max;
  size_t bytes_max = k_operation_bytes_max;
  std::vector<Filter> filters = {};        // All must hold.
  std::vector<uint32_t> projection = {};   // Top-level field numbers to keep; empty: all.
};

struct ReadReply {
  Header header;
  std::vector<Row> rows;
  bool more = false;  // Limits cut the answer; go on after (before) the last row's key. rows_max 0: the header alone.
};

struct Change {
  Row row;             // Row::version is the version it changed at.
  bool erased = false;
};

struct ChangesReply {
  Header header;
  std::vector<Change> changes;  // By version; each row once, at its last change.
  bool more = false;            // Go on from the last change's version.
};

struct Work {
  EntityId entity;
  uint64_t marked_at = 0;  // Version (of the marking commit); pass to WorkDone.
};

enum class Order : uint8_t {
  any = 1,
  in_order = 2,  // Stops at the first commit that fails or is not committed.
  // In order, and all of them or none, after a crash too. The one that did not pass has its own reply, all others
  // Code::cancelled. Entities of several shards: Code::unsupported, and the caller goes step by step.
  together = 3,
};

class Store {
 public:
  virtual ~Store() = default;
  virtual Result<CommitReply> commit(Call& call, Commit commit) = 0;
  // Each entity atomic, no order between entities unless in_order. One shard: one sync. Not reached: Code::cancelled.
  // At most 1,000 commits and 8 MiB; read_many likewise 1,000 reads.
  virtual std::vector<Result<CommitReply>> commit_many(Call& call, std::vector<Commit> commits, Order order) = 0;
  // Linearizable.
  virtual Result<ReadReply> read(Call& call, const Read& read) = 0;
  virtual std::vector<Result<ReadReply>> read_many(Call& call, std::span<const Read> reads) = 0;
  // Tracked tables only. Since 0: all rows that are there, whatever the floor. Code::not_found below the floor and above
  // the version: the reader must start over.
  virtual Result<ChangesReply> changes(Call& call, const EntityId& entity, uint64_t since, size_t rows_max) = 0;
  // Marked entities with this tag, in key order after `after` (nullptr: from the start).
  virtual Result<std::vector<Work>> scan_work(Call& call, WorkTag tag, const EntityId* after, size_t rows_max) = 0;
  // Waits until a commit marks work with this tag, after `seen` marks. Returns the number of marks so far.
  virtual Result<uint64_t> wait_work(Call& call, WorkTag tag, uint64_t seen) = 0;
};

}  // namespace hongyan::store
