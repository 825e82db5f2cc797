#include "store/engine/log_record.h"

#include "base/bytes.h"
#include "base/hash.h"

namespace hongyan::store {

namespace {

constexpr size_t k_record_head_bytes = 16;
// How much is checksummed in search of a record behind a bad one. Only bytes made to look like records cost more, and
// those are damage too.
constexpr size_t k_search_bytes_max = 64 * 1024 * 1024;

Status corrupt(const std::string& path, const char* why) { return Status(Code::corrupt, path + ": " + why); }

uint32_t checksum(uint64_t salt, uint32_t length, uint64_t sequence, std::string_view payload) {
  std::string head;
  put_u64(head, salt);
  put_u32(head, length);
  put_u64(head, sequence);
  return crc32c(payload, crc32c(head));
}

struct RecordHead {
  uint32_t length = 0;
  uint64_t sequence = 0;
  uint32_t sum = 0;
};

std::optional<RecordHead> head_at(std::string_view bytes) {
  Reader reader(bytes);
  const auto length = reader.u32();
  const auto sequence = reader.u64();
  const auto sum = reader.u32();
  if (!sum || *length > reader.rest().size()) return {};
  return RecordHead{*length, *sequence, *sum};
}

bool good(std::string_view bytes, const RecordHead& head, uint64_t salt) {
  return checksum(salt, head.length, head.sequence, bytes.substr(k_record_head_bytes, head.length)) == head.sum;
}

// Whether a record of this file stands anywhere in what follows a bad one.
bool record_in(std::string_view rest, uint64_t salt, uint64_t sequence) {
  size_t budget = k_search_bytes_max;
  for (size_t at = 1; at + k_record_head_bytes <= rest.size(); ++at) {
    const std::string_view bytes = rest.substr(at);
    const auto head = head_at(bytes);
    if (!head || head->sequence <= sequence || head->sequence > sequence + rest.size()) continue;
    if (budget < head->length || good(bytes, *head, salt)) return true;
    budget -= head->length;
  }
  return false;
}

}  // namespace

std::string file_head(std::string_view magic, uint64_t salt) {
  std::string out(magic);
  put_u64(out, salt);
  put_u32(out, crc32c(out));
  return out;
}

void put_operation(std::string& payload, Space space, std::string_view key, const std::string* value) {
  put_u8(payload, static_cast<uint8_t>(static_cast<uint8_t>(space) | (value == nullptr ? 0x80 : 0)));
  put_sized(payload, key);
  if (value != nullptr) put_sized(payload, *value);
}

void put_record(std::string& out, uint64_t salt, uint64_t sequence, std::string_view payload) {
  CHECK(payload.size() <= UINT32_MAX);
  const auto length = static_cast<uint32_t>(payload.size());
  put_u32(out, length);
  put_u64(out, sequence);
  put_u32(out, checksum(salt, length, sequence, payload));
  out.append(payload);
}

bool apply_payload(std::string_view payload, Maps& maps) {
  Reader reader(payload);
  while (!reader.empty()) {
    const auto head = reader.u8();
    const auto key = reader.sized();
    if (!head || !key || (*head & 0x7f) > 1) return false;
    Map& map = maps.of[*head & 0x7f];
    if (*head & 0x80) {
      if (const auto found = map.find(*key); found != map.end()) map.erase(found);
      continue;
    }
    const auto value = reader.sized();
    if (!value) return false;
    map.insert_or_assign(std::string(*key), std::string(*value));
  }
  return true;
}

Result<Replayed> replay(const std::string& path, std::string_view content, std::string_view magic, Maps& maps) {
  Replayed result;
  const std::string_view start = content.substr(0, magic.size());
  if (start != magic.substr(0, start.size())) {
    if (start.size() == magic.size() && start.substr(0, 5) == magic.substr(0, 5)) {
      return Status(Code::unsupported, path + ": written by another version");
    }
    return corrupt(path, "not a file of ours");
  }
  if (content.size() < k_file_head_bytes) {
    result.whole = false;
    return result;
  }
  // A torn head is shorter. Under a wrong salt everything would look torn.
  const uint64_t salt = Reader(content.substr(magic.size())).u64().value();
  if (content.substr(0, k_file_head_bytes) != file_head(magic, salt)) return corrupt(path, "its head is damaged");
  result.good_bytes = k_file_head_bytes;
  for (uint64_t sequence = 1; result.good_bytes < content.size(); ++sequence) {
    const std::string_view rest = content.substr(result.good_bytes);
    const auto head = head_at(rest);
    if (!head || head->sequence != sequence || !good(rest, *head, salt)) {
      if (record_in(rest, salt, sequence)) return corrupt(path, "a record in the middle is damaged");
      result.whole = false;
      return result;
    }
    if (!apply_payload(rest.substr(k_record_head_bytes, head->length), maps)) {
      return corrupt(path, "a record with a good checksum can't be read");
    }
    result.ended = head->length == 0;
    result.good_bytes += k_record_head_bytes + head->length;
  }
  return result;
}

}  // namespace hongyan::store
