// What one replica must remember of one entity, and how it is written. This is all: whoever has the record and the rows
// that were applied with it goes on as if it had never stopped.
//
// Format 1, integers as varints: format · epoch · chosen · last id · votes_from · promised · accepted · [value]. An id is
// index · round · owner · life; a ballot is round · owner; the value, present where accepted is a ballot, is its id and its body,
// sized. Never renumber. A newer format is `unsupported`.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "store/paxos/types.h"

namespace hongyan::store::paxos {

inline constexpr uint64_t k_record_format = 1;
inline constexpr Index k_never = UINT64_MAX;

struct Record {
  uint32_t epoch = 1;
  Index chosen = 0;       // Every entry up to here is chosen, and applied to the rows.
  ValueId last = {};        // What was chosen at `chosen`.
  // A replica that lost its disk doesn't know what it voted for in entries below; it takes no part in them.
  // k_never: not known yet.
  Index votes_from = 1;
  // Of entry chosen + 1, the only one it votes in.
  Ballot promised = {};
  Ballot accepted = {};
  ValuePtr value = {};
};

std::string encode(const Record& record);
Result<Record> parse_record(std::string_view bytes);

// Parts of the format that messages share.
void put(std::string& out, const Ballot& ballot);
void put(std::string& out, const ValueId& id);
void put(std::string& out, const Value& value);
std::optional<Ballot> take_ballot(Reader& reader);
std::optional<ValueId> take_id(Reader& reader);
std::optional<Value> take_value(Reader& reader);

}  // namespace hongyan::store::paxos
