// What an account may be: pure checks and shapes, without the store.
#pragma once

#include <string>
#include <string_view>

#include "api/client/message.pb.h"
#include "api/internal/account.pb.h"
#include "base/result.h"
#include "data/account/account_table.h"

namespace hongyan::account {

inline constexpr std::string_view k_login = "login";
inline constexpr std::string_view k_external = "external";

// The one spelling of a name: ASCII lower case in "login", unchanged in "external". Codes: bad_name, invalid,
// too_large; unsupported for another name space.
Result<std::string> fold_name(std::string_view name_space, std::string_view name);
Status check_password(std::string_view password);  // bad_password
Status check_new_account(const internal::CreateAccountRequest& request);
// Applies the fields named in `request`; what they may be is checked. Codes: invalid, too_large.
Status apply_profile(const internal::SetProfileRequest& request, AccountRow& row);

uint32_t color_of(uint64_t uin);
client::Profile profile_of(const StoredAccount& stored);
client::Account account_of(const StoredAccount& stored);

}  // namespace hongyan::account
