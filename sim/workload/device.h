// One device of one person: an app that keeps a session, a snapshot, its history and an outbox, as a real client does.
// It resends with the same client_msg_id until it hears, syncs when it is rung, when it connects and by a timer, and
// never deletes history because of a reset: it asks for what is missing. What it is told it notes in the ledger; what
// no honest server would say it reports at once.
//
// Its coroutines live as long as the run. log_in() and the like wait, and give up only when the run ends.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/client/chat.pb.h"
#include "api/client/friend.pb.h"
#include "api/client/login.pb.h"
#include "api/client/sync.pb.h"
#include "runtime/coro/sync.h"
#include "sim/check/ledger.h"
#include "sim/workload/net.h"
#include "sim/workload/server.h"

namespace hongyan::sim {

// What all devices of a run share.
struct Stage {
  World& world;
  Ledger& ledger;
  Net& net;
  Server& server;
  Mutant mutant;
  runtime::Domain domain;        // Of everything that is a client.
  bool clock_jumped = false;     // Tickets may have expired.
  uint64_t next_connection = 1;
};

struct LocalMessage {
  uint64_t sender = 0;
  std::string client_msg_id;
  uint32_t kind = 0;
  uint64_t position = 0;
  int timeline = 0;     // In which it was last seen.
  bool synced = false;  // By a sync that went on from a snapshot: that never brings it again.
};

struct LocalConversation {
  std::map<std::string, LocalMessage> messages;             // By key.
  std::map<std::pair<int, uint64_t>, std::string> by_position;  // Timeline and position -> key.
};

template <typename Response>
struct Heard {
  bool reached = false;
  Response response;
  Said said;
  bool doubled = false;  // The request may have been executed twice.
  uint32_t code() const { return reached ? response.base().code() : UINT32_MAX; }
  uint32_t error_class() const { return reached ? response.base().class_() : 1; }
};

class Device {
 public:
  Device(Stage& stage, size_t number, std::string user_name, std::string password);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  size_t number() const { return number_; }
  uint64_t uin() const { return uin_; }
  bool logged_in() const { return !ticket_.empty(); }
  int session_timeline() const { return session_timeline_; }
  const std::string& id() const { return id_; }
  const std::string& snapshot() const { return snapshot_; }
  const std::string& ticket() const { return ticket_; }
  const std::map<ConversationKey, LocalConversation>& conversations() const { return conversations_; }
  const std::map<uint64_t, client::Contact>& contacts() const { return contacts_; }
  const std::map<ConversationKey, client::ConversationState>& states() const { return states_; }
  int snapshot_timeline() const { return snapshot_timeline_; }

  // Starts the app: its syncing goes on in the background from now.
  void start();
  void sign_up();
  void log_in();            // From now on it keeps itself logged in.
  bool log_out();           // True: the server said so.
  // A logout of a session that has ended, sent once more: a retry that comes late.
  Heard<client::LogoutResponse> log_out_again(const std::string& old_ticket);
  void set_online(bool online);
  void expect_end_of_session();  // Somebody is ending it: a kick.

  void send(const ConversationKey& conversation, int count);
  bool outbox_empty() const;
  bool settled() const { return !logged_in_wanted_ || (outbox_empty() && connected_ && !gaps_ && holes_.empty()); }
  size_t waiting() const;

  // One request, one answer or none. Fills base; keeps the session in order.
  template <typename Request, typename Response>
  Heard<Response> ask(const char* path, Request request, Duration patience = 6s);
  // Until an answer that is not "try again"; in between it may log in again.
  template <typename Request, typename Response>
  Heard<Response> insist(const char* path, const Request& request);

  // The whole history of a conversation, oldest first, or what refused it.
  // With `known`: the part above it, from `before` down (0: from the newest).
  Result<std::vector<client::Message>> history(const ConversationKey& conversation, uint64_t before = 0, uint64_t known = 0);
  Result<std::vector<client::ConversationState>> list(uint32_t page);
  Result<std::vector<client::Contact>> list_contacts();
  // The newest position it knows there; 0: none.
  uint64_t newest_position(const ConversationKey& conversation) const;

  // For probes: a request with another ticket, device or snapshot than its own.
  Heard<client::SyncResponse> sync_as(const std::string& ticket, const std::string& device_id, const std::string& snapshot);

 private:
  struct Exchange {
    bool done = false;
    std::string bytes;
    Said said;
    runtime::WaitList waiting;
  };
  struct Reply {
    bool reached = false;
    std::string bytes;
    Said said;
    bool doubled = false;
    bool counts = false;  // The server could be reached all the time.
  };

