// Goal: docs/server-api.md, as far as it needs no store. Method: real HTTP over the test network, the data services faked;
// virtual time for everything slow.
#include "access/server_port/server_port.h"

#include <gtest/gtest.h>

#include "access/server_port/integrator_api.h"
#include "api/client/checks.h"
#include "base/bytes.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "rpc/http/testing/http_client.h"
#include "rpc/local_channel.h"
#include "runtime/testing/test_env.h"

namespace hongyan::access {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read as in the protocol.
using rpc::testing::Answer;
using rpc::testing::HttpClient;

constexpr uint64_t k_uma = 10'001, k_vic = 10'002;
const std::string k_secret(64, 's');

rpc::KeyRing ring(char byte) { return rpc::KeyRing({{.id = 1, .bytes = std::string(32, byte)}}); }

class ServerPortTest : public ::testing::Test {
 protected:
  ServerPortTest() {
    account_.on_create = [this](Call&, const internal::CreateAccountRequest& request) -> Result<internal::CreateAccountResponse> {
      creates_.push_back(request);
      internal::CreateAccountResponse response;
      response.set_uin(k_uma);
      response.set_existed(creates_.size() > 1);
      response.mutable_account()->mutable_profile()->set_nickname(request.nickname());
      return response;
    };
    account_.on_find = [](Call&, const internal::FindRequest& request) -> Result<internal::FindResponse> {
      internal::FindResponse response;
      if (request.name() != "uma" && request.name() != "vic") return Status(Code::not_found, "");
      response.mutable_profile()->set_uin(request.name() == "uma" ? k_uma : k_vic);
      return response;
    };
    account_.on_profiles = [](Call&, const internal::ProfilesRequest& request) -> Result<internal::ProfilesResponse> {
      internal::ProfilesResponse response;
      if (request.uins(0) == k_uma || request.uins(0) == k_vic) response.add_profiles()->set_uin(request.uins(0));
      return response;
    };
    device_.on_mint_ticket = [](Call&, const internal::MintTicketRequest&) -> Result<internal::MintTicketResponse> {
      internal::MintTicketResponse response;
      response.set_ticket(std::string("\xfb\xff\xfe", 3) + "x");
      response.set_expires_ms(5);
      return response;
    };
    contact_.on_grant_write = [this](Call& call, const internal::GrantWriteRequest& request) -> Result<internal::MayWriteResponse> {
      EXPECT_EQ(rpc::caller_of(call)->service, "integrator");
      if (!grant_status_.ok()) return grant_status_;
      internal::MayWriteResponse response;
      response.set_grant("grant of " + std::to_string(request.uin()));
      return response;
    };
    inbox_.on_append = [this](Call& call, const internal::AppendRequest& request) -> Result<internal::AppendResponse> {
      EXPECT_EQ(rpc::caller_of(call)->identity.uin, request.uin());
      appends_.push_back(request);
      internal::AppendResponse response;
      response.add_appended()->set_server_time_ms(77);
      return response;
    };
    inbox_.on_append_to_peer = [this](Call& call, const internal::AppendToPeerRequest& request) -> Result<internal::AppendToPeerResponse> {
      EXPECT_EQ(rpc::caller_of(call)->identity.uin, request.actor());
      to_peers_.push_back(request);
      return internal::AppendToPeerResponse();
    };
  }

  void with_port(const std::function<void()>& body) {
    const rpc::AudienceKeys keys = {{"account", ring('a')}, {"contact", ring('c')}, {"device", ring('d')}, {"inbox", ring('i')}};
    port_ = make_server_port(env_,
                             {.account = internal::AccountClient(account_channel_),
                              .device = internal::DeviceClient(device_channel_),
                              .contact = internal::ContactClient(contact_channel_),
                              .inbox = internal::InboxClient(inbox_channel_),
                              .group_chat = client::GroupChatClient(group_channel_),
                              .self = rpc::ServiceIdentity(env_, keys, "integrator"),
                              .audiences = keys,
                              .secret = k_secret,
                              .web_url = [] { return std::string("https://chat.example"); },
                              .pages = pages_},
                             config_);
    runtime::run_in_coroutine(env_, [&] {
      ASSERT_TRUE(port_->start().ok());
      body();
      Call call = env_.call();
      port_->stop(call);
    });
    port_.reset();
  }
  HttpClient client() { return HttpClient(env_, port_->address()); }
  Answer post(const std::string& path, const std::string& json, const std::string& secret = k_secret) {
    return client().post("/api/v1/" + path, json, "Authorization: Bearer " + secret + "\r\n");
  }

