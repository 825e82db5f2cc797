// What is worth a login: the refresh token, which a client keeps as it would keep a password, and the ticket of an
// integrator. Both carry a secret of which only a hash is stored. Formats on the wire: never renumber.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hongyan::device {

// u8 1 · uin u64 · device id 16 · epoch u32 · secret 32
struct RefreshToken {
  uint64_t uin = 0;
  std::string device_id;
  uint32_t epoch = 0;
  std::string secret;
};

std::string encode(const RefreshToken& token);
std::optional<RefreshToken> decode_refresh_token(std::string_view bytes);
// What an integrator's server hands to its user's page: u8 1 · uin u64 · secret 32
struct LoginTicket {
  uint64_t uin = 0;
  std::string secret;
};
std::string encode(const LoginTicket& ticket);
std::optional<LoginTicket> decode_login_ticket(std::string_view bytes);

std::string hash_of_secret(std::string_view secret);  // BLAKE2b-256

}  // namespace hongyan::device
