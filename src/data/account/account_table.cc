#include "data/account/account_table.h"

#include "base/bytes.h"
#include "model/tables.h"

namespace hongyan::account {

store::EntityId account_entity(uint64_t uin) {
  std::string id;
  put_u64(id, uin);
  return {.table = model::k_table_account, .id = std::move(id)};
}

store::EntityId name_entity(std::string_view name_space, std::string_view name) {
  std::string id(name_space);
  put_u8(id, 0);
  id.append(name);
  return {.table = model::k_table_account_name, .id = std::move(id)};
}

store::EntityId block_entity(std::string_view kind) {
  return {.table = model::k_table_id_block, .id = std::string(kind)};
}

store::Read account_read(uint64_t uin) { return {.entity = account_entity(uin), .rows_max = 2}; }

Result<StoredAccount> parse_account(const store::ReadReply& reply) {
  StoredAccount out;
  out.header = reply.header;
  for (const store::Row& row : reply.rows) {
    if (row.key == k_row_profile) {
      if (!out.account.ParseFromString(row.value)) return Status(Code::corrupt, "an account row does not parse");
      out.account_version = row.version;
    } else if (row.key == k_row_password) {
      if (!out.password.ParseFromString(row.value)) return Status(Code::corrupt, "a password row does not parse");
      out.password_version = row.version;
    }
  }
  return out;
}

Result<NameRow> parse_name(const std::string& value) {
  NameRow row;
  if (!row.ParseFromString(value) || row.uin() == 0) return Status(Code::corrupt, "a name row does not parse");
  return row;
}

Result<StoredName> read_name(Call& call, store::Store& store, const store::EntityId& entity) {
  const store::ReadReply reply = TRY(store.read(call, {.entity = entity, .rows_max = 1}));
  StoredName out;
  out.header = reply.header;
  if (reply.rows.empty()) return out;
  out.row = TRY(parse_name(reply.rows.front().value));
  out.exists = true;
  return out;
}

}  // namespace hongyan::account
