// Goal: no call without the right reaches a row. Method: the whole bundle on a store that counts; every method of every
// internal service, found through the descriptors, is called with every kind of wrong ticket and wrong grant. Each must be
// refused as unauthenticated or forbidden with the store untouched. Control: the right ticket gets through.
#include <gtest/gtest.h>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor_database.h>

#include <memory>
#include <set>

#include "bundle/bundle.h"
#include "model/ids.h"
#include "rpc/options.pb.h"
#include "runtime/testing/test_env.h"
#include "store/testing/test_store.h"

namespace hongyan::bundle {
namespace {

namespace pb = google::protobuf;

constexpr uint64_t k_ada = 10'001;
constexpr uint64_t k_peer = 10'002;
constexpr uint64_t k_eve = 10'003;
constexpr uint64_t k_group = model::k_group_bit + 1;
const std::string k_device(16, 'd');
const std::string k_other_device(16, 'o');

class CountingStore final : public store::Store {
 public:
  explicit CountingStore(store::Store& below) : below_(below) {}
  int touched = 0;

  Result<store::CommitReply> commit(Call& call, store::Commit commit) override {
    ++touched;
    return below_.commit(call, std::move(commit));
  }
  std::vector<Result<store::CommitReply>> commit_many(Call& call, std::vector<store::Commit> commits, store::Order order) override {
    ++touched;
    return below_.commit_many(call, std::move(commits), order);
  }
  Result<store::ReadReply> read(Call& call, const store::Read& read) override {
    ++touched;
    return below_.read(call, read);
  }
  std::vector<Result<store::ReadReply>> read_many(Call& call, std::span<const store::Read> reads) override {
    ++touched;
    return below_.read_many(call, reads);
  }
  Result<store::ChangesReply> changes(Call& call, const store::EntityId& entity, uint64_t since, size_t rows_max) override {
    ++touched;
    return below_.changes(call, entity, since, rows_max);
  }
  Result<std::vector<store::Work>> scan_work(Call& call, store::WorkTag tag, const store::EntityId* after, size_t rows_max) override {
    ++touched;
    return below_.scan_work(call, tag, after, rows_max);
  }
  Result<uint64_t> wait_work(Call& call, store::WorkTag tag, uint64_t seen) override {
    ++touched;
    return below_.wait_work(call, tag, seen);
  }

 private:
  store::Store& below_;
};

// Something in every field, so that a handler that is reached has something to look for.
void fill(rpc::Message& message, int depth = 0) {
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const pb::FieldDescriptor* field = message.GetDescriptor()->field(i);
    const bool many = field->is_repeated();
    switch (field->cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_UINT64:
        if (many) reflection.AddUInt64(&message, field, k_peer);
        else reflection.SetUInt64(&message, field, field->name() == "group" ? k_group : field->name() == "thread" ? 0 : k_peer);
        break;
      case pb::FieldDescriptor::CPPTYPE_STRING: {
        const std::string value = field->type() == pb::FieldDescriptor::TYPE_BYTES ? k_device : "abcdefgh";
        many ? reflection.AddString(&message, field, value) : reflection.SetString(&message, field, value);
        break;
      }
      case pb::FieldDescriptor::CPPTYPE_UINT32:
        many ? reflection.AddUInt32(&message, field, 1) : reflection.SetUInt32(&message, field, 1);
        break;
      case pb::FieldDescriptor::CPPTYPE_MESSAGE:
        if (depth < 3) fill(many ? *reflection.AddMessage(&message, field) : *reflection.MutableMessage(&message, field), depth + 1);
        break;
      default: break;
    }
  }
}

class Walk {
 public:
  Walk() {
    BundleConfig config;
    config.password_cost = account::k_password_cost_least;
    bundle_ = make_bundle(env, counting, secrets, std::move(config));
    services = bundle_->guarded();
  }
  runtime::TestEnv env;
  store::TestStore store{env};
  CountingStore counting{store};
  Secrets secrets = Secrets::generate(env);
  std::vector<GuardedService> services;
  uint32_t epoch = 0;         // Of Ada's device, ...
  uint32_t epoch_before = 0;  // ... and of its session before.

  rpc::AudienceKeys audiences(std::string_view audience) { return secrets.audiences({audience}); }
  rpc::Identity ada() { return {.uin = k_ada, .device = k_device, .epoch = epoch, .feature_level = 2, .expires_ms = soon()}; }
  int64_t soon() { return env.utc_ms() + rpc::k_call_ticket_ms_max; }
  Status call(const GuardedService& service, const rpc::MethodInfo& method, const rpc::Message& request, const std::string* ticket) {
    Call call = env.call();
    if (ticket != nullptr) call.ticket = std::make_shared<const std::string>(*ticket);
    const std::unique_ptr<rpc::Message> response(method.response()->New());
    return service.channel->call(call, method, request, *response);
  }

