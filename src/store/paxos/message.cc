#include "store/paxos/message.h"

#include "store/paxos/limits.h"
#include "store/paxos/record.h"

namespace hongyan::store::paxos {
namespace {

// What each kind must carry; nothing else of it is looked at by the receiver.
bool complete(const Message& m) {
  using Kind = Message::Kind;
  const size_t values = m.values.size();
  switch (m.kind) {
    case Kind::prepare: return m.index > 0 && m.ballot.round > 0 && values == 0;
    case Kind::promise:
      return m.index > 0 && m.ballot.round > 0 && m.other <= m.ballot && values == (m.other.any() ? 1u : 0u) &&
             (values == 0 || (m.values[0]->id.index == m.index && m.values[0]->id.origin <= m.other));
    case Kind::accept:
      return m.index > 0 && m.ballot.any() && values == 1 && m.values[0]->id.index == m.index &&
             m.values[0]->id.origin <= m.ballot;
    case Kind::accepted: return m.index > 0 && m.ballot.any() && values == 0;
    case Kind::refuse: return m.index > 0 && m.ballot < m.other && values == 0;
    case Kind::learn:
    case Kind::poll:
    case Kind::standing:
    case Kind::fetch: return values == 0;
    case Kind::nudge: return m.index > 0 && values == 0;
    case Kind::entries:
      for (size_t i = 1; i < values; ++i) {
        if (m.values[i]->id.index != m.values[0]->id.index + i) return false;
      }
      return values > 0 && m.values.back()->id.index <= m.chosen;
  }
  return false;
}

}  // namespace

std::string encode(const Message& m) {
  std::string out;
  put_varint(out, k_message_format);
  put_u8(out, static_cast<uint8_t>(m.kind));
  put_u8(out, m.from);
  put_u8(out, m.to);
  put_varint(out, m.epoch);
  put_varint(out, m.chosen);
  put(out, m.chosen_id);
  put_varint(out, m.index);
  put(out, m.ballot);
  put(out, m.other);
  put_u8(out, m.sure ? 1 : 0);
  put_varint(out, m.session);
  put_varint(out, m.number);
  put_varint(out, m.values.size());
  for (const ValuePtr& value : m.values) put(out, *value);
  return out;
}

Result<Message> parse_message(std::string_view bytes) {
  const Status damaged(Code::corrupt, "paxos: a damaged message");
  Reader reader(bytes);
  const auto format = reader.varint();
  if (!format || *format == 0) return damaged;
  if (*format > k_message_format) return Status(Code::unsupported, "paxos: a message of a newer format");
  const auto kind = reader.u8();
  const auto from = reader.u8();
  const auto to = reader.u8();
  const auto epoch = reader.varint();
  const auto chosen = reader.varint();
  const auto chosen_id = take_id(reader);
  const auto index = reader.varint();
  const auto ballot = take_ballot(reader);
  const auto other = take_ballot(reader);
  const auto flags = reader.u8();
  const auto session = reader.varint();
  const auto number = reader.varint();
  const auto count = reader.varint();
  if (!kind || !from || *from >= k_replicas_max || !to || *to >= k_replicas_max || !epoch || *epoch > UINT32_MAX ||
      !chosen || !chosen_id || chosen_id->index != *chosen || !index || *index >= k_never - 2 || !ballot || !other ||
      !flags || *flags > 1 || !session || !number || !count || *count > k_entries_max) {
    return damaged;
  }
  Message m{.kind = static_cast<Message::Kind>(*kind), .from = *from, .to = *to, .epoch = static_cast<uint32_t>(*epoch),
            .chosen = *chosen, .chosen_id = *chosen_id, .index = *index, .ballot = *ballot, .other = *other,
            .sure = *flags != 0, .session = *session, .number = *number};
  for (uint64_t i = 0; i < *count; ++i) {
    auto value = take_value(reader);
    if (!value) return damaged;
    m.values.push_back(std::make_shared<const Value>(std::move(*value)));
  }
  if (!reader.empty() || !complete(m)) return damaged;
  return m;
}

}  // namespace hongyan::store::paxos
