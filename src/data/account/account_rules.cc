#include "data/account/account_rules.h"

#include <array>

#include "api/client/checks.h"
#include "data/account/limits.h"
#include "model/error_code.h"
#include "model/limits.h"

namespace hongyan::account {

namespace {

constexpr uint32_t k_type_person = 1;
constexpr uint32_t k_type_device = 5;
constexpr uint32_t k_color_max = 0xffffff;

// Sixteen hues of equal weight that white letters stay readable on (contrast >= 4.5, WCAG 2.2 AA).
constexpr std::array<uint32_t, 16> k_palette = {
    0xc2410c, 0xb45309, 0x4d7c0f, 0x15803d, 0x047857, 0x0f766e, 0x0e7490, 0x0369a1,
    0x1d4ed8, 0x4338ca, 0x6d28d9, 0x7e22ce, 0xa21caf, 0xbe185d, 0xbe123c, 0xb91c1c,
};

bool is_letter(char c) { return c >= 'a' && c <= 'z'; }
bool may_follow(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'; }

Result<std::string> fold_login(std::string_view name) {
  const Status bad = model::error(model::ErrorCode::bad_name, "not 3..32 of a-z 0-9 _ . - after a letter");
  if (name.size() < model::k_user_name_bytes_min || name.size() > model::k_user_name_bytes_max) return bad;
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!may_follow(c)) return bad;
  }
  if (!is_letter(folded.front())) return bad;
  return folded;
}

Status check_signature(const std::string& signature) {
  if (signature.empty()) return {};
  return api::check_name(signature, k_signature_bytes_max, "signature");
}

Status check_color(uint32_t color) {
  if (color > k_color_max) return Status(Code::invalid, "avatar_color is not 0xRRGGBB");
  return {};
}

}  // namespace

Result<std::string> fold_name(std::string_view name_space, std::string_view name) {
  if (name_space == k_login) return fold_login(name);
  if (name_space != k_external) return Status(Code::unsupported, "name spaces are \"login\" and \"external\"");
  TRY(api::check_name(name, k_external_name_bytes_max, "name"));
  return std::string(name);
}

Status check_password(std::string_view password) {
  if (password.size() >= model::k_password_bytes_min && password.size() <= model::k_password_bytes_max) return {};
  return model::error(model::ErrorCode::bad_password, "a password has 8 to 128 bytes");
}

Status check_new_account(const internal::CreateAccountRequest& request) {
  if (request.attempt().size() != k_attempt_bytes) return Status(Code::invalid, "attempt is not 16 bytes");
  // Who could log in with an empty password, could log in as anybody.
  if (request.name_space() == k_login || !request.password().empty()) TRY(check_password(request.password()));
  TRY(api::check_name(request.nickname(), model::k_name_bytes_max, "nickname"));
  if (request.type() > k_type_device) return Status(Code::invalid, "unknown type");
  return check_color(request.avatar_color());
}

Status apply_profile(const internal::SetProfileRequest& request, AccountRow& row) {
  for (const std::string& field : request.fields()) {
    if (field == "nickname") {
      TRY(api::check_name(request.nickname(), model::k_name_bytes_max, "nickname"));
      row.set_nickname(request.nickname());
    } else if (field == "avatar_color") {
      TRY(check_color(request.avatar_color()));
      row.set_avatar_color(request.avatar_color() == 0 ? color_of(row.uin()) : request.avatar_color());
    } else if (field == "signature") {
      TRY(check_signature(request.signature()));
      row.set_signature(request.signature());
    } else {
      return Status(Code::invalid, "fields are nickname, avatar_color and signature");
    }
  }
  return {};
}

uint32_t color_of(uint64_t uin) {
  // Neighbours get colours that are far apart: 7 and 16 have no common divisor.
  return k_palette[(uin * 7) % k_palette.size()];
}

client::Profile profile_of(const StoredAccount& stored) {
  const AccountRow& row = stored.account;
  client::Profile out;
  out.set_uin(row.uin());
  if (row.name_space() == k_login) out.set_user_name(row.name());  // External ids are the integrator's.
  out.set_nickname(row.nickname());
  out.set_avatar_color(row.avatar_color());
  out.set_type(row.type() == 0 ? k_type_person : row.type());
  out.set_version(stored.account_version);
  out.set_signature(row.signature());
  return out;
}

client::Account account_of(const StoredAccount& stored) {
  client::Account out;
  *out.mutable_profile() = profile_of(stored);
  out.set_created_ms(stored.account.created_ms());
  out.set_version(stored.header.version);
  return out;
}

}  // namespace hongyan::account
