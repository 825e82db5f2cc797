#include "logic/message_sync/message_sync_service.h"

#include <algorithm>

#include "api/internal/level_one.h"
#include "api/internal/profiles.h"
#include "logic/message_sync/snapshot.h"
#include "model/kinds.h"
#include "model/limits.h"
#include "runtime/coro/sync.h"

namespace hongyan::logic {

namespace {

using namespace client;

constexpr uint32_t k_contacts_page = 200;            // About 40 KiB with profiles.
constexpr size_t k_messages_bytes_min = 16 * 1024;   // Below this, messages wait for the next answer.

class MessageSyncServiceImpl : public MessageSyncService {
 public:
  MessageSyncServiceImpl(Env& env, MessageSyncDeps deps) : env_(env), deps_(std::move(deps)) {}

  Result<SyncResponse> sync(Call& call, const SyncRequest& request) override {
    const rpc::Identity me = TRY(rpc::caller_of(call)).identity;
    Snapshot snapshot = TRY(decode_snapshot(deps_.snapshot_keys, request.snapshot(), me.uin, me.device));
    // The cursor's commit takes a sync of the disk: it runs beside the reads, and nobody waits for it alone. Mostly there
    // is nothing to commit, and it has ended before the reads begin.
    runtime::Nursery beside(env_.scheduler());
    if (!request.snapshot().empty()) {
      beside.spawn_now("acknowledge", [this, own = call, presented = snapshot]() mutable { acknowledge(own, presented); });
    }
    Result<SyncResponse> response = answer(call, request, me.uin, snapshot);
    if (!beside.join(call).ok()) beside.cancel_and_join();
    return response;
  }

  // Says at once whether the snapshot is behind; waiting is access's, which holds the connection.
  Result<PollResponse> poll(Call& call, const PollRequest& request) override {
    const rpc::Identity me = TRY(rpc::caller_of(call)).identity;
    const Snapshot snapshot = TRY(decode_snapshot(deps_.snapshot_keys, request.snapshot(), me.uin, me.device));
    PollResponse response;
    internal::HeadRequest head;
    head.set_uin(me.uin);
    const internal::HeadResponse messages = TRY(deps_.inbox.head(call, head));
    add_ring(response, model::k_ring_messages, {messages.incarnation(), messages.version()}, snapshot.messages);
    internal::ContactChangesRequest changes;
    changes.set_uin(me.uin);
    changes.set_incarnation(snapshot.contacts.incarnation);
    changes.set_since(snapshot.contacts.version);
    changes.set_limit(1);
    const internal::ContactChangesResponse contacts = TRY(deps_.contact.changes(call, changes));
    add_ring(response, model::k_ring_contacts, {contacts.incarnation(), contacts.version()}, snapshot.contacts);
    return response;
  }

 private:
  Result<SyncResponse> answer(Call& call, const SyncRequest& request, uint64_t uin, Snapshot& snapshot) {
    const size_t bytes_max = request.max_bytes() == 0
                                 ? model::k_sync_bytes_max
                                 : std::clamp<size_t>(request.max_bytes(), 4096, model::k_sync_bytes_max);
    SyncResponse response;
    TRY(add_account(call, snapshot, response));
    TRY(add_contacts(call, snapshot, bytes_max, response));
    TRY(add_messages(call, request.snapshot().empty(), snapshot, bytes_max, response));
    if (!api::knows_groups(request.base())) {
      TRY(api::render_level_one(call, deps_.account, uin, *response.mutable_entries()));
    }
    response.set_snapshot(encode_snapshot(deps_.snapshot_keys, snapshot));
    return response;
  }

  static void add_ring(PollResponse& response, uint32_t key, Position head, const Position& seen) {
    if (head == seen) return;
    Ring& ring = *response.add_rings();
    ring.set_key(key);
    ring.set_version(head.version);
  }

  // The cursor only lets the inbox purge; losing one delays that, so a failure is not the caller's.
  void acknowledge(Call& call, const Snapshot& snapshot) {
    internal::SaveCursorRequest save;
    save.set_uin(snapshot.uin);
    save.set_device_id(snapshot.device);
    save.mutable_cursor()->set_messages_incarnation(snapshot.messages.incarnation);
    save.mutable_cursor()->set_messages_version(snapshot.messages.version);
    (void)deps_.device.save_cursor(call, save).ok();
  }

  Status add_account(Call& call, Snapshot& snapshot, SyncResponse& response) {
    internal::GetAccountRequest get;
    get.set_uin(snapshot.uin);
    internal::GetAccountResponse got = TRY(deps_.account.get(call, get));
    const Position head{got.incarnation(), got.version()};
    if (head == snapshot.account) return {};
    *response.add_entries()->mutable_account() = std::move(*got.mutable_account());
    snapshot.account = head;
    return {};
  }

  Status add_contacts(Call& call, Snapshot& snapshot, size_t bytes_max, SyncResponse& response) {
    for (bool more = true; more;) {
      if (response.ByteSizeLong() + k_messages_bytes_min > bytes_max && response.entries_size() > 1) {
        response.set_more(true);
        return {};
      }
      internal::ContactChangesRequest changes;
      changes.set_uin(snapshot.uin);
      changes.set_incarnation(snapshot.contacts.incarnation);
      changes.set_since(snapshot.contacts.version);
      changes.set_limit(k_contacts_page);
      internal::ContactChangesResponse changed = TRY(deps_.contact.changes(call, changes));
      // An empty snapshot starts over by itself; only a client that had something has a gap.
      if (changed.reset() && snapshot.contacts != Position{}) response.set_reset(true);
      TRY(add_contact_page(call, changed, response));
      snapshot.contacts = {changed.incarnation(), changed.version()};
      more = changed.more();
    }
    return {};
  }

  Status add_contact_page(Call& call, internal::ContactChangesResponse& changed, SyncResponse& response) {
    TRY(api::fill_profiles(call, deps_.account, *changed.mutable_contacts()));
    for (Contact& contact : *changed.mutable_contacts()) {
      *response.add_entries()->mutable_contact() = std::move(contact);
    }
    return {};
  }

  Status add_messages(Call& call, bool first, Snapshot& snapshot, size_t bytes_max, SyncResponse& response) {
    const size_t used = response.ByteSizeLong();
    if (response.more() || (used + k_messages_bytes_min > bytes_max && response.entries_size() > 1)) {
      response.set_more(true);
      return {};
    }
    internal::InboxSyncRequest sync;
    sync.set_uin(snapshot.uin);
    sync.set_incarnation(snapshot.messages.incarnation);
    sync.set_since(snapshot.messages.version);
    sync.set_first(first);
    sync.set_max_bytes(static_cast<uint32_t>(std::max(bytes_max - std::min(bytes_max, used), size_t{4096})));
    internal::InboxSyncResponse news = TRY(deps_.inbox.sync(call, sync));
    for (Entry& entry : *news.mutable_entries()) *response.add_entries() = std::move(entry);
    if (news.reset() && !first) response.set_reset(true);
    response.set_more(news.more());
    snapshot.messages = {news.incarnation(), news.version()};
    return {};
  }

  Env& env_;
  MessageSyncDeps deps_;
};

}  // namespace

std::unique_ptr<client::MessageSyncService> make_message_sync(Env& env, MessageSyncDeps deps) {
  return std::make_unique<MessageSyncServiceImpl>(env, std::move(deps));
}

}  // namespace hongyan::logic
