#include "access/long_link/noise_nk.h"

#include <sodium.h>

#include <tuple>
#include <utility>

#include "base/check.h"

namespace hongyan::access {

namespace {

constexpr std::string_view k_protocol = "Noise_NK_25519_ChaChaPoly_SHA256";  // 32 bytes: it is its own first hash.
static_assert(k_protocol.size() == crypto_hash_sha256_BYTES);
static_assert(k_noise_key_bytes == crypto_scalarmult_BYTES && k_noise_key_bytes == crypto_aead_chacha20poly1305_ietf_KEYBYTES);
static_assert(k_noise_tag_bytes == crypto_aead_chacha20poly1305_ietf_ABYTES);

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::string hmac(std::string_view key, std::string_view data) {
  std::string out(crypto_auth_hmacsha256_BYTES, '\0');
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, bytes_of(key), key.size());
  crypto_auth_hmacsha256_update(&state, bytes_of(data), data.size());
  crypto_auth_hmacsha256_final(&state, bytes_of(out));
  return out;
}

std::pair<std::string, std::string> derive(std::string_view chaining_key, std::string_view input) {
  const std::string between = hmac(chaining_key, input);
  std::string first = hmac(between, "\x01");
  std::string second = hmac(between, first + "\x02");
  return {std::move(first), std::move(second)};
}

std::string nonce(uint64_t number) {
  std::string out(crypto_aead_chacha20poly1305_ietf_NPUBBYTES, '\0');
  for (size_t i = 0; i < 8; ++i) out[4 + i] = static_cast<char>(number >> (8 * i));
  return out;
}

}  // namespace

std::string noise_public_key(std::string_view secret) {
  CHECK(secret.size() == k_noise_key_bytes);
  std::string out(k_noise_key_bytes, '\0');
  CHECK(crypto_scalarmult_base(bytes_of(out), bytes_of(secret)) == 0);
  return out;
}

std::string noise_encrypt(std::string_view key, uint64_t number, std::string_view associated, std::string_view plain) {
  CHECK(key.size() == k_noise_key_bytes);
  std::string out(plain.size() + k_noise_tag_bytes, '\0');
  crypto_aead_chacha20poly1305_ietf_encrypt(bytes_of(out), nullptr, bytes_of(plain), plain.size(), bytes_of(associated),
                                            associated.size(), nullptr, bytes_of(nonce(number)), bytes_of(key));
  return out;
}

Result<std::string> noise_decrypt(std::string_view key, uint64_t number, std::string_view associated, std::string_view sealed) {
  CHECK(key.size() == k_noise_key_bytes);
  if (sealed.size() < k_noise_tag_bytes) return Status(Code::invalid, "shorter than its tag");
  std::string out(sealed.size() - k_noise_tag_bytes, '\0');
  const int opened = crypto_aead_chacha20poly1305_ietf_decrypt(bytes_of(out), nullptr, nullptr, bytes_of(sealed), sealed.size(),
                                                               bytes_of(associated), associated.size(), bytes_of(nonce(number)),
                                                               bytes_of(key));
  if (opened != 0) return Status(Code::invalid, "it does not open");
  return out;
}

NoiseNk::NoiseNk(std::string_view prologue, std::string_view responder_public, std::string fresh_secret)
    : hash_(k_protocol), chaining_key_(k_protocol), fresh_secret_(std::move(fresh_secret)) {
  CHECK(responder_public.size() == k_noise_key_bytes && fresh_secret_.size() == k_noise_key_bytes);
  mix_hash(prologue);
  mix_hash(responder_public);
}

NoiseNk NoiseNk::initiator(std::string_view prologue, std::string_view responder_public, std::string fresh_secret) {
  NoiseNk made(prologue, responder_public, std::move(fresh_secret));
  made.remote_static_ = responder_public;
  return made;
}

NoiseNk NoiseNk::responder(std::string_view prologue, std::string static_secret, std::string fresh_secret) {
  NoiseNk made(prologue, noise_public_key(static_secret), std::move(fresh_secret));
  made.static_secret_ = std::move(static_secret);
  return made;
}

// -> e, es  or  <- e, ee
Result<std::string> NoiseNk::write(std::string_view payload) {
  std::string message = noise_public_key(fresh_secret_);
  mix_hash(message);
  TRY(mix_key(fresh_secret_, static_secret_.empty() ? remote_static_ : remote_fresh_));
  const std::string sealed = noise_encrypt(key_, 0, hash_, payload);
  mix_hash(sealed);
  return message + sealed;
}

Result<std::string> NoiseNk::read(std::string_view message) {
  if (message.size() < k_noise_key_bytes + k_noise_tag_bytes) return Status(Code::invalid, "the handshake is too short");
  remote_fresh_ = message.substr(0, k_noise_key_bytes);
  mix_hash(remote_fresh_);
  TRY(mix_key(static_secret_.empty() ? fresh_secret_ : static_secret_, remote_fresh_));
  const std::string_view sealed = message.substr(k_noise_key_bytes);
  std::string payload = TRY(noise_decrypt(key_, 0, hash_, sealed));
  mix_hash(sealed);
  return payload;
}

NoiseKeys NoiseNk::split() const {
  auto [to_responder, to_initiator] = derive(chaining_key_, "");
  return {.to_responder = std::move(to_responder), .to_initiator = std::move(to_initiator)};
}

void NoiseNk::mix_hash(std::string_view data) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, bytes_of(hash_), hash_.size());
  crypto_hash_sha256_update(&state, bytes_of(data), data.size());
  crypto_hash_sha256_final(&state, bytes_of(hash_));
}

Status NoiseNk::mix_key(std::string_view secret, std::string_view public_key) {
  CHECK(secret.size() == k_noise_key_bytes && public_key.size() == k_noise_key_bytes);
  std::string shared(k_noise_key_bytes, '\0');
  if (crypto_scalarmult(bytes_of(shared), bytes_of(secret), bytes_of(public_key)) != 0) {
    return {Code::invalid, "the other side's key is none"};
  }
  std::tie(chaining_key_, key_) = derive(chaining_key_, shared);
  return {};
}

}  // namespace hongyan::access