  runtime::TestEnv env_;
  ServerPortConfig config_{.address = "127.0.0.1:0"};
  internal::AccountFake account_;
  internal::DeviceFake device_;
  internal::ContactFake contact_;
  internal::InboxFake inbox_;
  client::GroupChatFake group_;
  rpc::LocalChannel account_channel_{account_, nullptr}, device_channel_{device_, nullptr}, contact_channel_{contact_, nullptr},
      inbox_channel_{inbox_, nullptr}, group_channel_{group_, nullptr};
  std::vector<internal::CreateAccountRequest> creates_;
  std::vector<internal::AppendRequest> appends_;
  std::vector<internal::AppendToPeerRequest> to_peers_;
  Status grant_status_;
  std::unique_ptr<ServerPort> port_;
  std::function<rpc::HttpResponse(const rpc::HttpRequest&, bool)> pages_;
};

TEST_F(ServerPortTest, nothing_without_the_secret_but_health) {
  with_port([&] {
    for (const std::string& wrong : {std::string(), std::string("x"), k_secret.substr(1), k_secret + "s", std::string(64, 'S')}) {
      const Answer answer = post("users", R"({"external_id":"uma"})", wrong);
      EXPECT_EQ(answer.status, 401);
      EXPECT_EQ(answer.field("www-authenticate"), "Bearer");
    }
    EXPECT_EQ(client().post("/api/v1/users", "{}", "").status, 401);
    EXPECT_EQ(client().post("/api/v1/users", "{}", "Authorization: Basic " + k_secret + "\r\n").status, 401);
    EXPECT_EQ(client().get("/healthz").status, 200);
  });
  EXPECT_TRUE(creates_.empty());
}

TEST_F(ServerPortTest, pages_are_for_this_machine_alone) {
  pages_ = [](const rpc::HttpRequest& request, bool secret) {
    rpc::HttpResponse response;
    response.body = request.target + (secret ? " with secret" : "");
    return response;
  };
  with_port([&] {
    const auto get = [&](const std::string& target, const std::string& host, const std::string& fields = "") {
      return client().raw("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n");
    };
    for (const char* host : {"127.0.0.1:8082", "localhost", "localhost:1", "[::1]", "[::1]:8082"})
      EXPECT_EQ(get("/status?x=1", host).body, "/status?x=1") << host;
    EXPECT_EQ(get("/log", "localhost", "Authorization: Bearer " + k_secret + "\r\n").body, "/log with secret");
    EXPECT_EQ(get("/log", "localhost", "Authorization: Bearer x\r\n").body, "/log");
    for (const char* host : {"x", "evil.example:8082", "localhost.evil.example", "127.0.0.1.evil.example:80"})
      EXPECT_EQ(get("/status", host).status, 401) << host;
    for (const char* forwarded : {"X-Forwarded-For: 10.0.0.1\r\n", "Forwarded: for=10.0.0.1\r\n", "Via: 1.1 proxy\r\n"})
      EXPECT_EQ(get("/status", "localhost", forwarded).status, 401) << forwarded;
    EXPECT_EQ(get("/api/v1/users", "localhost").status, 401);
  });
}

TEST_F(ServerPortTest, one_external_id_is_one_attempt) {
  with_port([&] {
    EXPECT_EQ(post("users", R"({"external_id":"uma","nickname":"U\u00e9 \"x\""})").body,
              R"({"uin":10001,"external_id":"uma","nickname":"Ué \"x\"","avatar_color":0,"type":0,"existed":false})");
    EXPECT_NE(post("users", R"({"external_id":"uma"})").body.find("\"existed\":true"), std::string::npos);
    post("users", R"({"external_id":"vic"})");
  });
  ASSERT_EQ(creates_.size(), 3u);
  EXPECT_EQ(creates_[0].attempt().size(), 16u);
  EXPECT_EQ(creates_[0].attempt(), creates_[1].attempt());
  EXPECT_NE(creates_[0].attempt(), creates_[2].attempt());
  EXPECT_EQ(creates_[0].name_space(), "external");
  EXPECT_EQ(creates_[1].nickname(), "uma");
}

