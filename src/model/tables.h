// Every table of the store. Ids are on disk: never renumber, never reuse. A table has one writer, the data service
// named beside it. Whoever opens a store passes k_tables.
#pragma once

#include <cstdint>

namespace hongyan::model {

inline constexpr uint16_t k_table_account = 1;       // data/account, by uin; tracked
inline constexpr uint16_t k_table_account_name = 2;  // data/account, by namespace and name
inline constexpr uint16_t k_table_id_block = 3;      // data/account, by kind
inline constexpr uint16_t k_table_device = 4;        // data/device, by uin
inline constexpr uint16_t k_table_contact = 5;       // data/contact, by uin; tracked
inline constexpr uint16_t k_table_inbox = 6;         // data/inbox, by uin
inline constexpr uint16_t k_table_group = 7;         // data/group, by group id
inline constexpr uint16_t k_table_group_attempt = 8; // data/group, by creator and client_group_id

struct TableName {
  uint16_t id;
  const char* name;
  bool tracked;
  const char* writer;  // The data service that owns it.
};
inline constexpr TableName k_tables[] = {
    {k_table_account, "account", true, "account"},    {k_table_account_name, "account_name", false, "account"},
    {k_table_id_block, "id_block", false, "account"}, {k_table_device, "device", false, "device"},
    {k_table_contact, "contact", true, "contact"},    {k_table_inbox, "inbox", false, "inbox"},
    {k_table_group, "group", false, "group"},         {k_table_group_attempt, "group_attempt", false, "group"},
};

// Tags of work marks. On disk: never renumber.
inline constexpr uint16_t k_work_create_account = 1;
inline constexpr uint16_t k_work_edge = 2;
inline constexpr uint16_t k_work_open_send = 3;
inline constexpr uint16_t k_work_fan_out = 4;
inline constexpr uint16_t k_work_retention = 5;
inline constexpr uint16_t k_work_fan_out_behind = 6;

struct WorkName {
  uint16_t tag;
  const char* worker;  // The data service that marks and does it.
};
inline constexpr WorkName k_works[] = {
    {k_work_create_account, "account"}, {k_work_edge, "contact"},  {k_work_open_send, "inbox"},
    {k_work_fan_out, "group"},          {k_work_retention, "inbox"}, {k_work_fan_out_behind, "group"},
};

}  // namespace hongyan::model
