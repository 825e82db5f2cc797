// Where data/account keeps what: entities, row keys and the decoding of rows. On disk: never change a key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "data/account/account_rows.pb.h"
#include "store/table/table.h"

namespace hongyan::account {

inline constexpr std::string_view k_row_profile = "p";   // AccountRow
inline constexpr std::string_view k_row_password = "s";  // PasswordRow
inline constexpr std::string_view k_row_name = "n";      // NameRow
inline constexpr std::string_view k_row_given = "n";     // number

store::EntityId account_entity(uint64_t uin);
store::EntityId name_entity(std::string_view name_space, std::string_view name);
store::EntityId block_entity(std::string_view kind);

// An account as it is stored; a row's version is 0 when the row is absent.
struct StoredAccount {
  store::Header header;
  AccountRow account;
  uint64_t account_version = 0;
  PasswordRow password;
  uint64_t password_version = 0;
  bool exists() const { return account_version != 0; }
};
// All rows of an account entity; nothing is an error but a row that does not parse (Code::corrupt).
Result<StoredAccount> parse_account(const store::ReadReply& reply);
store::Read account_read(uint64_t uin);

struct StoredName {
  store::Header header;
  NameRow row;
  bool exists = false;
};
Result<StoredName> read_name(Call& call, store::Store& store, const store::EntityId& entity);
Result<NameRow> parse_name(const std::string& value);

}  // namespace hongyan::account
