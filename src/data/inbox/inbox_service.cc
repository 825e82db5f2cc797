#include "data/inbox/inbox_service.h"

#include "data/inbox/append.h"
#include "data/inbox/conversation.h"
#include "data/inbox/group_append.h"
#include "data/inbox/group_marker.h"
#include "data/inbox/open_send.h"
#include "data/inbox/retention.h"
#include "data/inbox/sync.h"

namespace hongyan::inbox {

namespace {

using namespace internal;

class InboxServiceImpl : public InboxRoom {
 public:
  InboxServiceImpl(Env& env, InboxDeps deps, InboxConfig config)
      : core_{env, deps.store, std::move(deps.contact_grants), config, deps.presence, std::move(deps.self)},
        open_sends_(core_),
        appender_(core_, open_sends_),
        groups_(core_),
        syncer_(core_),
        conversations_(core_),
        purge_(core_, deps.device),
        workers_(env.scheduler()) {}

  void start() override {
    workers_.spawn("inbox rings", [this] { core_.rings.run(); });
    workers_.spawn("inbox open sends", [this] { open_sends_.run(); });
    workers_.spawn("inbox retention", [this] { purge_.run(); });
  }
  Status stop(Call& call) override {
    core_.rings.stop();
    workers_.cancel();
    return workers_.join(call);
  }
  Status finish_open_sends(Call& call) override { return open_sends_.finish_all(call); }
  Status purge(Call& call) override { return purge_.purge_all(call); }
  void send_rings() override { core_.rings.flush(); }

  Result<AppendResponse> send(Call& call, const AppendRequest& request) override {
    return appender_.send(call, request);
  }
  Result<AppendResponse> append(Call& call, const AppendRequest& request) override {
    return appender_.append(call, request);
  }
  Result<AppendToPeerResponse> append_to_peer(Call& call, const AppendToPeerRequest& request) override {
    return appender_.append_to_peer(call, request);
  }
  Result<InboxSyncResponse> sync(Call& call, const InboxSyncRequest& request) override {
    return syncer_.sync(call, request);
  }
  Result<HeadResponse> head(Call& call, const HeadRequest& request) override { return syncer_.head(call, request); }
  Result<InboxHistoryResponse> history(Call& call, const InboxHistoryRequest& request) override {
    return conversations_.history(call, request);
  }
  Result<ConversationStateResponse> mark_read(Call& call, const InboxMarkReadRequest& request) override {
    return conversations_.mark_read(call, request);
  }
  Result<ConversationStateResponse> set_conversation(Call& call, const InboxSetConversationRequest& request) override {
    return conversations_.set(call, request);
  }
  Result<InboxConversationsResponse> conversations(Call& call, const InboxConversationsRequest& request) override {
    return conversations_.list(call, request);
  }
  Result<ConversationStateResponse> conversation(Call& call, const InboxConversationRequest& request) override {
    return conversations_.get(call, request);
  }
  Result<AppendFromGroupResponse> append_from_group(Call& call, const AppendFromGroupRequest& request) override {
    return request.has_marker() ? append_marker(call, core_, request) : groups_.append(call, request);
  }

 private:
  Core core_;
  OpenSends open_sends_;
  Appender appender_;
  GroupAppender groups_;
  Syncer syncer_;
  Conversations conversations_;
  Purge purge_;
  runtime::Nursery workers_;
};

}  // namespace

std::unique_ptr<InboxRoom> make_inbox(Env& env, InboxDeps deps, InboxConfig config) {
  return std::make_unique<InboxServiceImpl>(env, std::move(deps), config);
}

}  // namespace hongyan::inbox