TEST_F(ServerPortTest, ticket_is_fit_for_an_address) {
  with_port([&] {
    EXPECT_EQ(post("tickets", R"({"external_id":"uma"})").body,
              R"({"uin":10001,"ticket":"-__-eA","url":"https://chat.example/#ticket=-__-eA","expires_ms":5})");
  });
}

TEST_F(ServerPortTest, message_as_a_user_goes_into_both_inboxes_with_one_key) {
  with_port([&] {
    EXPECT_EQ(post("messages", R"({"from":"uma","to":10002,"client_msg_id":"m","text":"line\none"})").status, 200);
  });
  ASSERT_EQ(appends_.size(), 1u);
  ASSERT_EQ(to_peers_.size(), 1u);
  EXPECT_EQ(appends_[0].messages(0).digest(), "line one");
  EXPECT_EQ(to_peers_[0].uin(), k_vic);
  EXPECT_EQ(to_peers_[0].grant(), "grant of 10001");
  EXPECT_EQ(to_peers_[0].messages(0).key(), api::message_key(k_uma, "m"));
  EXPECT_EQ(to_peers_[0].messages(0).server_time_ms(), 77);
}

TEST_F(ServerPortTest, the_system_writes_into_the_receivers_inbox_only) {
  with_port([&] { EXPECT_EQ(post("messages", R"({"from":"system","to":"vic","client_msg_id":"m","text":"x"})").status, 200); });
  EXPECT_TRUE(appends_.empty());
  ASSERT_EQ(to_peers_.size(), 1u);
  EXPECT_EQ(to_peers_[0].actor(), model::k_system_uin);
}

TEST_F(ServerPortTest, digest_is_cut_between_code_points) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "鸿";
  with_port([&] {
    EXPECT_EQ(post("messages", R"({"from":"uma","to":"vic","client_msg_id":"m","text":")" + text + "\"}").status, 200);
    EXPECT_EQ(post("messages", R"({"from":"uma","to":"vic","client_msg_id":"m","text":"a)" + text + "\"}").status, 200);
  });
  for (const auto& append : appends_) {
    EXPECT_TRUE(api::is_utf8(append.messages(0).digest()));
    EXPECT_GT(append.messages(0).digest().size(), 100u);
  }
}

TEST_F(ServerPortTest, refusals_have_their_status) {
  with_port([&] {
    grant_status_ = model::error(model::ErrorCode::blocked);
    const Answer blocked = post("messages", R"({"from":"uma","to":"vic","client_msg_id":"m","text":"x"})");
    EXPECT_EQ(blocked.status, 403);
    EXPECT_EQ(blocked.body, R"({"error":{"code":106,"name":"blocked","text":"The other does not take messages from you."}})");
    for (const char* bad : {"", "[]", "{\"external_id\":1}", "{\"external_id\":\"system\"}", "nonsense"}) {
      EXPECT_EQ(post("users", bad).status, 400) << bad;
    }
    EXPECT_EQ(post("tickets", R"({"uin":5})").status, 404);
    EXPECT_EQ(post("tickets", R"({"uin":1.5})").status, 400);
    EXPECT_EQ(post("tickets", R"({"uin":"10001"})").status, 404) << "a string is an external id";
    EXPECT_EQ(post("nonsense", "{}").status, 404);
    EXPECT_EQ(post("messages", R"({"from":"uma","to":"vic","client_msg_id":"m","text":"x","content":"eA=="})").status, 400);
    EXPECT_EQ(client().get("/api/v1/users", "Authorization: Bearer " + k_secret + "\r\n").status, 405);
    EXPECT_EQ(post("users", std::string(200'000, ' ')).status, 413);
  });
  for (const model::ErrorInfo& info : model::error_table()) {
    const int status = http_status_of(info.code);
    EXPECT_EQ(status == 200, info.code == 0) << info.name;
    const bool not_the_callers = info.error_class == 2 || info.error_class == 6;
    EXPECT_TRUE(!not_the_callers || status >= 429) << info.name;
  }
}

TEST_F(ServerPortTest, connections_are_kept_limited_and_cut_when_slow) {
  config_.connections_max = 2;
  with_port([&] {
    HttpClient one = client();
    EXPECT_EQ(one.get("/healthz").field("connection"), "keep-alive");
    EXPECT_EQ(one.get("/healthz").status, 200);
    HttpClient slow = client();
    slow.write("POST /api/v1/users HTTP/1.1\r\nHost");
    env_.scheduler().yield();
    EXPECT_TRUE(client().ended());
    const auto start = env_.now();
    EXPECT_EQ(slow.read_answer().status, 408);
    EXPECT_EQ(env_.now() - start, config_.read_limit);
    EXPECT_TRUE(one.ended());
    EXPECT_EQ(env_.now() - start, config_.idle_limit);
  });
}

TEST_F(ServerPortTest, listens_on_loopback_only) {
  config_.address = "0.0.0.0:0";
  const rpc::AudienceKeys none;
  const auto port = make_server_port(env_,
                                     {.account = internal::AccountClient(account_channel_),
                                      .device = internal::DeviceClient(device_channel_),
                                      .contact = internal::ContactClient(contact_channel_),
                                      .inbox = internal::InboxClient(inbox_channel_),
                                      .group_chat = client::GroupChatClient(group_channel_),
                                      .self = rpc::ServiceIdentity(env_, none, "integrator"),
                                      .audiences = none,
                                      .secret = k_secret,
                                      .web_url = {}},
                                     config_);
  EXPECT_EQ(port->start().code(), Code::invalid);
}

}  // namespace
}  // namespace hongyan::access
