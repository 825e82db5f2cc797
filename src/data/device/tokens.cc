#include "data/device/tokens.h"

#include <sodium.h>

#include "base/bytes.h"
#include "base/check.h"
#include "data/device/limits.h"

namespace hongyan::device {

namespace {
constexpr uint8_t k_format = 1;
constexpr size_t k_hash_bytes = 32;
}  // namespace

std::string encode(const RefreshToken& token) {
  CHECK(token.device_id.size() == k_device_id_bytes && token.secret.size() == k_secret_bytes);
  std::string out;
  put_u8(out, k_format);
  put_u64(out, token.uin);
  out += token.device_id;
  put_u32(out, token.epoch);
  return out + token.secret;
}

std::optional<RefreshToken> decode_refresh_token(std::string_view bytes) {
  Reader reader(bytes);
  const auto format = reader.u8();
  const auto uin = reader.u64();
  const auto device_id = reader.bytes(k_device_id_bytes);
  const auto epoch = reader.u32();
  const auto secret = reader.bytes(k_secret_bytes);
  if (!format || *format != k_format || !uin || !device_id || !epoch || !secret || !reader.empty()) return std::nullopt;
  return RefreshToken{
      .uin = *uin, .device_id = std::string(*device_id), .epoch = *epoch, .secret = std::string(*secret)};
}

std::string encode(const LoginTicket& ticket) {
  CHECK(ticket.secret.size() == k_secret_bytes);
  std::string out;
  put_u8(out, k_format);
  put_u64(out, ticket.uin);
  return out + ticket.secret;
}

std::optional<LoginTicket> decode_login_ticket(std::string_view bytes) {
  Reader reader(bytes);
  const auto format = reader.u8();
  const auto uin = reader.u64();
  const auto secret = reader.bytes(k_secret_bytes);
  if (!format || *format != k_format || !uin || !secret || !reader.empty()) return std::nullopt;
  return LoginTicket{.uin = *uin, .secret = std::string(*secret)};
}

std::string hash_of_secret(std::string_view secret) {
  std::string hash(k_hash_bytes, '\0');
  const int failed =
      crypto_generichash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(),
                         reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), nullptr, 0);
  CHECK(failed == 0);
  return hash;
}

}  // namespace hongyan::device
