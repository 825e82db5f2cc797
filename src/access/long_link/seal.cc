#include "access/long_link/seal.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"

namespace hongyan::access {

namespace {

constexpr std::string_view k_hello("\x01\x01\x01", 3), k_welcome("\x01\x01\x02", 3), k_body("\x01\x01\x03", 3);
constexpr std::string_view k_prologue = "hongyan long link ";  // Then the first four bytes of the hello.
constexpr size_t k_hello_head_bytes = 4;
constexpr size_t k_handshake_bytes = k_noise_key_bytes + k_noise_tag_bytes;
constexpr uint64_t k_numbers = uint64_t{1} << 63;  // Nobody gets there; past it a nonce would come back.

std::string associated(uint32_t client_version, uint32_t cmdid, uint32_t seq) {
  std::string out;
  for (uint32_t value : {client_version, cmdid, seq}) put_u32(out, value);
  return out;
}

std::string prologue(std::string_view hello_head) { return std::string(k_prologue) + std::string(hello_head); }

}  // namespace

std::string seal_key_text(const SealKeys& keys) {
  CHECK(!keys.empty());
  return std::to_string(keys.back().id) + ":" + to_hex(noise_public_key(keys.back().secret));
}

std::string SealSession::seal(uint32_t client_version, uint32_t cmdid, uint32_t seq, std::string_view body) {
  CHECK(next_number_ < k_numbers);
  std::string out(k_body);
  put_u64(out, next_number_);
  out += noise_encrypt(send_key_, next_number_++, associated(client_version, cmdid, seq), body);
  return out;
}

Result<std::string> SealSession::open(const Frame& frame) {
  Reader reader(frame.body);
  if (reader.bytes(k_body.size()) != k_body) return Status(Code::invalid, "the body is not sealed");
  const auto number = reader.u64();
  if (!number || reader.rest().size() < k_noise_tag_bytes) return Status(Code::invalid, "the sealed body is too short");
  if (*number < least_number_ || *number >= k_numbers) return Status(Code::invalid, "the sealed body was heard before");
  std::string body = TRY(noise_decrypt(receive_key_, *number, associated(frame.client_version, frame.cmdid, frame.seq), reader.rest()));
  least_number_ = *number + 1;
  return body;
}

Result<SealWelcome> welcome(const SealKeys& keys, std::string_view hello, std::string fresh_secret) {
  if (hello.size() != k_hello_head_bytes + k_handshake_bytes || !hello.starts_with(k_hello)) {
    return Status(Code::invalid, "the body is no hello");
  }
  const std::string_view head = hello.substr(0, k_hello_head_bytes);
  const auto key = std::ranges::find(keys, static_cast<uint8_t>(head.back()), &SealKey::id);
  if (key == keys.end()) return Status(Code::invalid, "no seal key has this number");
  NoiseNk handshake = NoiseNk::responder(prologue(head), key->secret, std::move(fresh_secret));
  const std::string payload = TRY(handshake.read(hello.substr(k_hello_head_bytes)));
  CHECK(payload.empty());  // Of its exact length.
  std::string answer = TRY(handshake.write(""));
  NoiseKeys session = handshake.split();
  return SealWelcome{.body = std::string(k_welcome) + answer,
                     .session = SealSession(std::move(session.to_initiator), std::move(session.to_responder))};
}

SealHello::SealHello(uint8_t key_id, std::string_view server_public, std::string fresh_secret)
    : body_(std::string(k_hello) + static_cast<char>(key_id)),
      handshake_(NoiseNk::initiator(prologue(body_), server_public, std::move(fresh_secret))) {
  const Result<std::string> message = handshake_.write("");
  CHECK(message.ok());  // The server's key is the caller's.
  body_ += *message;
}

Result<SealSession> SealHello::finish(std::string_view welcome) {
  if (welcome.size() != k_welcome.size() + k_handshake_bytes || !welcome.starts_with(k_welcome)) {
    return Status(Code::invalid, "the body is no welcome");
  }
  TRY(handshake_.read(welcome.substr(k_welcome.size())));
  NoiseKeys session = handshake_.split();
  return SealSession(std::move(session.to_responder), std::move(session.to_initiator));
}

}  // namespace hongyan::access
