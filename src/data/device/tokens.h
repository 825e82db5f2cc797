// What is worth a login. The refresh token: what a client keeps as it would keep a password. It names the device and its epoch and carries
// a secret of which only a hash is stored. Format on the wire: u8 1 · uin u64 · device id 16 · epoch u32 · secret 32.
// Never renumber.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hongyan::device {

struct RefreshToken {
  uint64_t uin = 0;
  std::string device_id;
  uint32_t epoch = 0;
  std::string secret;
};

std::string encode(const RefreshToken& token);
std::optional<RefreshToken> decode_refresh_token(std::string_view bytes);
// What an integrator's server hands to its user's page: u8 1 · uin u64 · secret 32. Never renumber.
struct LoginTicket {
  uint64_t uin = 0;
  std::string secret;
};
std::string encode(const LoginTicket& ticket);
std::optional<LoginTicket> decode_login_ticket(std::string_view bytes);

std::string hash_of_secret(std::string_view secret);  // BLAKE2b-256

}  // namespace hongyan::device
