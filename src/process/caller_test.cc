// Goal: a command line becomes exactly the request that was meant, or a sentence about the word that is wrong.
#include "process/caller.h"

#include <gmock/gmock.h>

#include "api/internal/account.pb.h"
#include "store/remote/store.pb.h"

namespace hongyan::process {
namespace {

using ::testing::HasSubstr;

const Endpoint k_account = *find_endpoint("account");
const Endpoint k_store = *find_endpoint("store");

template <typename Request>
Request built(const Endpoint& endpoint, const char* method, std::vector<std::string> words) {
  auto request = build_request(*find_method(endpoint, method), words);
  EXPECT_TRUE(request.ok()) << request.status().detail();
  return request.ok() ? static_cast<Request&>(**request) : Request();
}

std::string refused(const Endpoint& endpoint, const char* method, std::vector<std::string> words) {
  const auto request = build_request(*find_method(endpoint, method), words);
  EXPECT_EQ(request.code(), Code::invalid);
  return request.status().detail();
}

TEST(Caller, finds_methods_whatever_their_case_and_underscores) {
  EXPECT_EQ(find_method(k_account, "LeaseIds")->name, "LeaseIds");
  EXPECT_EQ(find_method(k_account, "lease_ids"), find_method(k_account, "LeaseIds"));
  EXPECT_EQ(find_method(k_account, "Lease"), nullptr);
}

TEST(Caller, words_become_fields_of_their_types) {
  const auto create = built<internal::CreateAccountRequest>(
      k_account, "Create", {"--name_space", "login", "--name=a=b", "--type", "3", "--attempt", "0x00ff"});
  EXPECT_EQ(create.name_space(), "login");
  EXPECT_EQ(create.name(), "a=b");
  EXPECT_EQ(create.type(), 3u);
  EXPECT_EQ(create.attempt(), std::string("\0\xff", 2));
  const auto profiles = built<internal::ProfilesRequest>(k_account, "Profiles", {"--uins", "7", "--uins", "8"});
  EXPECT_EQ(profiles.uins_size(), 2);
  EXPECT_EQ(profiles.uins(1), 8u);
}

TEST(Caller, flags_are_laid_over_json_wherever_it_stands) {
  const auto scan = built<store::wire::ScanWorkRequest>(k_store, "ScanWork", {"--tag", "4", R"({"tag": 1, "rowsMax": "9", "after": {"table": 6}})"});
  EXPECT_EQ(scan.tag(), 4u);
  EXPECT_EQ(scan.rows_max(), 9u);
  EXPECT_EQ(scan.after().table(), 6u);
}

TEST(Caller, what_is_wrong_is_named) {
  EXPECT_THAT(refused(k_account, "Get", {"--nobody", "1"}), HasSubstr("no field 'nobody'"));
  EXPECT_THAT(refused(k_account, "Get", {"--uin"}), HasSubstr("--uin wants a value"));
  EXPECT_THAT(refused(k_account, "Get", {"--uin", "12x"}), HasSubstr("'12x' is no uint64"));
  EXPECT_THAT(refused(k_account, "Get", {"--uin", "-1"}), HasSubstr("--uin"));
  EXPECT_THAT(refused(k_account, "Create", {"--type", "4294967296"}), HasSubstr("--type"));
  EXPECT_THAT(refused(k_account, "Create", {"--attempt", "0xabc"}), HasSubstr("--attempt"));
  EXPECT_THAT(refused(k_store, "ScanWork", {"--after", "x"}), HasSubstr("JSON"));
  EXPECT_THAT(refused(k_account, "Get", {"{}", "{}"}), HasSubstr("one JSON"));
  EXPECT_THAT(refused(k_account, "Get", {"{"}), HasSubstr("no JSON of hongyan.internal.GetAccountRequest"));
}

TEST(Caller, descriptions_come_from_the_protos) {
  EXPECT_THAT(describe_methods(k_account), HasSubstr("Account.LeaseIds"));
  EXPECT_THAT(describe_methods(k_store), HasSubstr("What changed in an entity of a tracked table since a version."));
  const std::string create = describe_method(k_account, *find_method(k_account, "Create"));
  EXPECT_THAT(create, HasSubstr("login or integrator"));
  EXPECT_THAT(create, HasSubstr("--name_space"));
  EXPECT_THAT(create, HasSubstr("already folded"));
  EXPECT_THAT(describe_method(k_store, *find_method(k_store, "ScanWork")), HasSubstr("{\"after\": ...}"));
}

TEST(Caller, every_method_has_its_flags) {
  for (const Endpoint& endpoint : endpoints()) {
    ASSERT_EQ(endpoint.flags.size(), endpoint.methods.size()) << endpoint.name;
    for (size_t i = 0; i < endpoint.methods.size(); ++i) EXPECT_EQ(endpoint.flags[i].method, endpoint.methods[i].id);
  }
}

}  // namespace
}  // namespace hongyan::process
