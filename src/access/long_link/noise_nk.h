// The handshake of a sealed link: Noise_NK_25519_ChaChaPoly_SHA256, as the Noise specification (revision 34) has it.
//
// The initiator knows the responder's long-lived public key and stays anonymous; both bring a fresh key, so that what was
// said stays secret when the long-lived key is lost later, and nothing recorded can be played to either side again.
// `write` and `read` alternate: initiator, then responder; two messages, then `split`. A step that fails ends the
// handshake (the object is then to be thrown away). Pure: chance comes in as the fresh secret, which is used once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hongyan::access {

inline constexpr size_t k_noise_key_bytes = 32;  // Of X25519 secrets and public keys, and of session keys.
inline constexpr size_t k_noise_tag_bytes = 16;

// The public key that belongs to 32 secret bytes.
std::string noise_public_key(std::string_view secret);

// ChaCha20-Poly1305 (RFC 8439) with Noise's nonce: four zero bytes, then the number little-endian. A number is used once
// with a key.
std::string noise_encrypt(std::string_view key, uint64_t number, std::string_view associated, std::string_view plain);
Result<std::string> noise_decrypt(std::string_view key, uint64_t number, std::string_view associated, std::string_view sealed);

struct NoiseKeys {
  std::string to_responder;
  std::string to_initiator;
};

class NoiseNk {
 public:
  static NoiseNk initiator(std::string_view prologue, std::string_view responder_public, std::string fresh_secret);
  static NoiseNk responder(std::string_view prologue, std::string static_secret, std::string fresh_secret);

  Result<std::string> write(std::string_view payload);
  Result<std::string> read(std::string_view message);
  NoiseKeys split() const;
  const std::string& hash() const { return hash_; }

 private:
  NoiseNk(std::string_view prologue, std::string_view responder_public, std::string fresh_secret);
  void mix_hash(std::string_view data);
  // invalid: the other's key is one of the few with which every secret is zero.
  Status mix_key(std::string_view secret, std::string_view public_key);

  std::string hash_, chaining_key_, key_;
  std::string fresh_secret_, static_secret_, remote_static_, remote_fresh_;
};

}  // namespace hongyan::access
