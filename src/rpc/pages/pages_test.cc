// Goal: every page answers, as HTML and as JSON, shows what was counted, and gives nothing hostile a way out. Method:
// a TestEnv, texts that would be markup.
#include "rpc/pages/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/env/profiler.h"
#include "runtime/testing/test_env.h"
#include "runtime/trace/tracer.h"

namespace hongyan::rpc {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view k_evil = "<script>alert('x')</script>\"&\x01\xff";

struct PagesTest : testing::Test {
  PageAnswer get(std::string_view path, std::string_view query = "") { return pages.handle({.path = path, .query = query}); }

  runtime::TestEnv env;
  Pages pages{env, {.program = "hongyan-test", .version = "1.2.3", .process = 4711},
              {.connections = [](size_t) { return std::vector<ConnectionRow>{{.peer = std::string(k_evil), .kind = "frames", .calls = 7}}; },
               .methods = [] { return std::vector<MethodRow>{{.name = "a.B.C", .policy = "user", .running = 2, .limit = 9}}; },
               .calls = [] { return std::vector<CallRow>{{.method = "a.B.C", .code = "deadline", .detail = std::string(k_evil), .took = 5ms}}; },
               .status = [] { return std::vector<std::pair<std::string, Cell>>{{"users", uint64_t{3}}}; }}};
};

TEST_F(PagesTest, each_answers_as_html_and_as_json) {
  for (const char* path : {"/", "/status", "/vars", "/connections", "/coroutines", "/calls", "/traces", "/methods", "/cpu", "/heap", "/log"}) {
    const PageAnswer html = get(path);
    EXPECT_EQ(html.status, 200) << path;
    EXPECT_THAT(html.content_type, StartsWith("text/html"));
    EXPECT_THAT(html.body, StartsWith("<!doctype html>"));
    EXPECT_THAT(html.body, HasSubstr("</html>"));
    const PageAnswer json = get(path, "format=json");
    EXPECT_EQ(json.content_type, "application/json");
    EXPECT_THAT(json.body, StartsWith("{\"title\":")) << path;
  }
  EXPECT_EQ(get("/nothing").status, 404);
}

TEST_F(PagesTest, what_comes_from_outside_is_escaped) {
  for (const char* path : {"/connections", "/calls"}) {
    EXPECT_THAT(get(path).body, Not(HasSubstr("<script"))) << path;
    EXPECT_THAT(get(path).body, HasSubstr("&lt;script&gt;alert(&#39;x&#39;)")) << path;
    EXPECT_THAT(get(path, "format=json").body, HasSubstr("</script>\\\"&\\u0001\xef\xbf\xbd\"")) << path;
  }
  EXPECT_THAT(get("/vars", "filter=%3Cb%3E%22").body, HasSubstr("value=\"&lt;b&gt;&quot;\""));
}

TEST_F(PagesTest, vars_shows_counters_by_filter) {
  env.counters().counter("hongyan_a", "Help.", runtime::CounterKind::counter, "method=\"x\"").add(41);
  env.counters().counter("hongyan_b", "Help.").add(42);
  env.counters().histogram("hongyan_c", "us", "Help.").record(1000);
  const std::string all = get("/vars", "format=json").body;
  EXPECT_THAT(all, HasSubstr("{\"name\":\"hongyan_a{method=\\\"x\\\"}\",\"value\":41,"));
  EXPECT_THAT(all, HasSubstr("{\"name\":\"hongyan_c\",\"value\":1,\"p50\":"));
  EXPECT_THAT(all, HasSubstr("\"max\":1000,\"unit\":\"us\""));
  const std::string some = get("/vars", "filter=an_b&format=json").body;
  EXPECT_THAT(some, HasSubstr("hongyan_b"));
  EXPECT_THAT(some, Not(HasSubstr("hongyan_a")));
}

TEST_F(PagesTest, metrics_is_open_metrics) {
  env.counters().counter("hongyan_a", "Help.").add(41);
  const PageAnswer answer = get("/metrics");
  EXPECT_THAT(answer.content_type, StartsWith("application/openmetrics-text"));
  EXPECT_EQ(answer.body, env.counters().open_metrics());
}

TEST_F(PagesTest, coroutines_says_who_waits) {
  runtime::run_in_coroutine(env, [&] {
    runtime::Nursery nursery(env.scheduler());
    nursery.spawn("waits for a second", [&] {
      Call call = env.call();
      EXPECT_TRUE(runtime::sleep(call, 1s).ok());
    });
    env.scheduler().yield();
    const std::string body = get("/coroutines", "format=json").body;
    EXPECT_THAT(body, HasSubstr("{\"name\":\"waits for a second\",\"state\":\"waiting\""));
    EXPECT_THAT(body, HasSubstr("\"running\":1"));
    Call call = env.call();
    EXPECT_TRUE(nursery.join(call).ok());
  });
}

TEST_F(PagesTest, status_says_who_this_is) {
  const std::string body = get("/status", "format=json").body;
  EXPECT_THAT(body, HasSubstr("\"program\":\"hongyan-test\",\"version\":\"1.2.3\",\"process\":4711"));
  EXPECT_THAT(body, HasSubstr("\"users\":3"));
}

TEST_F(PagesTest, the_log_is_changed_only_by_those_who_may) {
  const auto post = [&](std::string_view path, std::string_view query, bool may) {
    return pages.handle({.path = path, .query = query, .post = true, .may_change = may}).status;
  };
  env.log().set_level(runtime::LogLevel::info);
  EXPECT_EQ(post("/log", "level=error", false), 403);
  EXPECT_THAT(get("/log", "format=json").body, HasSubstr("\"level\":\"info\""));
  EXPECT_EQ(post("/log", "level=loud", true), 400);
  EXPECT_EQ(post("/status", "level=error", true), 405);
  EXPECT_EQ(post("/some.Service/Method", "", true), 404);  // What a server answers for a method that is not there.
  EXPECT_EQ(post("/log", "level=error", true), 200);
  EXPECT_THAT(get("/log", "format=json").body, HasSubstr("\"level\":\"error\""));
  EXPECT_EQ(get("/log", "level=debug").status, 200);  // Reading changes nothing.
  EXPECT_THAT(get("/log", "format=json").body, HasSubstr("\"level\":\"error\""));
}

TEST(Table, rows_beyond_the_limit_are_counted) {
  Table table{.title = "t", .columns = {"n"}};
  for (int64_t i = 0; i < 5; ++i) table.rows.push_back({i});
  table.rows_max = 2;
  EXPECT_EQ(json_of(table), "{\"title\":\"t\",\"facts\":{},\"rows\":[{\"n\":0},{\"n\":1}],\"rows_left_out\":3}\n");
  EXPECT_THAT(html_of(table, "p"), HasSubstr("3 more are not shown."));
}

TEST(Query, fields_are_decoded_whatever_they_are) {
  EXPECT_EQ(query_field("a=1&b=x%20y+z&c", "b"), "x y z");
  EXPECT_EQ(query_field("a=1", "b"), "");
  EXPECT_EQ(query_field("b", "b"), "");
  EXPECT_EQ(query_field("b=%", "b"), "%");
  EXPECT_EQ(query_field("b=%4", "b"), "%4");
  EXPECT_EQ(query_field("b=%zz&&=", "b"), "%zz");
}

TEST_F(PagesTest, a_trace_is_a_page_with_callers_before_what_they_called) {
  runtime::Trace trace{.id = 2, .parent = 3, .id_high = 1, .sampled = true};
  runtime::Tracer& tracer = env.tracer();
  auto outer = tracer.start(runtime::Span::Kind::server, "a.B.Outer", trace);
  auto inner = tracer.start(runtime::Span::Kind::client, "a.B.Inner", trace);
  inner->peer = k_evil;
  const std::string outer_id = fmt::format("{:016x}", outer->id);
  tracer.finish(inner, Code::io, 7);
  tracer.finish(outer, Code::ok);
  const std::string list = get("/traces").body;
  EXPECT_THAT(list, HasSubstr("<a href=\"/traces?id=00000000000000010000000000000002\">"));
  EXPECT_THAT(list, Not(HasSubstr("a.B.Inner")));  // Of each process the door.
  const std::string tree = get("/traces", "id=00000000000000010000000000000002&format=json").body;
  EXPECT_LT(tree.find("a.B.Outer"), tree.find("a.B.Inner"));
  EXPECT_THAT(tree, HasSubstr("\"parent\":\"0000000000000003\",\"kind\":\"server\""));
  EXPECT_THAT(tree, HasSubstr("\"parent\":\"" + outer_id + "\",\"kind\":\"client\""));
  EXPECT_THAT(tree, HasSubstr("\"code\":16,\"uin\":7}"));
  EXPECT_THAT(get("/traces", "id=00000000000000010000000000000002").body, Not(HasSubstr("<script")));
  for (const char* id : {"id=1", "id=zz", "id=00000000000000010000000000000003"}) {
    EXPECT_THAT(get("/traces", std::string(id) + "&format=json").body, HasSubstr("\"rows\":[]")) << id;
  }
}

class FakeProfiler : public runtime::Profiler {
 public:
  Result<std::string> cpu(Call&, runtime::Duration time) override {
    if (!refusal.ok()) return refusal;
    return "main;" + std::string(k_evil) + fmt::format(" {}\n", time / 1s);
  }
  Result<std::string> heap(Call&, runtime::Duration) override { return std::string("heap;f 7\n"); }
  void end_early() override {}
  Memory memory() override { return {.in_use_bytes = 4711, .free_bytes = 1, .mapped_bytes = 2}; }
  Status refusal;
};

struct ProfiledEnv : runtime::TestEnv {
  runtime::Profiler* profiler() override { return &own; }
  FakeProfiler own;
};

TEST_F(PagesTest, profiles_are_text_and_say_why_there_is_none) {
  ProfiledEnv profiled;
  Pages its(profiled, {.program = "x", .version = "1", .process = 1});
  const auto profile = [&](Pages& of, std::string_view path, std::string_view query) {
    Call call;
    const PageRequest request{.path = path, .query = query};
    EXPECT_TRUE(Pages::is_profile(request));
    return of.profile(call, request);
  };
  EXPECT_EQ(profile(its, "/cpu", "seconds=12").body, "main;" + std::string(k_evil) + " 12\n");
  EXPECT_THAT(profile(its, "/cpu", "seconds=12").content_type, StartsWith("text/plain"));
  EXPECT_EQ(profile(its, "/heap", "seconds=1").body, "heap;f 7\n");
  for (const char* text : {"seconds=x", "seconds=-1", "seconds=70000", "seconds=1.5"}) EXPECT_EQ(profile(its, "/cpu", text).status, 400) << text;
  profiled.own.refusal = Status(Code::busy, "another profile is under way");
  EXPECT_EQ(profile(its, "/cpu", "seconds=1").status, 409);
  EXPECT_EQ(profile(pages, "/cpu", "seconds=1").status, 501);  // A simulated process has none.
  EXPECT_THAT(its.handle({.path = "/heap", .query = "format=json"}).body, HasSubstr("\"in_use_bytes\":4711"));
  EXPECT_FALSE(Pages::is_profile({.path = "/cpu", .query = ""}));
  EXPECT_FALSE(Pages::is_profile({.path = "/vars", .query = "seconds=1"}));
  EXPECT_FALSE(Pages::is_profile({.path = "/cpu", .query = "seconds=1", .post = true}));
}

}  // namespace
}  // namespace hongyan::rpc