 private:
  std::unique_ptr<Bundle> bundle_;
};

// One method, its request and all that may be wrong about the caller.
class MethodWalk {
 public:
  MethodWalk(Walk& walk, const GuardedService& service, const rpc::MethodInfo& method)
      : walk_(walk),
        service_(service),
        method_(method),
        audience_(service.audience),
        policy_(pb::DescriptorPool::generated_pool()->FindMethodByName(std::string(method.full_name))->options().GetExtension(rpc::policy)),
        request_(method.request()->New()) {
    fill(*request_);
    if (!policy_.owner().empty()) set_number(policy_.owner(), k_ada);
    if (!policy_.device().empty()) set_bytes(policy_.device(), k_device);
    if (policy_.has_grant()) set_number(policy_.grant().object(), object());
  }

  // How often the store was touched by calls with the right.
  int run() {
    if (policy_.has_grant()) grants();
    if (policy_.all()) half_of_all();
    if (!policy_.owner().empty() || policy_.public_() || policy_.has_grant()) damaged(user(), "a user's ticket");
    if (policy_.service_size() > 0 || policy_.public_() || policy_.has_grant()) damaged(service("group"), "a service's ticket");
    for (const std::string& name : policy_.service()) damaged(service(name), "the ticket of service " + name);
    revoked();
    foreign();
    return controls();
  }

 private:
  std::string user(const std::function<void(rpc::Identity&)>& change = {}) {
    rpc::Identity identity = walk_.ada();
    if (change) change(identity);
    return rpc::make_call_ticket(walk_.audiences(audience_), identity);
  }
  std::string service(const std::string& name, int64_t expires_in = rpc::k_call_ticket_ms_max) {
    return rpc::make_service_ticket(walk_.audiences(audience_), name, walk_.env.utc_ms() + expires_in);
  }
  void set_number(const std::string& field, uint64_t value) {
    request_->GetReflection()->SetUInt64(request_.get(), request_->GetDescriptor()->FindFieldByName(field), value);
  }
  void set_bytes(const std::string& field, const std::string& value) {
    request_->GetReflection()->SetString(request_.get(), request_->GetDescriptor()->FindFieldByName(field), value);
  }

  void refused(const std::string* ticket, const std::string& why) {
    const int before = walk_.counting.touched;
    const Status status = walk_.call(service_, method_, *request_, ticket);
    EXPECT_TRUE(status.code() == Code::unauthenticated || status.code() == Code::forbidden)
        << method_.full_name << " with " << why << ": code " << static_cast<int>(status.code()) << " " << status.detail();
    EXPECT_EQ(walk_.counting.touched, before) << method_.full_name << " with " << why << " reached a row";
    refusals_.insert({status.code(), status.detail()});
    ++count;
  }
  void refused(const std::string& ticket, const std::string& why) { refused(&ticket, why); }

  // No ticket gives a right when it is gone, cut, changed, too old, too new or for somebody else.
  void damaged(const std::string& good, const std::string& what) {
    refused(nullptr, "no ticket");
    for (size_t length = 0; length < good.size(); ++length) refused(good.substr(0, length), what + " cut");
    refused(good + "x", what + " with a tail");
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string flipped = good;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      refused(flipped, what + " with bit " + std::to_string(bit) + " flipped");
    }
    const rpc::Caller caller = [&] {
      Call call = walk_.env.call();
      call.ticket = std::make_shared<const std::string>(good);
      return rpc::caller_of(call).value();
    }();
    const auto again = [&](const rpc::AudienceKeys& keys, int64_t expires_ms) {
      if (!caller.service.empty()) return rpc::make_service_ticket(keys, caller.service, expires_ms);
      rpc::Identity identity = caller.identity;
      identity.expires_ms = expires_ms;
      return rpc::make_call_ticket(keys, identity);
    };
    refused(again(walk_.audiences(audience_), walk_.env.utc_ms()), what + " expired");
    refused(again(walk_.audiences(audience_), walk_.env.utc_ms() + 3'600'000), what + " that lives too long");
    const rpc::KeyRing forged({{.id = 1, .bytes = std::string(32, 'f')}});
    refused(again({{std::string(audience_), forged}}, walk_.soon()), what + " signed with another key");
    rpc::AudienceKeys others;
    for (const GuardedService& other : walk_.services) {
      if (other.audience != audience_) others.merge(walk_.audiences(other.audience));
    }
    refused(again(others, walk_.soon()), what + " for all other audiences");
    rpc::AudienceKeys disguised{{std::string(audience_), others.begin()->second}};
    refused(again(disguised, walk_.soon()), what + " signed with another audience's key");
    refused(rpc::make_client_ticket(walk_.secrets.ring("client_ticket"), walk_.ada()), "a client ticket");
  }

