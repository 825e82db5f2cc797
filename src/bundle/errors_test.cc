// Goal: every code of model/error_code.h is produced by a real command, and no handler answers one that is not there.
// Method: the whole bundle behind its Entry, driven by commands as clients send them; a store that can be told to fail
// stands for what only disks and overload produce. What is counted is what the Entry answered.
#include <gtest/gtest.h>

#include <google/protobuf/descriptor.h>

#include <memory>
#include <set>

#include "api/client/chat.pb.h"
#include "api/client/friend.pb.h"
#include "api/client/group.pb.h"
#include "api/client/login.pb.h"
#include "api/client/sync.pb.h"
#include "api/gate/envelope.h"
#include "base/random.h"
#include "bundle/bundle.h"
#include "data/contact/contact_table.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "model/tables.h"
#include "runtime/testing/test_env.h"
#include "store/testing/test_store.h"

namespace hongyan::bundle {
namespace {

namespace pb = google::protobuf;
using model::ErrorCode;
using namespace client;
using namespace std::chrono_literals;

struct Person {
  uint64_t uin = 0;
  std::string name = {}, password = {}, device = {}, ticket = {};
};

class World {
 public:
  explicit World(logic::AuthMode auth = logic::AuthMode::both) {
    BundleConfig config;
    config.auth = auth;
    config.password_cost = account::k_password_cost_least;
    config.entry.per_address = {.per_second = 1000, .burst = 10'000};
    config.entry.per_device = {.per_second = 1000, .burst = 1000};
    bundle = make_bundle(env, store, secrets, std::move(config));
  }

  // One command, as a gate hands it to the Entry; its code.
  uint32_t run(std::string_view path, rpc::Message& request, rpc::Message* response_out = nullptr, Call* given = nullptr) {
    const rpc::ServedCommand* command = bundle->entry().commands().by_path(path);
    EXPECT_NE(command, nullptr) << path;
    const std::unique_ptr<rpc::Message> response(command->method->response()->New());
    Call call = given != nullptr ? *given : env.call();
    bundle->entry().handle(call, *command, request, {.address = address}, *response);
    const BaseResponse& base = api::base_of_response(*response);
    answered(base);
    for (const Sent& sent : sent_of(*response)) seen.insert(sent.code());
    if (response_out != nullptr) response_out->CopyFrom(*response);
    return base.code();
  }
  void answered(const BaseResponse& base) {
    seen.insert(base.code());
    EXPECT_EQ(model::error_info(base.code()).code, base.code()) << "a code that is not in the table";
    EXPECT_EQ(model::error_info(base.code()).error_class, base.class_());
  }
  template <typename Request>
  Request from(const Person& person) {
    Request request;
    request.mutable_base()->set_ticket(person.ticket);
    request.mutable_base()->set_feature_level(2);
    return request;
  }
  static std::vector<Sent> sent_of(const rpc::Message& response) {
    if (response.GetDescriptor() != SendResponse::descriptor()) return {};
    const auto& sent = static_cast<const SendResponse&>(response).sent();
    return {sent.begin(), sent.end()};
  }

  uint32_t sign_up(Person& person) {
    RegisterRequest request;
    request.set_user_name(person.name);
    request.set_password(person.password);
    request.set_nickname(person.name);
    person.device = env.random_bytes(16);
    request.mutable_device()->set_id(person.device);
    request.mutable_base()->set_feature_level(2);
    LoginResponse response;
    const uint32_t code = run("register", request, &response);
    person.uin = response.uin();
    person.ticket = response.ticket();
    return code;
  }
  Person person(const std::string& name) {
    Person made{.name = name, .password = "correct horse"};
    EXPECT_EQ(sign_up(made), 0u);
    return made;
  }
  void befriend(const Person& a, const Person& b) {
    auto add = from<AddFriendRequest>(a);
    add.set_uin(b.uin);
    EXPECT_EQ(run("friend/add", add), 0u);
    auto accept = from<AcceptFriendRequest>(b);
    accept.set_uin(a.uin);
    EXPECT_EQ(run("friend/accept", accept), 0u);
  }
  SendRequest message(const Person& person, uint64_t to, const std::string& id, const std::string& text = "hello") {
    auto request = from<SendRequest>(person);
    Message& message = *request.add_messages();
    message.mutable_conversation()->set_type(model::is_group(to) ? 2 : 1);
    message.mutable_conversation()->set_id(to);
    message.set_client_msg_id(id);
    message.set_kind(1);
    message.set_content(text);
    return request;
  }
  uint32_t send(const Person& person, uint64_t to, const std::string& id, const std::string& text = "hello") {
    SendRequest request = message(person, to, id, text);
    SendResponse response;
    const uint32_t code = run("send", request, &response);
    return code != 0 || response.sent_size() == 0 ? code : response.sent(0).code();
  }
  uint64_t group(const Person& owner, const std::vector<uint64_t>& members, const std::string& id, uint32_t* code = nullptr) {
    auto request = from<CreateGroupRequest>(owner);
    request.set_client_group_id(id);
    request.set_name("friends");
    for (uint64_t uin : members) request.add_members(uin);
    CreateGroupResponse response;
    const uint32_t answer = run("group/create", request, &response);
    if (code != nullptr) *code = answer;
    return response.group().id();
  }
  uint32_t sync(const Person& person, const std::string& snapshot = {}) {
    auto request = from<SyncRequest>(person);
    request.set_snapshot(snapshot);
    return run("sync", request);
  }
  int64_t foreign() { return env.counters().counter("hongyan_entry_foreign_codes", "").value(); }

  runtime::TestEnv env;
  store::TestStore store{env};
  Secrets secrets = Secrets::generate(env);
  std::unique_ptr<Bundle> bundle;
  std::set<uint32_t> seen;
  std::string address = "192.0.2.1:5";
};

constexpr uint32_t number(ErrorCode code) { return static_cast<uint32_t>(code); }

void codes_of_accounts(World& w, const Person& ada) {
  Person again{.name = "ADA", .password = "correct horse"};
  EXPECT_EQ(w.sign_up(again), number(ErrorCode::name_taken));
  Person odd{.name = "1 2", .password = "correct horse"};
  EXPECT_EQ(w.sign_up(odd), number(ErrorCode::bad_name));
  Person careless{.name = "carl", .password = "short"};
  EXPECT_EQ(w.sign_up(careless), number(ErrorCode::bad_password));
  LoginRequest login;
  login.mutable_password()->set_user_name("ada");
  login.mutable_password()->set_password("not the password");
  login.mutable_device()->set_id(ada.device);
  EXPECT_EQ(w.run("login", login), number(ErrorCode::wrong_password));
  SyncRequest nobody;
  EXPECT_EQ(w.run("sync", nobody), number(ErrorCode::unauthenticated));
  auto find = w.from<FindUserRequest>(ada);
  find.set_user_name("nobody");
  EXPECT_EQ(w.run("user/find", find), number(ErrorCode::not_found));
  EXPECT_EQ(w.sync(ada, std::string(100, 's')), number(ErrorCode::bad_snapshot));
  const Person gone = w.person("gone");
  auto logout = w.from<LogoutRequest>(gone);
  EXPECT_EQ(w.run("logout", logout), 0u);
  EXPECT_EQ(w.sync(gone), number(ErrorCode::old_epoch));
}

void codes_of_contacts_and_messages(World& w, const Person& ada, const Person& bob) {
  const Person eve = w.person("eve");
  EXPECT_EQ(w.send(ada, eve.uin, "a"), number(ErrorCode::not_friend));
  auto accept = w.from<AcceptFriendRequest>(ada);
  accept.set_uin(eve.uin);
  EXPECT_EQ(w.run("friend/accept", accept), number(ErrorCode::no_request));
  EXPECT_EQ(w.send(ada, bob.uin, "a"), 0u);
  EXPECT_EQ(w.send(ada, bob.uin, "a", "other words"), number(ErrorCode::client_msg_id_reused));
  EXPECT_EQ(w.send(ada, bob.uin, "b", std::string(33 * 1024, 'x')), number(ErrorCode::too_large));
  EXPECT_EQ(w.send(ada, bob.uin, "c", ""), number(ErrorCode::invalid));
  SendRequest system = w.message(ada, bob.uin, "d");
  system.mutable_messages(0)->set_kind(model::k_kind_system);
  EXPECT_EQ(w.run("send", system), number(ErrorCode::forbidden));
  SendRequest thread = w.message(ada, bob.uin, "e");
  thread.mutable_messages(0)->mutable_conversation()->set_thread(1);
  EXPECT_EQ(w.run("send", thread), number(ErrorCode::unsupported));
  auto block = w.from<SetContactRequest>(bob);
  block.set_uin(ada.uin);
  block.set_blocked(true);
  block.add_fields("blocked");
  EXPECT_EQ(w.run("contact/set", block), 0u);
  EXPECT_EQ(w.send(ada, bob.uin, "f"), number(ErrorCode::blocked));
  block.mutable_base()->set_ticket(bob.ticket);
  block.set_blocked(false);
  EXPECT_EQ(w.run("contact/set", block), 0u);

  Call call = w.env.call();  // As if there were 5,000 of them.
  store::Commit many{.entity = contact::contact_entity(eve.uin)};
  many.mutations = {store::add(std::string(contact::k_row_count), model::k_contacts_max)};
  ASSERT_TRUE(w.store.below().commit(call, std::move(many))->committed);
  auto add = w.from<AddFriendRequest>(eve);
  add.set_uin(bob.uin);
  EXPECT_EQ(w.run("friend/add", add), number(ErrorCode::contacts_full));
}

void codes_of_groups(World& w, const Person& ada, const Person& bob) {
  const uint64_t group = w.group(ada, {bob.uin}, "g");
  ASSERT_NE(group, 0u);
  const Person carol = w.person("carol");
  EXPECT_EQ(w.send(carol, group, "a"), number(ErrorCode::not_member));
  std::vector<uint64_t> crowd;
  for (uint64_t i = 0; i < 501; ++i) crowd.push_back(50'000 + i);
  uint32_t code = 0;
  w.group(ada, crowd, "crowd", &code);
  EXPECT_EQ(code, number(ErrorCode::group_full));
  auto remove = w.from<RemoveMembersRequest>(ada);
  remove.set_group(group);
  remove.add_members(ada.uin);
  remove.add_members(bob.uin);
  EXPECT_EQ(w.run("group/remove", remove), number(ErrorCode::owner_must_stay));
  // Somebody else is always quicker.
  bool mine = true;
  int rivals = 0;
  w.store.before = [&](Call&, const store::Commit& commit) -> Status {
    if (!mine || commit.entity.table != model::k_table_group) return {};
    mine = false;
    EXPECT_EQ(w.send(bob, group, "rival " + std::to_string(rivals++)), 0u);
    mine = true;
    return {};
  };
  auto rename = w.from<RenameGroupRequest>(ada);
  rename.set_group(group);
  rename.set_name("never");
  EXPECT_EQ(w.run("group/rename", rename), number(ErrorCode::conflict));
  w.store.before = nullptr;
}

void codes_of_trouble(World& w, const Person& ada, const Person& bob) {
  for (const Code trouble : {Code::overloaded, Code::unavailable, Code::no_space, Code::corrupt, Code::io, Code::unknown_outcome,
                             Code::read_only}) {
    w.store.before = [&](Call&, const store::Commit&) { return Status(trouble, "the store says so"); };
    EXPECT_EQ(w.send(ada, ada.uin, "trouble"), static_cast<uint32_t>(trouble));
    w.store.before = nullptr;
    EXPECT_EQ(w.sync(ada), 0u) << "reading works";
  }
  w.store.before = [&](Call& call, const store::Commit&) { return runtime::sleep(call, 1h); };
  SendRequest slow = w.message(ada, bob.uin, "slow");
  w.store.before_read = [&](Call& call, const store::Read&) { return runtime::sleep(call, 1h); };
  EXPECT_EQ(w.run("send", slow), number(ErrorCode::deadline));
  uint32_t code = 0;
  runtime::Nursery closing(w.env.scheduler());
  closing.spawn("send", [&] {
    SendRequest given_up = w.message(ada, bob.uin, "given up");
    code = w.run("send", given_up);
  });
  Call call = w.env.call();
  EXPECT_TRUE(runtime::sleep(call, 1s).ok());
  closing.cancel_and_join();
  EXPECT_EQ(code, number(ErrorCode::cancelled));
  w.store.before = nullptr;
  w.store.before_read = nullptr;
  EXPECT_EQ(w.foreign(), 0);

  // A code between services that escapes is a bug, counted as one.
  w.store.before_read = [](Call&, const store::Read&) { return Status(Code::busy, "escaped"); };
  auto list = w.from<ListConversationsRequest>(ada);
  EXPECT_EQ(w.run("conversation/list", list), number(ErrorCode::internal));
  EXPECT_EQ(w.foreign(), 1);
  w.store.before_read = nullptr;
}

void codes_of_access(World& w, const Person& ada) {
  LogoutResponse broken;
  w.bundle->entry().refuse(api::parse_envelope("\x07\x07garbage").status(), broken);
  w.answered(broken.base());
  EXPECT_EQ(broken.base().code(), number(ErrorCode::bad_frame));
  uint32_t code = 0;
  for (int i = 0; i < 2'000 && code == 0; ++i) code = w.sync(ada);
  EXPECT_EQ(code, number(ErrorCode::rate_limited));
}

TEST(Errors, every_code_of_the_table_is_answered_to_some_command) {
  World w;
  World closed(logic::AuthMode::integrator);
  runtime::run_in_coroutine(w.env, [&] {
    const Person ada = w.person("ada");
    const Person bob = w.person("bob");
    w.befriend(ada, bob);
    codes_of_accounts(w, ada);
    codes_of_contacts_and_messages(w, ada, bob);
    codes_of_groups(w, ada, bob);
    codes_of_trouble(w, ada, bob);
    codes_of_access(w, ada);
  });
  runtime::run_in_coroutine(closed.env, [&] {
    Person ada{.name = "ada", .password = "correct horse"};
    EXPECT_EQ(closed.sign_up(ada), number(ErrorCode::login_disabled));
  });
  w.seen.merge(closed.seen);
  for (const model::ErrorInfo& row : model::error_table()) {
    EXPECT_TRUE(w.seen.contains(row.code)) << "code " << row.code << " " << row.name << " is answered by nothing here";
  }
  EXPECT_EQ(w.seen.size(), model::error_table().size());
}

// Values that mean something somewhere, and some that mean nothing anywhere.
void fill(rpc::Message& message, Random& random, const std::vector<uint64_t>& ids, int depth = 0) {
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const pb::FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->message_type() == BaseRequest::descriptor() || random.below(4) == 0) continue;
    const uint64_t pick = random.below(6);
    const uint64_t value = pick == 0 ? random.next() : pick == 1 ? random.below(3) : ids[random.below(ids.size())];
    const uint32_t small = pick == 0 ? static_cast<uint32_t>(random.next()) : static_cast<uint32_t>(random.below(3));
    const std::string texts[] = {"", "ada", "remark", "blocked", "pin_rank", "\xff\xfe", "name\xe2\x80\xae", std::string(16, 'd'),
                                 std::string(300, 'x'), std::string(40'000, 'y')};
    std::string text = texts[random.below(std::size(texts))];
    if (field->type() == pb::FieldDescriptor::TYPE_STRING && (text == "\xff\xfe")) text = "?";
    for (uint64_t n = field->is_repeated() ? random.below(4) : 1; n-- > 0;) {
      const bool many = field->is_repeated();
      switch (field->cpp_type()) {
        case pb::FieldDescriptor::CPPTYPE_UINT64:
          many ? reflection.AddUInt64(&message, field, value) : reflection.SetUInt64(&message, field, value);
          break;
        case pb::FieldDescriptor::CPPTYPE_INT64:
          many ? reflection.AddInt64(&message, field, static_cast<int64_t>(value)) : reflection.SetInt64(&message, field, static_cast<int64_t>(value));
          break;
        case pb::FieldDescriptor::CPPTYPE_UINT32:
          many ? reflection.AddUInt32(&message, field, small) : reflection.SetUInt32(&message, field, small);
          break;
        case pb::FieldDescriptor::CPPTYPE_BOOL:
          reflection.SetBool(&message, field, pick % 2 == 0);
          break;
        case pb::FieldDescriptor::CPPTYPE_STRING:
          many ? reflection.AddString(&message, field, text) : reflection.SetString(&message, field, text);
          break;
        case pb::FieldDescriptor::CPPTYPE_MESSAGE:
          if (depth < 3) fill(many ? *reflection.AddMessage(&message, field) : *reflection.MutableMessage(&message, field), random, ids, depth + 1);
          break;
        default: break;
      }
    }
  }
}

// Whatever the store says and whatever is asked for: the answer's code is in the table, and it is one that a handler
// means, not one between services.
TEST(Errors, no_handler_answers_a_code_outside_the_table) {
  World w;
  runtime::run_in_coroutine(w.env, [&] {
    Random random(1);
    const Person ada = w.person("ada");
    const Person bob = w.person("bob");
    w.befriend(ada, bob);
    const uint64_t group = w.group(ada, {bob.uin}, "g");
    const std::vector<uint64_t> ids{ada.uin, bob.uin, group, 77, model::k_id_end, 0};
    std::vector<std::string_view> paths;
    for (const auto& [id, command] : w.bundle->entry().commands().all()) paths.push_back(command.method->command_path);
    int done = 0;
    for (int round = 0; round < 150; ++round) {
      for (const std::string_view path : paths) {
        if (path == "logout" || path == "device/kick") continue;  // The others need the session.
        const rpc::ServedCommand* command = w.bundle->entry().commands().by_path(path);
        const std::unique_ptr<rpc::Message> request(command->method->request()->New());
        fill(*request, random, ids);
        api::base_of_request(*request).set_ticket(ada.ticket);
        // One in three meets a store that fails at its n-th operation.
        const Code trouble = static_cast<Code>(std::vector<int>{3, 4, 12, 13, 16, 17, 19, 2}[random.below(8)]);
        uint64_t left = random.below(3) == 0 ? random.below(6) : 1000;
        const auto fails = [&] { return left-- == 0 ? Status(trouble, "the store says so") : Status(); };
        w.store.before = [&](Call&, const store::Commit&) { return fails(); };
        w.store.before_read = [&](Call&, const store::Read&) { return fails(); };
        (void)w.run(path, *request);
        w.env.advance(20ms);
        ++done;
        if (w.foreign() != 0) {
          ADD_FAILURE() << path << " answered a code between services: " << w.env.log().lines().back() << "\n" << request->ShortDebugString();
          return;
        }
      }
    }
    EXPECT_GE(done, 3'000);
    EXPECT_GE(w.seen.size(), 15u) << "most requests died of one cause";
    EXPECT_FALSE(w.seen.contains(number(ErrorCode::internal)));
  });
}

// --- limits that only a whole server has ---

TEST(Limits, guesses_from_one_address_over_many_accounts_end) {
  World w;
  runtime::run_in_coroutine(w.env, [&] {
    const Person ada = w.person("ada");
    const auto guess = [&](const std::string& name, const std::string& password) {
      LoginRequest login;
      login.mutable_base()->set_peer_address("192.0.2.77");  // What a client says counts for nothing.
      login.mutable_password()->set_user_name(name);
      login.mutable_password()->set_password(password);
      login.mutable_device()->set_id(std::string(16, 'g'));
      return w.run("login", login);
    };
    int wrong = 0;
    while (guess("name" + std::to_string(wrong), "a popular one") == number(ErrorCode::wrong_password)) ++wrong;
    EXPECT_EQ(wrong, 50);
    EXPECT_EQ(guess("ada", ada.password), number(ErrorCode::rate_limited)) << "also for the right one: no oracle";
    w.address = "192.0.2.1:999";
    EXPECT_EQ(guess("ada", ada.password), number(ErrorCode::rate_limited)) << "another port is no other address";
    w.address = "192.0.2.2:5";
    EXPECT_EQ(guess("ada", ada.password), 0u);
    w.address = "127.0.0.1:5";
    for (int i = 0; i < 60; ++i) EXPECT_EQ(guess("other" + std::to_string(i), "a popular one"), number(ErrorCode::wrong_password));
  });
}

TEST(Limits, look_ups_of_names_by_one_user_end) {
  World w;
  runtime::run_in_coroutine(w.env, [&] {
    const Person ada = w.person("ada");
    const Person bob = w.person("bob");
    const auto find = [&](const Person& person) {
      auto request = w.from<FindUserRequest>(person);
      request.set_user_name("bob");
      return w.run("user/find", request);
    };
    int found = 0;
    while (find(ada) == 0) ++found;
    EXPECT_EQ(found, 200);
    EXPECT_EQ(find(ada), number(ErrorCode::rate_limited));
    EXPECT_EQ(find(bob), 0u);
    EXPECT_EQ(w.env.counters().counter("hongyan_guard_rate_limited", "").value(), 2);
    w.befriend(ada, bob);  // Services that look up for her have buckets of their own.
    Call call = w.env.call();
    ASSERT_TRUE(runtime::sleep(call, 1s).ok());
    EXPECT_EQ(find(ada), 0u);
  });
}

}  // namespace
}  // namespace hongyan::bundle
