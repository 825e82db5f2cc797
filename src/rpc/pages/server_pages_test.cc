// Goal: a server's pages tell what its calls did. Method: records of calls as the server makes them; a real server for
// the way from HTTP to a page.
#include "rpc/pages/server_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/http/testing/http_client.h"
#include "runtime/testing/test_env.h"

namespace hongyan::rpc {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::HttpClient;

struct ServerPagesTest : ::testing::Test {
  ServerPagesTest() { method.full_name = "a.B.C"; }

  void call(runtime::Duration took, Code code, std::string_view detail = {}, bool handled = true) {
    Call call;
    call.trace = {.id = 0xab, .parent = 0, .id_high = 1, .sampled = false};
    CallRecord record;
    record.method = &method;
    record.index = 3;
    record.call = &call;
    record.arrived = env.now();
    record.started = env.now() + (handled ? 1ms : 0ms);
    record.ended = record.started + took;
    record.request_bytes = 10;
    record.answer_bytes = 20;
    record.code = code;
    record.detail = detail;
    record.handled = handled;
    if (handled) pages.on_start(record, call);
    pages.on_end(record);
  }
  std::string get(const std::string& path) {
    HttpRequest request;
    request.method = "GET";
    request.target = path;
    HttpResponse response;
    Call call = env.call();
    EXPECT_TRUE(pages.page(call, request, response));
    return response.body;
  }

  runtime::TestEnv env;
  MethodInfo method;
  ServerPages pages{env, {.program = "test", .version = "1", .process = 7}};
};

TEST_F(ServerPagesTest, calls_are_counted_by_method_and_code) {
  call(2ms, Code::ok);
  call(3ms, Code::io, "disk");
  call(0ms, Code::overloaded, "full", false);
  const std::string text = get("/metrics");
  EXPECT_THAT(text, HasSubstr("hongyan_rpc_server_calls_total{method=\"a.B.C\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("hongyan_rpc_server_running{method=\"a.B.C\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("hongyan_rpc_server_refused_total{method=\"a.B.C\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("hongyan_rpc_server_answer_bytes_total{method=\"a.B.C\"} 60\n"));
  EXPECT_THAT(text, HasSubstr(fmt::format("hongyan_rpc_server_failures_total{{method=\"a.B.C\",code=\"{}\"}} 1\n", static_cast<int>(Code::io))));
  EXPECT_THAT(text, HasSubstr("hongyan_rpc_server_took_us_count{method=\"a.B.C\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("hongyan_rpc_server_took_us_sum{method=\"a.B.C\"} 5000\n"));
  EXPECT_THAT(text, HasSubstr("hongyan_rpc_server_queued_us_sum{method=\"a.B.C\"} 2000\n"));
}

TEST_F(ServerPagesTest, slow_and_failed_calls_are_kept_and_a_flood_of_one_kind_leaves_the_other) {
  call(1ms, Code::ok);
  call(200ms, Code::ok);
  for (int i = 0; i < 1000; ++i) call(1ms, Code::io, "disk");
  call(0ms, Code::overloaded, "full", false);
  const std::string body = get("/calls?format=json");
  EXPECT_THAT(body, HasSubstr("\"took_us\":200000,\"queued_us\":1000,\"trace\":\"000000000000000100000000000000ab\""));
  EXPECT_THAT(body, HasSubstr("\"detail\":\"disk\""));
  size_t rows = 0;
  for (size_t at = body.find("\"ago_ms\""); at != std::string::npos; at = body.find("\"ago_ms\"", at + 1)) ++rows;
  EXPECT_EQ(rows, RecentCalls::k_kept + 1);
}

TEST_F(ServerPagesTest, a_server_shows_them_on_its_port) {
  runtime::run_in_coroutine(env, [&] {
    Server server(env, "127.0.0.1:0", {}, {.observer = &pages, .pages = &pages});
    ASSERT_TRUE(server.start().ok());
    pages.show(server);
    {
      HttpClient client(env, server.address());
      EXPECT_THAT(client.get("/status?format=json").body, HasSubstr("\"connections\":1"));
      EXPECT_THAT(client.get("/connections?format=json").body, HasSubstr("\"kind\":\"http\""));
      EXPECT_EQ(client.get("/nothing").status, 404);
    }
    Call call = env.call();
    server.close(call);
  });
}

}  // namespace
}  // namespace hongyan::rpc
