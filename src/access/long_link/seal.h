// Seal 1: bodies of a plain long link sealed with a session key, so that a client without TLS (mars has none) can come from
// another machine. docs/protocol.md is enough to write the client's half from. Never renumber:
//
//   hello    client  01 01 01 · u8 key id · 32 bytes fresh key · 16 bytes tag      (Noise NK, first message, no payload)
//   welcome  server  01 01 02 · 32 bytes fresh key · 16 bytes tag                  (second message)
//   body     both    01 01 03 · u64 number · ciphertext of a plain body (envelope.h) · 16 bytes tag
//
// A body is bound to its direction (a key each), to its number (the nonce, which must be larger than the last one's: what was
// heard once never opens again, nor out of its order) and to its frame (bytes 4 to 15 of the header: client_version, cmdid and
// seq are authenticated with it). A session belongs to one link and dies with it. Lengths are checked before anything is kept.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/long_link/frame.h"
#include "access/long_link/noise_nk.h"
#include "base/result.h"

namespace hongyan::access {

inline constexpr size_t k_sealed_head_bytes = 3 + 8;
inline constexpr size_t k_seal_overhead_bytes = k_sealed_head_bytes + k_noise_tag_bytes;

// A long-lived key of the server. The last of a list is the one that is told to clients; the one before is still good.
struct SealKey {
  uint8_t id = 0;
  std::string secret;  // 32 bytes
};
using SealKeys = std::vector<SealKey>;

// "1:<64 hex digits>" of the last key: what clients pin.
std::string seal_key_text(const SealKeys& keys);

class SealSession {
 public:
  SealSession(std::string send_key, std::string receive_key) : send_key_(std::move(send_key)), receive_key_(std::move(receive_key)) {}

  // The body of the frame with that header, at most 1 MiB less the overhead. The next number is used.
  std::string seal(uint32_t client_version, uint32_t cmdid, uint32_t seq, std::string_view body);
  // invalid: not sealed, not with this session's key, not for this frame, or heard before.
  Result<std::string> open(const Frame& frame);

 private:
  std::string send_key_, receive_key_;
  uint64_t next_number_ = 0;   // To be sent.
  uint64_t least_number_ = 0;  // That the other side may still send.
};

struct SealWelcome {
  std::string body;
  SealSession session;
};

// The server's half. invalid: no hello, an unknown key, or made for another key.
Result<SealWelcome> welcome(const SealKeys& keys, std::string_view hello, std::string fresh_secret);

// The client's half.
class SealHello {
 public:
  SealHello(uint8_t key_id, std::string_view server_public, std::string fresh_secret);
  const std::string& body() const { return body_; }
  // Once. invalid: whoever answers does not have the server's key.
  Result<SealSession> finish(std::string_view welcome);

 private:
  std::string body_;
  NoiseNk handshake_;
};

}  // namespace hongyan::access
