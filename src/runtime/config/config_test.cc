// Goal: a configuration is either right or refused with a sentence that helps. Method: one set of
// keys, many sources.
#include "runtime/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hongyan::runtime {
namespace {

using testing::HasSubstr;

Config declared() {
  Config config;
  config.declare("web.port", 8080, "Port of the site and its API.", 1, 65535);
  config.declare("web.address", "127.0.0.1", "Where to listen.");
  config.declare("store.sync", true,
                 "Sync before answering.\nNever switch it off where data matter.");
  config.declare("admission.share", 0.05, "How fast load is shed.", 0, 1);
  config.declare_choice("store.engine", "embedded", "The engine.", {"embedded", "paxos", "sql"});
  return config;
}

std::string mistake_in(const ConfigSources& sources) {
  Config config = declared();
  const Status status = config.load(sources);
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_EQ(config.describe(), declared().describe()) << "a refused load must change nothing";
  return status.detail();
}
std::string mistake_in_file(const std::string& text) {
  return mistake_in({.file_name = "h.toml", .file_text = text});
}

TEST(Config, defaults_hold_where_nothing_is_said) {
  Config config = declared();
  EXPECT_TRUE(config.load({}).ok());
  EXPECT_EQ(config.integer("web.port"), 8080);
  EXPECT_EQ(config.text("web.address"), "127.0.0.1");
  EXPECT_TRUE(config.flag("store.sync"));
  EXPECT_EQ(config.number("admission.share"), 0.05);
}

TEST(Config, the_command_line_beats_the_environment_beats_the_file) {
  Config config = declared();
  ConfigSources sources{
      .file_name = "h.toml",
      .file_text = "web.port = 1\n[web]\naddress = \"a\"\n",
      .environment = {{"HONGYAN_WEB_PORT", "2"}, {"HONGYAN_STORE_SYNC", "false"}, {"HOME", "/"}},
      .command_line = {{"web.port", "3"}, {"web.port", "4"}}};
  sources.file_text =
      "store.engine = \"sql\"\nadmission.share = 1\n[web]\nport = 1\naddress = \"a\"\n";
  const Status status = config.load(sources);
  ASSERT_TRUE(status.ok()) << status.detail();
  EXPECT_EQ(config.integer("web.port"), 4);
  EXPECT_EQ(config.text("web.address"), "a");
  EXPECT_EQ(config.text("store.engine"), "sql");
  EXPECT_FALSE(config.flag("store.sync"));
  EXPECT_EQ(config.number("admission.share"), 1.0);
  EXPECT_THAT(config.describe(), HasSubstr("# set by h.toml:5\nweb.address = \"a\""));
  EXPECT_THAT(config.describe(),
              HasSubstr("# set by environment HONGYAN_STORE_SYNC\nstore.sync = false"));
  EXPECT_THAT(config.describe(), HasSubstr("# set by command line\nweb.port = 4"));
}

TEST(Config, an_unknown_key_is_refused_with_its_line_and_the_nearest_one) {
  EXPECT_EQ(mistake_in_file("\n[web]\nprot = 1\n"),
            "h.toml:3: web.prot is no setting; did you mean web.port?");
  EXPECT_EQ(mistake_in_file("nothing_like_it = 1"), "h.toml:1: nothing_like_it is no setting");
  EXPECT_EQ(mistake_in({.environment = {{"HONGYAN_WEB_PRT", "1"}}}),
            "environment: HONGYAN_WEB_PRT is no setting; did you mean HONGYAN_WEB_PORT?");
  EXPECT_EQ(mistake_in({.command_line = {{"web_port", "1"}}}),
            "command line: web_port is no setting; did you mean web.port?");
}

TEST(Config, a_wrong_type_is_refused) {
  EXPECT_EQ(mistake_in_file("web.port = \"80\""), "h.toml:1: web.port must be a whole number");
  EXPECT_EQ(mistake_in_file("web.port = 80.0"), "h.toml:1: web.port must be a whole number");
  EXPECT_EQ(mistake_in_file("web.port = [80]"), "h.toml:1: web.port must be a whole number");
  EXPECT_EQ(mistake_in_file("web.address = 1"), "h.toml:1: web.address must be a string");
  EXPECT_EQ(mistake_in_file("store.sync = 1"), "h.toml:1: store.sync must be true or false");
  EXPECT_EQ(mistake_in_file("[web.port]\nx = 1"), "h.toml:1: web.port must be a whole number");
  EXPECT_EQ(mistake_in({.command_line = {{"web.port", "80x"}}}),
            "command line: web.port must be a whole number");
  EXPECT_EQ(mistake_in({.command_line = {{"web.port", ""}}}),
            "command line: web.port must be a whole number");
  EXPECT_EQ(mistake_in({.command_line = {{"store.sync", "yes"}}}),
            "command line: store.sync must be true or false");
}

TEST(Config, a_value_outside_its_limits_is_refused) {
  EXPECT_EQ(mistake_in_file("web.port = 65536"),
            "h.toml:1: web.port is 65536, must be from 1 to 65535");
  EXPECT_EQ(mistake_in_file("web.port = -1"), "h.toml:1: web.port is -1, must be from 1 to 65535");
  EXPECT_THAT(mistake_in_file("admission.share = nan"), HasSubstr("must be from 0 to 1"));
  EXPECT_THAT(mistake_in({.environment = {{"HONGYAN_ADMISSION_SHARE", "inf"}}}),
              HasSubstr("must be from 0 to 1"));
  EXPECT_EQ(mistake_in_file("store.engine = \"mongo\""),
            "h.toml:1: store.engine is \"mongo\", must be one of: embedded, paxos, sql");
}

TEST(Config, all_mistakes_are_named_at_once) {
  EXPECT_EQ(mistake_in({.file_name = "h.toml",
                        .file_text = "[web]\nport = 0\nprot = 1",
                        .environment = {{"HONGYAN_STORE_SYNC", "maybe"}}}),
            "h.toml:2: web.port is 0, must be from 1 to 65535\n"
            "h.toml:3: web.prot is no setting; did you mean web.port?\n"
            "environment HONGYAN_STORE_SYNC: store.sync must be true or false");
}

TEST(Config, broken_and_huge_files_are_refused) {
  EXPECT_THAT(mistake_in_file("a = 1\nweb.port == 1"), HasSubstr("h.toml:2: "));
  EXPECT_THAT(mistake_in_file("web.port = 1\nweb.port = 2"), HasSubstr("h.toml:2: "));
  EXPECT_EQ(mistake_in_file(std::string(2 << 20, '\n')), "h.toml: longer than 1 MiB");
  EXPECT_THAT(mistake_in_file(std::string(100'000, '[')), HasSubstr("h.toml:1: "));
}

TEST(Config, a_text_that_no_file_could_hold_is_refused) {
  EXPECT_EQ(mistake_in({.environment = {{"HONGYAN_WEB_ADDRESS", "a\xff"}}}),
            "environment HONGYAN_WEB_ADDRESS: web.address is not UTF-8");
}

TEST(Config, its_description_can_be_loaded_again) {
  Config config = declared();
  ASSERT_TRUE(config
                  .load({.command_line = {{"web.address", "a \"quoted\"\n\\ one"},
                                          {"admission.share", "0.25"}}})
                  .ok());
  Config copy = declared();
  const Status status = copy.load({.file_name = "copy", .file_text = config.describe()});
  ASSERT_TRUE(status.ok()) << status.detail();
  EXPECT_EQ(copy.text("web.address"), "a \"quoted\"\n\\ one");
  EXPECT_EQ(copy.number("admission.share"), 0.25);
  EXPECT_THAT(config.describe(),
              HasSubstr("# default 8080; from 1 to 65535; HONGYAN_WEB_PORT\nweb.port = 8080\n"));
  EXPECT_THAT(config.describe(), HasSubstr("# Never switch it off where data matter.\n"));
}

}  // namespace
}  // namespace hongyan::runtime
