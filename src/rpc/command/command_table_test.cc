// Goal: a command is found by its id and by its path, with the channel of its service. Method: hand-made method tables.
#include "rpc/command/command_table.h"

#include <gtest/gtest.h>

namespace hongyan::rpc {
namespace {

class Nowhere : public Channel {
 public:
  Status call(Call&, const MethodInfo&, const Message&, Message&) override { return {Code::unavailable, ""}; }
};

MethodInfo method(std::string_view name, uint32_t id, std::string_view path) {
  MethodInfo info;
  info.name = name;
  info.command_id = id;
  info.command_path = path;
  return info;
}
const MethodInfo k_first[] = {method("Send", 301, "send"), method("Internal", 0, "")};
const MethodInfo k_second[] = {method("Sync", 401, "sync")};

TEST(CommandTable, finds_commands_of_all_services_by_id_and_by_path) {
  Nowhere first, second;
  CommandTable table;
  table.add(k_first, first);
  table.add(k_second, second);
  ASSERT_NE(table.by_id(301), nullptr);
  EXPECT_EQ(table.by_id(301)->method, &k_first[0]);
  EXPECT_EQ(table.by_id(301)->channel, &first);
  ASSERT_NE(table.by_path("sync"), nullptr);
  EXPECT_EQ(table.by_path("sync")->channel, &second);
  EXPECT_EQ(table.all().size(), 2u);  // "Internal" is no command.
}

TEST(CommandTable, answers_null_for_what_is_not_there) {
  CommandTable table;
  EXPECT_EQ(table.by_id(0), nullptr);
  EXPECT_EQ(table.by_path(""), nullptr);
  EXPECT_EQ(table.by_path("send"), nullptr);
}

TEST(CommandTableDeathTest, refuses_two_methods_with_one_id) {
  Nowhere channel;
  CommandTable table;
  table.add(k_first, channel);
  EXPECT_DEATH(table.add(k_first, channel), "CHECK failed");
}

}  // namespace
}  // namespace hongyan::rpc
