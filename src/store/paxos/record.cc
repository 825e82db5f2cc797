#include "store/paxos/record.h"

#include "store/paxos/limits.h"

namespace hongyan::store::paxos {

void put(std::string& out, const Ballot& ballot) {
  put_varint(out, ballot.round);
  put_u8(out, ballot.owner);
}

void put(std::string& out, const ValueId& id) {
  put_varint(out, id.index);
  put(out, id.origin);
  put_varint(out, id.life);
}

void put(std::string& out, const Value& value) {
  put(out, value.id);
  put_sized(out, value.body);
}

std::optional<Ballot> take_ballot(Reader& reader) {
  const auto round = reader.varint();
  const auto owner = reader.u8();
  if (!round || !owner || *round > k_round_max || *owner > k_replicas_max || (*owner == 0 && *round != 0)) return std::nullopt;
  return Ballot{.round = static_cast<uint32_t>(*round), .owner = *owner};
}

std::optional<ValueId> take_id(Reader& reader) {
  const auto index = reader.varint();
  const auto origin = take_ballot(reader);
  const auto life = reader.varint();
  if (!index || !origin || !life || (*index == 0) != !origin->any() || *index >= k_never - 2) return std::nullopt;
  return ValueId{.index = *index, .origin = *origin, .life = *life};
}

std::optional<Value> take_value(Reader& reader) {
  const auto id = take_id(reader);
  const auto body = reader.sized();
  if (!id || id->index == 0 || !body || body->size() > k_body_bytes_max) return std::nullopt;
  return Value{.id = *id, .body = std::string(*body)};
}

std::string encode(const Record& record) {
  std::string out;
  put_varint(out, k_record_format);
  put_varint(out, record.epoch);
  put_varint(out, record.chosen);
  put(out, record.last);
  put_varint(out, record.votes_from);
  put(out, record.promised);
  put(out, record.accepted);
  if (record.accepted.any()) put(out, *record.value);
  return out;
}

Result<Record> parse_record(std::string_view bytes) {
  const auto damaged = [] { return Status(Code::corrupt, "paxos: a damaged record"); };
  Reader reader(bytes);
  const auto format = reader.varint();
  if (!format || *format == 0) return damaged();
  if (*format > k_record_format) return Status(Code::unsupported, "paxos: a record of a newer format");
  const auto epoch = reader.varint();
  const auto chosen = reader.varint();
  const auto last = take_id(reader);
  const auto votes_from = reader.varint();
  const auto promised = take_ballot(reader);
  const auto accepted = take_ballot(reader);
  if (!epoch || *epoch > UINT32_MAX || !chosen || !last || last->index != *chosen || !votes_from || *votes_from == 0 ||
      !promised || !accepted || *accepted > *promised) {
    return damaged();
  }
  Record record{.epoch = static_cast<uint32_t>(*epoch), .chosen = *chosen, .last = *last, .votes_from = *votes_from,
                .promised = *promised, .accepted = *accepted, .value = nullptr};
  if (accepted->any()) {
    auto value = take_value(reader);
    if (!value || value->id.index != *chosen + 1 || value->id.origin > *accepted) return damaged();
    record.value = std::make_shared<const Value>(std::move(*value));
  }
  if (!reader.empty()) return damaged();
  return record;
}

}  // namespace hongyan::store::paxos