  // The device logged in again: user() shows the epoch of the later session.
  void revoked() {
    refused(user([&](auto& i) { i.epoch = walk_.epoch_before; }), "an old epoch");
  }

  // Owner and grant are both needed: neither goes without the other, and both are the caller's.
  void half_of_all() {
    refused(user(), "its owner without the grant");
    const std::string& owner = policy_.owner();
    const std::string& field = policy_.grant().field();
    set_bytes(field, sign(good_grant(false)));
    set_number(owner, k_eve);
    refused(user(), "the grant without being the owner");
    refused(user([](auto& i) { i.uin = k_eve; }), "the owner with another user's grant");
    set_number(owner, k_ada);
    set_bytes(field, sign(good_grant(true)));
    refused(user(), "its owner with a job grant");
    refused(service("inbox"), "a job grant without the owner");
    set_bytes(field, "");
  }

  void foreign() {
    if (policy_.public_()) return;
    const auto eve = [](auto& i) { i.uin = k_eve; };
    if (!policy_.has_grant()) refused(user(eve), "another user's ticket");
    if (policy_.owner().empty() && !policy_.has_grant()) refused(user(), "a user's ticket where services call");
    if (!policy_.device().empty()) refused(user([](auto& i) { i.device = k_other_device; }), "another device's ticket");
    std::set<std::string> listed(policy_.service().begin(), policy_.service().end());
    for (const char* name : {"login", "integrator", "access", "presence", "account", "device", "contact", "inbox", "group", "chat", "gate", "nobody"}) {
      if (!listed.contains(name)) refused(service(name), std::string("the ticket of service ") + name);
    }
  }

  // Where owner and grant are both needed, the grant is for somebody else.
  uint64_t object() const { return policy_.all() ? k_peer : k_ada; }
  rpc::Grant good_grant(bool job) {
    return {.issuer = policy_.grant().issuer(), .actor = job ? 0 : k_ada, .object = object(), .right = policy_.grant().right(),
            .expires_ms = job ? 0 : walk_.soon(), .job = job};
  }
  std::string sign(const rpc::Grant& grant, const std::string& ring = {}) {
    return rpc::make_grant(walk_.secrets.ring("grant." + (ring.empty() ? policy_.grant().issuer() : ring)), grant);
  }

  void grants() {
    const std::string& field = policy_.grant().field();
    for (const bool job : {false, true}) {
      const std::string ticket = job ? service("group") : user();
      const auto refuse = [&](const std::string& grant, const std::string& why) {
        set_bytes(field, grant);
        refused(ticket, std::string(job ? "a job grant " : "a grant ") + why);
      };
      const auto other = [&](const std::function<void(rpc::Grant&)>& change) {
        rpc::Grant grant = good_grant(job);
        change(grant);
        return sign(grant);
      };
      refuse("", "that is not there");
      const std::string good = sign(good_grant(job));
      for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string flipped = good;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        refuse(flipped, "with bit " + std::to_string(bit) + " flipped");
      }
      for (size_t length = 0; length < good.size(); ++length) refuse(good.substr(0, length), "cut");
      refuse(other([](auto& g) { g.object = k_eve; }), "for another object");
      refuse(other([](auto& g) { g.right = g.right == "write" ? "invite" : "write"; }), "of another right");
      refuse(other([](auto& g) { g.issuer = g.issuer == "group" ? "contact" : "group"; }), "that names another issuer");
      for (const char* issuer : {"contact", "group"}) {
        if (issuer != policy_.grant().issuer()) refuse(sign(good_grant(job), issuer), "signed by another issuer");
      }
      if (!job) {
        refuse(other([](auto& g) { g.actor = k_eve; }), "of another actor");
        refuse(other([&](auto& g) { g.expires_ms = walk_.env.utc_ms(); }), "that has expired");
        refuse(other([&](auto& g) { g.expires_ms = walk_.env.utc_ms() + 3'600'000; }), "that lives too long");
      }
      set_bytes(field, good);
      refused(job ? user() : service("group"), "a good grant shown by the wrong kind of caller");
    }
    set_bytes(field, "");  // From here on tickets alone, which give no right.
  }

  // The right ticket is not refused as the wrong ones are.
  int controls() {
    int touched = 0;
    const auto passes = [&](const std::string& ticket, const std::string& what) {
      const int before = walk_.counting.touched;
      const Status status = walk_.call(service_, method_, *request_, &ticket);
      EXPECT_FALSE(refusals_.contains({status.code(), status.detail()}))
          << method_.full_name << " refuses " << what << ": " << status.detail();
      touched += walk_.counting.touched - before;
    };
    if (!policy_.owner().empty() && !policy_.all()) passes(user(), "its owner");
    for (const std::string& name : policy_.service()) passes(service(name), "service " + name);
    if (policy_.public_()) {
      passes(user([](auto& i) { i.uin = k_eve; }), "anybody");
      passes(service("chat"), "any service");
    }
    if (policy_.has_grant()) {
      set_bytes(policy_.grant().field(), sign(good_grant(false)));
      passes(user(), "a grant");
      if (policy_.all()) return touched;
      set_bytes(policy_.grant().field(), sign(good_grant(true)));
      passes(service("inbox"), "a job grant");
    }
    return touched;
  }

  Walk& walk_;
  const GuardedService& service_;
  const rpc::MethodInfo& method_;
  const std::string_view audience_;
  const rpc::Policy policy_;
  std::unique_ptr<rpc::Message> request_;
  std::set<std::pair<Code, std::string>> refusals_;

 public:
  int count = 0;
};

