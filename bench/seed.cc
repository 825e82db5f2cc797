#include "bench/seed.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "api/client/checks.h"
#include "base/bytes.h"
#include "bundle/bundle.h"
#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "store/engine/open.h"

namespace hongyan::bench {

namespace {

constexpr int k_at_once = 64;  // Commits that wait together share a sync.
constexpr size_t k_text_bytes = 40;

// Nobody is online in a closed directory.
class Silence : public rpc::Channel {
 public:
  Status call(Call&, const rpc::MethodInfo&, const rpc::Message&, rpc::Message&) override { return {}; }
};

struct Open {
  std::unique_ptr<store::OpenStore> store;
  bundle::Secrets secrets;
};

Result<Open> open_data(Env& env, const std::string& data) {
  TRY(env.disk().make_directories(data));
  store::OpenOptions options;
  options.directory = data + "/store";
  options.tables = bundle::tables();
  auto store = TRY(store::open_store(env, std::move(options)));
  return Open{std::move(store), TRY(bundle::Secrets::load_or_create(env, data))};
}

// body(0) … body(count - 1), some at a time; the first failure ends it.
Status each_at_once(Env& env, uint64_t count, const std::function<Status(uint64_t)>& body) {
  runtime::Nursery nursery(env.scheduler());
  uint64_t next = 0;
  Status failure;
  for (int i = 0; i < k_at_once; ++i) {
    nursery.spawn("seed", [&] {
      while (next < count && failure.ok()) {
        if (Status status = body(next++); !status.ok()) failure = std::move(status);
      }
    });
  }
  Call call = runtime::background_call(env, std::chrono::hours(2));
  TRY(nursery.join(call));
  return failure;
}

Result<uint64_t> make_account(Env& env, bundle::IntegratorClients& clients, const std::string& name, const std::string& password) {
  Call call = clients.self.background(std::chrono::minutes(1));
  internal::CreateAccountRequest create;
  create.set_name_space(password.empty() ? "external" : "login");
  create.set_name(name);
  create.set_nickname(name);
  create.set_password(password);
  create.set_attempt(env.random_bytes(16));
  return TRY(clients.account.create(call, create)).uin();
}

Status make_people(Env& env, bundle::IntegratorClients clients, std::vector<SeedAccount>& accounts, SeedPeers& peers) {
  int friends = 0;
  for (SeedAccount& account : accounts) {
    account.uin = TRY(make_account(env, clients, account.user_name, k_seed_password));
    friends = std::max(friends, account.conversations);
  }
  peers.uins.resize(static_cast<size_t>(friends));
  TRY(each_at_once(env, peers.uins.size(), [&](uint64_t i) -> Status {
    peers.uins[i] = TRY(make_account(env, clients, fmt::format("friend{}", i), ""));
    return {};
  }));
  for (const SeedAccount& account : accounts) {
    TRY(each_at_once(env, static_cast<uint64_t>(account.conversations), [&](uint64_t i) -> Status {
      internal::BefriendRequest befriend;
      befriend.set_uin(account.uin);
      befriend.set_peer(peers.uins[i]);
      Call call = clients.self.background(std::chrono::minutes(1));
      TRY(clients.contact.befriend(call, befriend));
      return {};
    }));
  }
  return {};
}

client::Message text_message(Env& env, uint64_t sender, uint64_t receiver) {
  client::Message message;
  message.mutable_conversation()->set_type(1);
  message.mutable_conversation()->set_id(receiver);
  message.set_sender(sender);
  message.set_client_msg_id(to_hex(env.random_bytes(16)));
  message.set_key(api::message_key(sender, message.client_msg_id()));
  message.set_kind(1);
  for (const unsigned char byte : env.random_bytes(k_text_bytes)) message.mutable_content()->push_back(static_cast<char>('a' + byte % 26));
  message.set_digest(message.content());
  message.set_server_time_ms(env.utc_ms());
  message.set_client_time_ms(message.server_time_ms());
  return message;
}

Status deliver(Env& env, inbox::InboxRoom& inbox, const rpc::KeyRing& grants, uint64_t sender, const SeedMessages& work, int count) {
  internal::AppendToPeerRequest request;
  request.set_uin(work.receiver);
  request.set_actor(sender);
  request.set_grant(rpc::make_grant(grants, {.issuer = "contact", .actor = sender, .object = work.receiver, .right = "write",
                                             .expires_ms = env.utc_ms() + rpc::k_call_ticket_ms_max}));
  for (int i = 0; i < count; ++i) *request.add_messages() = text_message(env, sender, work.receiver);
  Call call = runtime::background_call(env, std::chrono::minutes(5));
  TRY(inbox.append_to_peer(call, request));
  return {};
}

}  // namespace

Result<SeedPeers> seed_accounts(Env& env, const std::string& data, std::vector<SeedAccount>& accounts) {
  Open open = TRY(open_data(env, data));
  SeedPeers peers;
  Status status;
  runtime::run_to_end(env.scheduler(), "seed", [&] {
    bundle::BundleConfig config;
    config.serve_web = false;
    const auto bundle = bundle::make_bundle(env, open.store->shard(), open.secrets, std::move(config));
    status = bundle->start();
    if (status.ok()) status = make_people(env, bundle->integrator(), accounts, peers);
    Call call = runtime::background_call(env, std::chrono::minutes(1));
    bundle->stop(call);
    open.store->shard().close();
  });
  TRY(status);
  return peers;
}

Status seed_messages(Env& env, const std::string& data, const SeedPeers& peers, const std::vector<SeedMessages>& work) {
  Open open = TRY(open_data(env, data));
  Silence silence;
  const auto inbox = inbox::make_inbox(env, {.store = open.store->shard(),
                                             .presence = internal::PresenceClient(silence),
                                             .device = internal::DeviceClient(silence),
                                             .contact_grants = open.secrets.ring("grant.contact"),
                                             .self = rpc::ServiceIdentity(env, open.secrets.audiences({"presence", "device"}), "inbox")});
  Status status;
  runtime::run_to_end(env.scheduler(), "seed", [&] {
    for (const SeedMessages& one : work) {
      const uint64_t together = static_cast<uint64_t>(one.together);
      const uint64_t calls = (one.count + together - 1) / together;
      status = each_at_once(env, calls, [&](uint64_t i) {
        const uint64_t sender = peers.uins[i % static_cast<uint64_t>(one.conversations)];
        return deliver(env, *inbox, open.secrets.ring("grant.contact"), sender, one,
                       static_cast<int>(std::min(together, one.count - i * together)));
      });
      if (!status.ok()) break;
    }
    open.store->shard().close();
  });
  return status;
}

}  // namespace hongyan::bench
