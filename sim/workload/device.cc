#include "sim/workload/device.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "model/error_code.h"
#include "model/kinds.h"
#include "model/limits.h"

namespace hongyan::sim {

namespace {

using namespace client;

constexpr uint32_t k_log_in_again = 3;
constexpr uint32_t k_give_up = 5;
constexpr uint32_t k_bug = 6;
// How long a request of unknown fate may still do something.
constexpr Duration k_afterwards = 20s;

constexpr uint32_t number_of(model::ErrorCode code) { return static_cast<uint32_t>(code); }

ConversationKey key_of(const Conversation& conversation) { return {conversation.type(), conversation.id()}; }
std::string name_of(const ConversationKey& key) { return fmt::format("{}/{}", key.first, key.second); }

}  // namespace

Device::Device(Stage& stage, size_t number, std::string user_name, std::string password)
    : stage_(stage),
      number_(number),
      user_name_(std::move(user_name)),
      password_(std::move(password)),
      random_(stage.world.random_for("device", number)) {
  for (int i = 0; i < 2; ++i) put_u64(id_, random_.next());
}

void Device::note(const std::string& what) { stage_.world.note(fmt::format("d{} {}", number_, what)); }

void Device::pause(Duration least, Duration most) {
  Call call;
  (void)runtime::sleep(call, least + Duration(random_.below(static_cast<uint64_t>((most - least).count()) + 1))).ok();
}

// --- requests ---

Device::Reply Device::exchange(const char* path, const std::string& bytes, Duration patience) {
  Reply reply;
  if (!online_) {
    pause(50ms, 100ms);
    return reply;
  }
  const bool reachable = stage_.server.up() && stage_.net.reachable(number_);
  auto exchange = std::make_shared<Exchange>();
  const auto answer = [exchange](const std::string& answered, const Said& said) {
    if (exchange->done) return;
    exchange->done = true;
    exchange->bytes = answered;
    exchange->said = said;
    exchange->waiting.wake_all();
  };
  const int copies = stage_.net.carry(number_, [this, path = std::string(path), bytes, answer] {
    stage_.server.request(number_, path, bytes, answer);
  });
  const Time until = after(stage_.world.scheduler().now(), patience);
  if (!exchange->done) (void)exchange->waiting.wait(until).ok();
  reply.doubled = copies != 1;
  reply.reached = exchange->done && online_;
  exchange->done = true;  // Whatever comes now comes too late.
  reply.bytes = exchange->bytes;
  reply.said = exchange->said;
  reply.counts = copies > 0 && reachable && stage_.server.up() && stage_.net.reachable(number_);
  return reply;
}

void Device::fill_base(BaseRequest& base) {
  if (base.ticket().empty()) base.set_ticket(ticket_);
  if (base.device_id().empty()) base.set_device_id(id_);
  base.set_device_epoch(epoch_);
  base.set_feature_level(2);
}

// For availability: "try again" is no answer.
void Device::count(const Reply& reply, uint32_t error_class) {
  if (!reply.counts) return;
  ++stage_.ledger.tally.calls;
  if (reply.reached && error_class != 1 && error_class != 2) ++stage_.ledger.tally.calls_answered;
}

// Every answer: is it one that an honest server gives?
void Device::judge(uint64_t session, const BaseResponse& base, const Said& said, const char* path) {
  if (base.code() != 0) note(fmt::format("{} answered {} ({})", path, base.code(), base.debug()));
  if (base.class_() == k_bug) {
    stage_.ledger.violated("no answer is a bug of the server", fmt::format("d{} {}: {} {}", number_, path, base.code(), base.debug()));
  }
  if (base.class_() != k_log_in_again || session != session_ || ticket_.empty()) return;
  const bool explained = session_may_end_ || said.timeline != session_timeline_ || stage_.clock_jumped;
  if (!explained) {
    stage_.ledger.violated("a session ends only when somebody ends it",
                           fmt::format("d{} epoch {} {}: {} {}", number_, epoch_, path, base.code(), base.debug()));
  }
  end_session();
}

// --- session ---

void Device::sign_up() {
  for (;;) {
    RegisterRequest request;
    request.set_user_name(user_name_);
    request.set_password(password_);
    request.set_nickname("Person " + user_name_);
    request.mutable_device()->set_id(id_);
    request.mutable_device()->set_platform(3);
    const auto heard = ask<RegisterRequest, LoginResponse>("register", request);
    if (heard.doubled || !heard.reached) ambiguous_until_ = after(stage_.world.now(), k_afterwards);
    if (heard.reached && heard.code() == 0) {
      begin_session(heard.response, heard.said, heard.doubled);
      logged_in_wanted_ = true;
      return;
    }
    if (heard.error_class() == k_give_up) {
      stage_.ledger.violated("signing up again with the same attempt gives the same account",
                             fmt::format("d{} {}: {}", number_, user_name_, heard.response.base().debug()));
    }
    pause(200ms, 1s);
  }
}

void Device::log_in() {
  logged_in_wanted_ = true;
  news_.notify_all();
  keep_session();
}

void Device::keep_session() {
  while (ticket_.empty() || !logged_in_wanted_ || !online_) {
    Call call;
    call.deadline = after(stage_.world.scheduler().now(), 1s);
    if (!logged_in_wanted_ || !online_ || logging_in_) {
      (void)news_.wait(call).ok();
      continue;
    }
    logging_in_ = true;
    const bool done = try_log_in();
    logging_in_ = false;
    news_.notify_all();
    if (!done) pause(200ms, 1s);
  }
}

bool Device::try_log_in() {
  LoginRequest request;
  request.mutable_base()->set_device_id(id_);
  if (!refresh_.empty()) {
    request.set_refresh(refresh_);
  } else {
    request.mutable_password()->set_user_name(user_name_);
    request.mutable_password()->set_password(password_);
  }
  request.mutable_device()->set_id(id_);
  request.mutable_device()->set_platform(3);
  const auto heard = ask<LoginRequest, LoginResponse>("login", request);
  if (heard.doubled || !heard.reached) ambiguous_until_ = after(stage_.world.now(), k_afterwards);
  if (heard.reached && heard.code() == 0) {
    begin_session(heard.response, heard.said, heard.doubled);
    return true;
  }
  if (heard.error_class() == k_log_in_again || heard.error_class() == k_give_up) {
    // A request under way while the clock jumps is refused for its tickets: the next one passes.
    if (refresh_.empty() && !stage_.clock_jumped) {
      stage_.ledger.violated("who knows the password gets in",
                             fmt::format("d{} {}: {} {}", number_, user_name_, heard.code(), heard.response.base().debug()));
    }
    refresh_.clear();
  }
  return false;
}

void Device::begin_session(const LoginResponse& response, const Said& said, bool doubled) {
  if (uin_ != 0 && uin_ != response.uin()) {
    stage_.ledger.violated("an account keeps its number", fmt::format("d{}: {} was {}", number_, response.uin(), uin_));
  }
  uin_ = response.uin();
  ticket_ = response.ticket();
  refresh_ = response.refresh();
  epoch_ = response.device_epoch();
  ++session_;
  session_timeline_ = said.timeline;
  const bool stale_logout = logout_timeline_ != said.timeline && stage_.world.now() < logout_until_;
  session_may_end_ = doubled || stale_logout || stage_.world.now() < ambiguous_until_;
  connected_ = false;
  want_sync_ = true;
  note(fmt::format("logged in as {} epoch {}", uin_, epoch_));
  news_.notify_all();
}

void Device::end_session() {
  ticket_.clear();
  connected_ = false;
  news_.notify_all();
}

void Device::expect_end_of_session() {
  session_may_end_ = true;
  ambiguous_until_ = after(stage_.world.now(), k_afterwards);
}

bool Device::log_out() {
  logged_in_wanted_ = false;
  if (ticket_.empty()) return false;
  LogoutRequest request;
  session_may_end_ = true;
  logout_timeline_ = session_timeline_;
  logout_until_ = after(stage_.world.now(), k_afterwards);
  const uint64_t session = session_;
  const auto heard = ask<LogoutRequest, LogoutResponse>("logout", request, 1500ms);
  if (session == session_) {
    refresh_.clear();
    end_session();
  }
  return heard.code() == 0;
}

Heard<LogoutResponse> Device::log_out_again(const std::string& old_ticket) {
  LogoutRequest request;
  request.mutable_base()->set_ticket(old_ticket);
  request.mutable_base()->set_device_id(id_);
  logout_until_ = after(stage_.world.now(), k_afterwards);
  const Reply reply = exchange("logout", request.SerializeAsString(), 3s);
  Heard<LogoutResponse> heard{.reached = reply.reached, .response = {}, .said = reply.said, .doubled = reply.doubled};
  if (reply.reached) CHECK(heard.response.ParseFromString(reply.bytes));
  return heard;
}

void Device::set_online(bool online) {
  if (online_ == online) return;
  online_ = online;
  note(online ? "is online" : "is offline");
  if (!online) {
    connected_ = false;
    const uint64_t connection = connection_;
    if (random_.one_in(2)) stage_.net.carry(number_, [this, connection] { stage_.server.disconnect(connection); });
  }
  news_.notify_all();
}

// --- sync ---

void Device::start() {
  stage_.world.scheduler().spawn_in(stage_.domain, "device", [this] { run_syncer(); });
}

void Device::run_syncer() {
  const bool by_rings_alone = stage_.mutant == Mutant::ring_lost;
  for (;;) {
    keep_session();
    if (!connected_) {
      if (!connect()) {
        pause(200ms, 1s);
        continue;
      }
      if (!by_rings_alone) want_sync_ = true;
    }
    if (want_sync_) {
      want_sync_ = false;
      if (!sync()) {
        if (!by_rings_alone) want_sync_ = true;
        pause(100ms, 500ms);
        continue;
      }
    }
    if (gaps_ && !fill_gaps()) {
      pause(100ms, 500ms);
      continue;
    }
    if (!fill_holes()) {
      pause(100ms, 500ms);
      continue;
    }
    if (want_sync_ || !connected_) continue;
    Call call;
    call.deadline = after(stage_.world.scheduler().now(), 8s + Duration(random_.below(8'000'000'000)));
    if (news_.wait(call).code() == Code::deadline && !by_rings_alone) want_sync_ = true;
  }
}

bool Device::connect() {
  const uint64_t connection = stage_.next_connection++;
  const uint64_t session = session_;
  connection_ = connection;
  PollRequest request;
  fill_base(*request.mutable_base());
  auto exchange = std::make_shared<Exchange>();
  const auto answer = [exchange](const std::string& answered, const Said& said) {
    exchange->done = true;
    exchange->bytes = answered;
    exchange->said = said;
    exchange->waiting.wake_all();
  };
  const Server::Link link{
      .ring = [this, connection](const Ring&) {
        if (!online_ || connection != connection_) return;
        want_sync_ = true;
        news_.notify_all();
      },
      .closed = [this, connection] {
        if (connection != connection_) return;
        connected_ = false;
        news_.notify_all();
      }};
  stage_.net.carry(number_, [this, connection, bytes = request.SerializeAsString(), link, answer] {
    stage_.server.connect(number_, connection, bytes, link, answer);
  });
  (void)exchange->waiting.wait(after(stage_.world.scheduler().now(), 5s)).ok();
  if (!exchange->done || !online_) return false;
  PollResponse response;
  CHECK(response.ParseFromString(exchange->bytes));
  judge(session, response.base(), exchange->said, "connect");
  if (response.base().code() != 0 || session != session_) return false;
  connected_ = true;
  return true;
}

bool Device::sync() {
  for (bool more = true; more;) {
    if (!sync_once(more)) return false;
  }
  return true;
}

bool Device::sync_once(bool& more) {
  SyncRequest request;
  request.set_snapshot(snapshot_);
  if (random_.one_in(3)) request.set_max_bytes(4096);
  const bool from_start = snapshot_.empty();
  const auto heard = ask<SyncRequest, SyncResponse>("sync", request);
  if (heard.code() == number_of(model::ErrorCode::bad_snapshot)) {
    stage_.ledger.violated("a device's own snapshot is good", fmt::format("d{}: {}", number_, heard.response.base().debug()));
  }
  if (!heard.reached || heard.code() != 0) return false;
  apply(heard.response, heard.said, from_start);
  more = heard.response.more();
  return true;
}

// A round of answers that begins from nothing or after a restore may repeat itself; one that goes on from where a whole
// round ended may not.
void Device::apply(const SyncResponse& response, const Said& said, bool from_start) {
  const bool restored = said.timeline != whole_timeline_;
  if (from_start || (restored && round_timeline_ != said.timeline)) begin_round(said);
  if (response.reset()) {
    ++stage_.ledger.tally.resets;
    note("reset");
    if (!restored) stage_.ledger.violated("a reset has a cause", fmt::format("d{}", number_));
    reset_heard_ = true;
  }
  const bool fresh = !whole_;
  const uint64_t version_before = last_version_;
  for (const Entry& entry : response.entries()) {
    if (entry.has_contact()) contacts_[entry.contact().uin()] = entry.contact();
    if (entry.has_state()) states_[key_of(entry.state().conversation())] = entry.state();
    if (entry.has_marker()) {
      if (!fresh && entry.marker().version() <= last_version_) {
        stage_.ledger.violated("(a) a device gets rows in the order of its inbox",
                               fmt::format("d{} marker {} behind {}", number_, entry.marker().version(), last_version_));
      }
      if (!fresh) {
        had_news_ = true;
        last_version_ = entry.marker().version();
      }
      take_marker(entry.marker());
    }
    if (!entry.has_message()) continue;
    const Message& message = entry.message();
    if (!fresh) {
      had_news_ = true;
      const bool direct = message.conversation().type() == model::k_conversation_direct;
      const bool back = message.version() <= version_before || message.version() < last_version_ ||
                        (direct && message.version() == last_version_);
      if (back) {
        stage_.ledger.violated("(a) a device gets rows in the order of its inbox",
                               fmt::format("d{} version {} behind {}", number_, message.version(), last_version_));
      }
      last_version_ = message.version();
    }
    take_message(message, said, !fresh);
  }
  snapshot_ = response.snapshot();
  snapshot_timeline_ = said.timeline;
  if (!response.more()) end_round(said);
  note(fmt::format("synced {} entries{}", response.entries_size(), response.more() ? ", more" : ""));
}

void Device::begin_round(const Said& said) {
  round_timeline_ = said.timeline;
  whole_ = false;
  reset_heard_ = false;
  last_version_ = 0;
  holes_.clear();   // Everything is read anew.
  states_.clear();  // Positions of another incarnation mean nothing in this one.
  gaps_ = true;
}

void Device::end_round(const Said& said) {
  if (whole_ || round_timeline_ != said.timeline) return;
  if (said.timeline != whole_timeline_ && had_news_ && !reset_heard_) {
    stage_.ledger.violated("after a restore every device hears of the gap", fmt::format("d{}", number_));
  }
  whole_ = true;
  whole_timeline_ = said.timeline;
}

void Device::take_message(const Message& message, const Said& said, bool incremental) {
  const ConversationKey key = key_of(message.conversation());
  check_message(key, message);
  LocalConversation& conversation = conversations_[key];
  LocalMessage& local = conversation.messages[message.key()];
  const bool known = local.position != 0 && local.timeline == said.timeline;
  if (known && incremental && local.synced) {
    stage_.ledger.violated("a message comes once", fmt::format("d{} {} position {} \"{}\"", number_, name_of(key),
                                                               message.position(), message.client_msg_id()));
  }
  if (known && local.position != message.position()) {
    stage_.ledger.violated("a message has one position", fmt::format("d{} {}: {} and {}", number_, name_of(key),
                                                                    local.position, message.position()));
  }
  std::string& there = conversation.by_position[{said.timeline, message.position()}];
  if (!there.empty() && there != message.key()) {
    stage_.ledger.violated("a position has one message", fmt::format("d{} {} position {}", number_, name_of(key), message.position()));
  }
  there = message.key();
  local = LocalMessage{.sender = message.sender(),
                       .client_msg_id = message.client_msg_id(),
                       .kind = message.kind(),
                       .position = message.position(),
                       .timeline = said.timeline,
                       .synced = incremental || (known && local.synced)};
}

// Nobody gets what was not sent to them, nor other words than were sent.
void Device::check_message(const ConversationKey& conversation, const Message& message) {
  if (message.kind() == model::k_kind_system) return;
  const Send* send = stage_.ledger.find(message.sender(), message.client_msg_id());
  bool good = send != nullptr && send->content == message.content();
  if (good && conversation.first == model::k_conversation_group) good = send->conversation == conversation;
  if (good && conversation.first == model::k_conversation_direct) {
    const uint64_t to = message.sender() == uin_ ? conversation.second : uin_;
    const uint64_t other = message.sender() == uin_ ? to : message.sender();
    good = send->conversation == ConversationKey{model::k_conversation_direct, to} && other == conversation.second;
  }
  if (!good) {
    stage_.ledger.violated("nobody receives what was not sent to them",
                           fmt::format("d{} {}: {} of {}", number_, name_of(conversation), message.client_msg_id(), message.sender()));
  }
}

// "New up to n": the rows come by history. What was known when the first of several markers came bounds them all.
void Device::take_marker(const Marker& marker) {
  const ConversationKey key = key_of(marker.conversation());
  const uint64_t known = newest_position(key);
  Hole& hole = holes_.try_emplace(key, Hole{.known = known, .up_to = 0}).first->second;
  hole.up_to = std::max(hole.up_to, marker.up_to());
  ++stage_.ledger.tally.markers;
}

bool Device::fill_holes() {
  while (!holes_.empty()) {
    const auto [key, hole] = *holes_.begin();
    if (hole.up_to > hole.known && !history(key, hole.up_to + 1, hole.known).ok()) return false;
    holes_.erase(key);
  }
  return true;
}

// After a start from nothing or a reset: everything that history has.
bool Device::fill_gaps() {
  const auto states = list(200);  // One page: nothing moves between pages.
  if (!states.ok()) return false;
  for (const ConversationState& state : *states) {
    if (!history(key_of(state.conversation())).ok()) return false;
  }
  gaps_ = false;
  return true;
}

Result<std::vector<Message>> Device::history(const ConversationKey& conversation, uint64_t before, uint64_t known) {
  std::vector<Message> all;
  for (bool more = true; more;) {
    HistoryRequest request;
    request.mutable_conversation()->set_type(conversation.first);
    request.mutable_conversation()->set_id(conversation.second);
    request.set_before_position(all.empty() ? before : all.back().position());
    request.set_limit(20);
    const auto heard = ask<HistoryRequest, HistoryResponse>("history", request);
    if (!heard.reached) return Status(Code::unavailable, "no answer");
    // A group that a restore has undone may still be listed because somebody pinned it.
    if (heard.code() == number_of(model::ErrorCode::not_member)) return std::vector<Message>();
    if (heard.code() != 0) return Status(static_cast<Code>(heard.code()), heard.response.base().debug());
    for (const Message& message : heard.response.messages()) {
      if (!all.empty() && message.position() >= all.back().position()) {
        stage_.ledger.violated("history pages go down", fmt::format("d{} {}", number_, name_of(conversation)));
        return Status(Code::internal, "pages");
      }
      take_message(message, heard.said, false);
      all.push_back(message);
    }
    more = heard.response.more() && heard.response.messages_size() > 0 && all.back().position() > known;
  }
  std::reverse(all.begin(), all.end());
  return all;
}

Result<std::vector<ConversationState>> Device::list(uint32_t page) {
  std::vector<ConversationState> all;
  for (bool more = true; more;) {
    ListConversationsRequest request;
    request.set_before_version(all.empty() ? 0 : all.back().version());
    request.set_limit(page);
    const auto heard = ask<ListConversationsRequest, ListConversationsResponse>("conversation/list", request);
    if (!heard.reached || heard.code() != 0) return Status(Code::unavailable, "no answer");
    for (const ConversationState& state : heard.response.conversations()) all.push_back(state);
    more = heard.response.more() && heard.response.conversations_size() > 0;
  }
  return all;
}

Result<std::vector<Contact>> Device::list_contacts() {
  ListContactsRequest request;
  request.set_limit(500);
  std::vector<Contact> all;
  Heard<ListContactsResponse> heard = ask<ListContactsRequest, ListContactsResponse>("contact/list", request);
  if (!heard.reached || heard.code() != 0) return Status(Code::unavailable, "no answer");
  for (const Contact& contact : heard.response.contacts()) all.push_back(contact);
  return all;
}

uint64_t Device::newest_position(const ConversationKey& conversation) const {
  uint64_t newest = 0;
  const auto found = conversations_.find(conversation);
  if (found == conversations_.end()) return 0;
  for (const auto& [key, message] : found->second.messages) {
    if (message.timeline == snapshot_timeline_) newest = std::max(newest, message.position);
  }
  return newest;
}

Heard<SyncResponse> Device::sync_as(const std::string& ticket, const std::string& device_id, const std::string& snapshot) {
  SyncRequest request;
  request.mutable_base()->set_ticket(ticket);
  request.mutable_base()->set_device_id(device_id);
  request.set_snapshot(snapshot);
  const Reply reply = exchange("sync", request.SerializeAsString(), 3s);
  Heard<SyncResponse> heard{.reached = reply.reached, .response = {}, .said = reply.said, .doubled = reply.doubled};
  if (reply.reached) CHECK(heard.response.ParseFromString(reply.bytes));
  return heard;
}

// --- sending ---

void Device::send(const ConversationKey& conversation, int count) {
  const auto& known = conversations_[conversation];
  std::vector<std::string> behind;
  for (auto at = known.by_position.rbegin(); at != known.by_position.rend() && behind.size() < 4; ++at) {
    if (at->first.first == snapshot_timeline_) behind.push_back(at->second);
  }
  for (int i = 0; i < count; ++i) {
    Message message;
    message.mutable_conversation()->set_type(conversation.first);
    message.mutable_conversation()->set_id(conversation.second);
    message.set_client_msg_id(fmt::format("{}-{}", number_, next_message_++));
    message.set_client_time_ms(k_birth_utc_ms + runtime::milliseconds(stage_.world.now() - k_birth));
    message.set_kind(model::k_kind_text);
    std::string content = fmt::format("{} says {} ", user_name_, message.client_msg_id());
    content.append(random_.one_in(6) ? random_.below(1500) : 0, 'x');
    message.set_content(content);
    message.set_digest("text");
    stage_.ledger.add_send({.sender = uin_,
                            .client_msg_id = message.client_msg_id(),
                            .conversation = conversation,
                            .content = content,
                            .device = number_,
                            .order = ++orders_[conversation],
                            .behind = behind,
                            .written = {.timeline = snapshot_timeline_, .at = stage_.world.now()},
                            .acked = {},
                            .key = {},
                            .refused = 0});
    outbox_[conversation].push_back(std::move(message));
  }
  note(fmt::format("writes {} to {}", count, name_of(conversation)));
  if (!sending_.insert(conversation).second) return;
  stage_.world.scheduler().spawn_in(stage_.domain, "sender", [this, conversation] { run_sender(conversation); });
}

bool Device::outbox_empty() const { return waiting() == 0; }

size_t Device::waiting() const {
  size_t count = 0;
  for (const auto& [conversation, box] : outbox_) count += box.size();
  return count;
}

// One request in flight per conversation.
void Device::run_sender(const ConversationKey& conversation) {
  std::deque<Message>& box = outbox_[conversation];
  while (!box.empty()) {
    keep_session();
    if (!send_some(conversation, box)) pause(100ms, 1500ms);
  }
  sending_.erase(conversation);
}

bool Device::send_some(const ConversationKey& conversation, std::deque<Message>& box) {
  SendRequest request;
  const size_t batch = random_.one_in(2) ? 1 : 1 + random_.below(model::k_batch_messages_max);
  for (size_t i = 0; i < std::min(batch, box.size()); ++i) *request.add_messages() = box[i];
  const auto heard = ask<SendRequest, SendResponse>("send", request);
  if (!heard.reached) return false;
  for (const Sent& sent : heard.response.sent()) {
    if (box.empty() || sent.client_msg_id() != box.front().client_msg_id()) {
      stage_.ledger.violated("an answer names the messages in their order", fmt::format("d{} {}", number_, sent.client_msg_id()));
      return false;
    }
    const uint32_t error_class = model::error_info(sent.code()).error_class;
    if (sent.code() != 0 && error_class != k_give_up) return false;
    settle_send(box.front(), sent, heard.said);
    box.pop_front();
  }
  if (heard.error_class() == k_give_up && heard.response.sent_size() == 0) {
    refuse_sends(conversation, box, static_cast<size_t>(request.messages_size()), heard.code());
  }
  return heard.error_class() == 0 || heard.error_class() == k_give_up;
}

void Device::settle_send(const Message& message, const Sent& sent, const Said& said) {
  Send* send = stage_.ledger.find(uin_, message.client_msg_id());
  CHECK(send != nullptr);
  if (sent.code() != 0) {
    send->refused = sent.code();
    if (sent.code() == number_of(model::ErrorCode::client_msg_id_reused)) {
      stage_.ledger.violated("a resend is the same message", fmt::format("d{} {}", number_, message.client_msg_id()));
    }
    return;
  }
  send->acked = said;
  send->key = sent.key();
  ++stage_.ledger.tally.messages_acked;
  note(fmt::format("{} acked", message.client_msg_id()));
}

void Device::refuse_sends(const ConversationKey& conversation, std::deque<Message>& box, size_t count, uint32_t code) {
  if (conversation.first == model::k_conversation_direct && code == number_of(model::ErrorCode::not_friend)) {
    const auto& friends = stage_.ledger.friends();
    const auto found = friends.find({std::min(uin_, conversation.second), std::max(uin_, conversation.second)});
    if (found != friends.end() && stage_.ledger.holds(found->second)) {
      stage_.ledger.violated("friends may write to each other", fmt::format("d{} to {}", number_, conversation.second));
    }
  }
  for (size_t i = 0; i < count && !box.empty(); ++i) {
    stage_.ledger.find(uin_, box.front().client_msg_id())->refused = code;
    box.pop_front();
  }
}

}  // namespace hongyan::sim