const rpc::MethodInfo& method_named(const GuardedService& service, std::string_view name) {
  for (const rpc::MethodInfo& method : service.methods) {
    if (method.name == name) return method;
  }
  ADD_FAILURE() << name;
  return service.methods[0];
}

// Two sessions of one device: the first one's epoch is revoked.
void log_in_twice(Walk& walk) {
  for (const GuardedService& service : walk.services) {
    if (service.audience != "device") continue;
    for (int i = 0; i < 2; ++i) {
      internal::OpenSessionRequest open;
      open.set_uin(k_ada);
      open.mutable_device()->set_id(k_device);
      const std::string ticket = rpc::make_service_ticket(walk.audiences("device"), "login", walk.soon());
      Call call = walk.env.call();
      call.ticket = std::make_shared<const std::string>(ticket);
      internal::OpenSessionResponse answer;
      const Status opened = service.channel->call(call, method_named(service, "OpenSession"), open, answer);
      ASSERT_TRUE(opened.ok()) << opened.detail();
      walk.epoch_before = std::exchange(walk.epoch, answer.epoch());
    }
  }
}

TEST(Rights, every_internal_method_of_the_descriptors_is_walked) {
  Walk walk;
  std::set<std::string> walked;
  for (const GuardedService& service : walk.services) {
    for (const rpc::MethodInfo& method : service.methods) walked.insert(std::string(method.full_name));
  }
  std::vector<std::string> files;
  ASSERT_TRUE(pb::DescriptorPool::internal_generated_database()->FindAllFileNames(&files));
  size_t methods = 0;
  for (const std::string& name : files) {
    if (!name.starts_with("api/internal/")) continue;
    const pb::FileDescriptor* file = pb::DescriptorPool::generated_pool()->FindFileByName(name);
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m, ++methods) {
        EXPECT_TRUE(walked.contains(file->service(s)->method(m)->full_name())) << file->service(s)->method(m)->full_name();
      }
    }
  }
  EXPECT_EQ(methods, walked.size());
  EXPECT_GE(methods, 40u);
}

// Each method has a world of its own: some of them change what others rest on, as the end of a session does.
TEST(Rights, no_call_without_the_right_reaches_a_row_and_every_call_with_it_passes) {
  int calls = 0;
  int methods = 0;
  int reaching = 0;
  std::string inert;
  const size_t services = Walk().services.size();
  for (size_t s = 0; s < services; ++s) {
    const size_t size = Walk().services[s].methods.size();
    for (size_t m = 0; m < size; ++m) {
      Walk walk;
      runtime::run_in_coroutine(walk.env, [&] {
        log_in_twice(walk);
        MethodWalk one(walk, walk.services[s], walk.services[s].methods[m]);
        if (one.run() > 0) ++reaching;
        else inert += std::string(walk.services[s].methods[m].full_name) + "\n";
        calls += one.count;
        ++methods;
      });
      if (testing::Test::HasFatalFailure()) return;
    }
  }
  // The counter counts: most methods touch the store when they are let in. The rest has none (presence, gate) or looks
  // at its arguments first.
  EXPECT_GE(reaching, 30) << reaching << " of " << methods << ", not:\n" << inert;
  EXPECT_GE(calls, 30'000);
}

}  // namespace
}  // namespace hongyan::bundle
