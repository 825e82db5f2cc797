// The snapshot a client keeps: how far it has got in each of its three logs. Opaque to the client, MAC'd with this
// service's own key, bound to one account and one device. Pure.
//
// Encoding, never renumber: u8 format (1) · u64 uin · 16 bytes device · u8 count · count × {u8 key · u64 incarnation ·
// u64 version} · key id and MAC. Unknown keys are kept out of the answer; a missing key means from the start.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "rpc/ticket.h"

namespace hongyan::logic {

inline constexpr size_t k_snapshot_bytes_max = 512;  // Room for 28 keys; there are 3.

struct Position {
  uint64_t incarnation = 0;
  uint64_t version = 0;
  bool operator==(const Position&) const = default;
};

struct Snapshot {
  uint64_t uin = 0;
  std::string device;  // 16 bytes
  Position account;
  Position contacts;
  Position messages;
};

std::string encode_snapshot(const rpc::KeyRing& keys, const Snapshot& snapshot);
// Empty bytes: the start of everything. Code bad_snapshot when the MAC fails or account or device are others'.
Result<Snapshot> decode_snapshot(const rpc::KeyRing& keys, std::string_view bytes, uint64_t uin, std::string_view device);

}  // namespace hongyan::logic
