// Goal: a line tells what happened, of whose call and of which trace, and nobody forges one. Method: events as text and as
// JSON.
#include "runtime/log/log.h"

#include <gtest/gtest.h>

#include <string>

namespace hongyan::runtime {
namespace {

class Lines : public Log {
 public:
  void write(const LogEvent& event) override {
    fmt::memory_buffer as_text, as_json;
    put_text(as_text, event);
    put_json(as_json, event);
    text = std::string(name_of(event.level)) + " " + fmt::to_string(as_text);
    json = "{" + fmt::to_string(as_json) + "}";
    ++lines;
  }
  std::string text, json;
  int lines = 0;
};

TEST(Log, a_line_has_its_fields_and_the_call_that_it_speaks_of) {
  Lines log;
  Call call;
  call.uin = 7;
  call.trace = {.id = 0xab, .parent = 3, .id_high = 1, .sampled = false};
  const std::string peer = "10.0.0.1:80";
  log.warning(call, "rpc: closed", {{"peer", peer}, {"calls", 3u}, {"left", -1}, {"why", "a \"b\"=c"}, {"share", 0.5}, {"last", true}, {"none", ""}});
  EXPECT_EQ(log.text, "warning rpc: closed peer=10.0.0.1:80 calls=3 left=-1 why=\"a \\\"b\\\"=c\" share=0.5 last=true none=\"\" uin=7 "
                      "trace=000000000000000100000000000000ab");
  EXPECT_EQ(log.json, "{\"text\":\"rpc: closed\",\"peer\":\"10.0.0.1:80\",\"calls\":3,\"left\":-1,\"why\":\"a \\\"b\\\"=c\",\"share\":0.5,"
                      "\"last\":true,\"none\":\"\",\"uin\":7,\"trace\":\"000000000000000100000000000000ab\"}");
  log.error(Call(), "nobody's");
  EXPECT_EQ(log.text, "error nobody's");
  log.info("n={} {}", 1, "x");
  EXPECT_EQ(log.text, "info n=1 x");
  log.info("no call", {{"n", 1}});
  EXPECT_EQ(log.text, "info no call n=1");
}

TEST(Log, what_comes_from_outside_forges_no_line_and_fills_no_disk) {
  Lines log;
  log.info("peer", {{"name", "a\nerror forged\x7f"}, {"bytes", std::string_view("\xff\xc3\xa9\0", 4)}});
  EXPECT_EQ(log.text, std::string("info peer name=\"a\\x0aerror forged\\x7f\" bytes=\xff\xc3\xa9\\x00"));
  EXPECT_EQ(log.json, "{\"text\":\"peer\",\"name\":\"a\\u000aerror forged\\u007f\",\"bytes\":\"?\xc3\xa9\\u0000\"}");
  const std::string large(100'000, 'x');
  log.info(large, {{"value", large}});
  EXPECT_LT(log.text.size(), 10'000u);
  EXPECT_LT(log.json.size(), 10'000u);
  EXPECT_TRUE(log.json.ends_with("...\"}"));
}

TEST(Log, a_level_that_is_off_writes_nothing_and_is_turned_on_while_it_runs) {
  Lines log;
  log.debug("a", {{"n", 1}});
  log.debug("b {}", 1);
  EXPECT_EQ(log.lines, 0);
  log.set_level(LogLevel::debug);
  log.debug(Call(), "c");
  EXPECT_EQ(log.lines, 1);
}

}  // namespace
}  // namespace hongyan::runtime