  void note(const std::string& what);
  void pause(Duration least, Duration most);
  Reply exchange(const char* path, const std::string& bytes, Duration patience);
  void count(const Reply& reply, uint32_t error_class);
  void fill_base(client::BaseRequest& base);
  void judge(uint64_t session, const client::BaseResponse& base, const Said& said, const char* path);

  void keep_session();
  bool try_log_in();
  void begin_session(const client::LoginResponse& response, const Said& said, bool doubled);
  void end_session();

  void run_syncer();
  bool connect();
  bool sync();
  bool sync_once(bool& more);
  void apply(const client::SyncResponse& response, const Said& said, bool from_start);
  void begin_round(const Said& said);
  void end_round(const Said& said);
  void take_message(const client::Message& message, const Said& said, bool incremental);
  void check_message(const ConversationKey& conversation, const client::Message& message);
  void take_marker(const client::Marker& marker);
  bool fill_gaps();
  bool fill_holes();

  void run_sender(const ConversationKey& conversation);
  bool send_some(const ConversationKey& conversation, std::deque<client::Message>& box);
  void settle_send(const client::Message& message, const client::Sent& sent, const Said& said);
  void refuse_sends(const ConversationKey& conversation, std::deque<client::Message>& box, size_t count, uint32_t code);

  Stage& stage_;
  const size_t number_;
  const std::string user_name_;
  const std::string password_;
  Random random_;
  std::string id_;

  // What the app keeps on its own disk.
  uint64_t uin_ = 0;
  std::string ticket_;
  std::string refresh_;
  uint32_t epoch_ = 0;
  std::string snapshot_;
  int snapshot_timeline_ = 0;
  int round_timeline_ = -1;    // Of the round of answers that began last from nothing or after a restore,
  int whole_timeline_ = 0;     // and of the last one that came to its end.
  bool reset_heard_ = false;   // In that round.
  bool had_news_ = false;      // A message came since the last start from nothing.
  bool whole_ = false;         // A sync that began from nothing has come to its end.
  uint64_t last_version_ = 0;  // Of the last incremental message row, in the snapshot's timeline.
  std::map<ConversationKey, LocalConversation> conversations_;
  std::map<uint64_t, client::Contact> contacts_;
  // What a marker stands for and history has not brought yet: positions above `known` up to `up_to`.
  struct Hole {
    uint64_t known = 0;
    uint64_t up_to = 0;
  };
  std::map<ConversationKey, Hole> holes_;
  std::map<ConversationKey, client::ConversationState> states_;
  std::map<ConversationKey, std::deque<client::Message>> outbox_;
  std::map<ConversationKey, uint64_t> orders_;
  uint64_t next_message_ = 1;

  // The running app.
  bool online_ = true;
  bool logged_in_wanted_ = false;
  bool connected_ = false;
  uint64_t connection_ = 0;
  bool want_sync_ = false;
  bool gaps_ = false;
  bool logging_in_ = false;
  uint64_t session_ = 0;               // Counts sessions of this device.
  int session_timeline_ = 0;
  bool session_may_end_ = false;
  Time ambiguous_until_{};
  // A logout that may be under way, and its ticket's timeline: a restore opens again what was closed later, so that one
  // from a lost timeline may hit a session that came back.
  Time logout_until_{};
  int logout_timeline_ = 0;
  std::set<ConversationKey> sending_;
  runtime::CondVar news_;              // Anything a coroutine of this device may wait for.
};

// --- templates ---

template <typename Request, typename Response>
Heard<Response> Device::ask(const char* path, Request request, Duration patience) {
  fill_base(*request.mutable_base());
  const uint64_t session = session_;
  const Reply reply = exchange(path, request.SerializeAsString(), patience);
  Heard<Response> heard{.reached = reply.reached, .response = {}, .said = reply.said, .doubled = reply.doubled};
  if (reply.reached) CHECK(heard.response.ParseFromString(reply.bytes));
  count(reply, heard.error_class());
  if (!reply.reached) return heard;
  judge(session, heard.response.base(), reply.said, path);
  if (session == session_ && !ticket_.empty() && !heard.response.base().new_ticket().empty()) {
    ticket_ = heard.response.base().new_ticket();
  }
  return heard;
}

template <typename Request, typename Response>
Heard<Response> Device::insist(const char* path, const Request& request) {
  for (;;) {
    keep_session();
    Heard<Response> heard = ask<Request, Response>(path, request);
    if (heard.error_class() == 0 || heard.error_class() == 5) return heard;
    pause(200ms, 1s);
  }
}

}  // namespace hongyan::sim
