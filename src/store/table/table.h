// What data services use of the store: the abstraction itself, an order-preserving key builder, and short forms of
// preconditions and mutations over protobuf rows.
//
// Keys: big-endian numbers and fixed bytes sort as they are; text() escapes 0x00, so that a shorter text sorts first
// and whatever follows never mixes into it. On disk: a key's parts and their order never change.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <google/protobuf/message_lite.h>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/env/env.h"
#include "store/entity/store.h"

namespace hongyan::store {

class KeyBuilder {
 public:
  KeyBuilder& u8(uint8_t value) { put_u8(key_, value); return *this; }
  KeyBuilder& u16(uint16_t value) { put_u16(key_, value); return *this; }
  KeyBuilder& u64(uint64_t value) { put_u64(key_, value); return *this; }
  KeyBuilder& fixed(std::string_view bytes) { key_.append(bytes); return *this; }
  KeyBuilder& text(std::string_view bytes) {
    for (char c : bytes) {
      key_.push_back(c);
      if (c == '\0') key_.push_back('\xff');
    }
    key_.append(2, '\0');
    return *this;
  }
  std::string take() { return std::move(key_); }

 private:
  std::string key_;
};

using google::protobuf::MessageLite;

inline Precondition absent(std::string key) { return {.kind = Precondition::Kind::row_absent, .key = std::move(key)}; }
inline Precondition row_at(std::string key, uint64_t version) {
  return {.kind = Precondition::Kind::row_version, .key = std::move(key), .value = static_cast<int64_t>(version)};
}
inline Precondition entity_at(uint64_t version) {
  return {.kind = Precondition::Kind::entity_version, .value = static_cast<int64_t>(version)};
}
inline Precondition below(std::string key, int64_t bound) {
  return {.kind = Precondition::Kind::number_below, .key = std::move(key), .value = bound};
}

inline Mutation put_bytes(std::string key, std::string value, Mutation::Stamp stamp = Mutation::Stamp::none) {
  return {.kind = Mutation::Kind::put, .key = std::move(key), .value = std::move(value), .stamp = stamp};
}
inline Mutation put(std::string key, const MessageLite& row, Mutation::Stamp stamp = Mutation::Stamp::none) {
  return put_bytes(std::move(key), row.SerializeAsString(), stamp);
}
inline Mutation erase(std::string key) { return {.kind = Mutation::Kind::erase, .key = std::move(key)}; }
inline Mutation add(std::string key, int64_t number) {
  return {.kind = Mutation::Kind::add, .key = std::move(key), .number = number};
}
inline Mutation raise(std::string key, int64_t number) {
  return {.kind = Mutation::Kind::max, .key = std::move(key), .number = number};
}

// The stored form of a row is ours: bytes that do not parse are Code::corrupt.
template <typename Proto>
Result<Proto> parse_row_as(const Row& row) {
  Proto message;
  if (!message.ParseFromString(row.value)) return Status(Code::corrupt, "a row of " + message.GetTypeName() + " does not parse");
  return message;
}
// The value of a number row.
Result<int64_t> number_of(const Row& row);

// One row by its key.
Result<std::optional<Row>> get_row(Call& call, Store& store, const EntityId& entity, const std::string& key);
template <typename Proto>
Result<std::optional<Proto>> get(Call& call, Store& store, const EntityId& entity, const std::string& key) {
  const std::optional<Row> row = TRY(get_row(call, store, entity, key));
  if (!row) return std::optional<Proto>();
  return std::optional<Proto>(TRY(parse_row_as<Proto>(*row)));
}

// Rows of a range as messages, in the order read.
template <typename Proto>
struct Scanned {
  Header header;
  std::vector<std::pair<Row, Proto>> rows;  // The row's value has moved into the message.
  bool more = false;                        // As in ReadReply: go on after the last row's key.
};
template <typename Proto>
Result<Scanned<Proto>> scan(Call& call, Store& store, const Read& read) {
  ReadReply reply = TRY(store.read(call, read));
  Scanned<Proto> scanned{.header = reply.header, .rows = {}, .more = reply.more};
  scanned.rows.reserve(reply.rows.size());
  for (Row& row : reply.rows) {
    Proto message = TRY(parse_row_as<Proto>(row));
    row.value.clear();
    scanned.rows.emplace_back(std::move(row), std::move(message));
  }
  return scanned;
}

// Committed or Code::conflict.
Result<CommitReply> commit_or_conflict(Call& call, Store& store, Commit commit);

// Issue time and chance, as the store wants them (store/entity/store.h).
RequestId new_request_id(Env& env);

}  // namespace hongyan::store
