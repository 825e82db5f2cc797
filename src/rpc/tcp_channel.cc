#include "rpc/tcp_channel.h"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "base/check.h"
#include "rpc/frame.h"

namespace hongyan::rpc {

using runtime::Stream;
using namespace std::chrono_literals;

namespace {

constexpr auto k_connect_time_max = 5s;
// A host that vanished sends no reset: after so long without a byte it is asked, after twice so long given up.
constexpr auto k_quiet_time_max = 10s;
// A peer that takes nothing for so long is gone or stuck.
constexpr auto k_write_time_max = 30s;
// Pauses between attempts to connect double between these; a restart takes about a second.
constexpr runtime::Duration k_pause_min = 50ms;
constexpr runtime::Duration k_pause_max = 2s;
// One write; a larger request goes alone.
constexpr size_t k_batch_bytes = 1024 * 1024;

}  // namespace

// A call that waits for its answer; on the caller's stack.
struct TcpChannel::Pending {
  enum class End { none, answered, lost, closed };
  const Call* call = nullptr;
  const MethodInfo* method = nullptr;
  const Message* request = nullptr;
  Message* response = nullptr;
  bool left = false;   // Some of its bytes may be at the server.
  End end = End::none;
  Status status;       // Of an answer.
  runtime::WaitList waiting;

  void finish(End how) {
    end = how;
    waiting.wake_all();
  }
};

// One connection from the attempt to open it to its end. Owned by its coroutine and by the channel.
class TcpChannel::Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(TcpChannel& channel) : channel_(channel), writing_(channel.env_.scheduler()) {}

  void run();
  uint64_t enqueue(Pending& pending);
  void forget(uint64_t call_id) { pending_.erase(call_id); }
  void end_all(Pending::End how);

  bool answered_ever = false;  // By frames of ours: the server works.

 private:
  void read_loop();
  bool still_there();
  bool take(const Frame& frame);
  void finish_answered(const Frame& frame);
  void finish_not_started(uint64_t last_taken);
  void flush();
  void write_loop();
  std::string next_batch();
  void put_request(std::string& batch, uint64_t call_id, Pending& pending);

  TcpChannel& channel_;
  std::unique_ptr<Stream> stream_;  // Null until connected.
  FrameParser parser_;
  uint64_t last_call_id_ = 0;
  std::map<uint64_t, Pending*> pending_;
  std::deque<uint64_t> queue_;      // Call ids that have not left, in order.
  bool draining_ = false;           // The server said goodbye.
  bool over_ = false;
  bool pinged_ = false;             // And nothing has come since.
  bool ping_queued_ = false;
  bool writer_runs_ = false;
  runtime::Nursery writing_;
};

void TcpChannel::Connection::run() {
  Call call = runtime::background_call(channel_.env_, k_connect_time_max);
  auto stream = channel_.env_.network().connect(call, channel_.address_);
  if (stream.ok()) {
    stream_ = std::move(stream).value();
    flush();
    read_loop();
    stream_->close();
  }
  over_ = true;
  writing_.cancel_and_join();
  channel_.lost(*this);
  end_all(Pending::End::lost);
}

void TcpChannel::Connection::end_all(Pending::End how) {
  for (auto& [id, pending] : std::exchange(pending_, {})) pending->finish(how);
}

uint64_t TcpChannel::Connection::enqueue(Pending& pending) {
  pending_.emplace(++last_call_id_, &pending);
  queue_.push_back(last_call_id_);
  flush();
  return last_call_id_;
}

void TcpChannel::Connection::read_loop() {
  while (!(draining_ && pending_.empty())) {
    Call call = runtime::background_call(channel_.env_, k_quiet_time_max);
    const auto space = parser_.space();
    const auto count = stream_->read(call, space);
    if (count.code() == Code::deadline && still_there()) continue;
    if (!count.ok() || *count == 0) return;
    parser_.filled(*count);
    pinged_ = false;
    for (;;) {
      const auto frame = parser_.next();
      if (frame.ok() && !frame->has_value()) break;
      if (!frame.ok() || !take(**frame)) return;
    }
    if (*count == space.size()) channel_.env_.scheduler().yield();  // More is there already: others first.
  }
}

// Nothing came for a while: asks, and gives up when the last question had no answer.
bool TcpChannel::Connection::still_there() {
  if (std::exchange(pinged_, true)) return false;
  ping_queued_ = true;
  flush();
  return true;
}

// False: the server breaks the protocol.
bool TcpChannel::Connection::take(const Frame& frame) {
  answered_ever = true;
  switch (frame.kind) {
    case FrameKind::request: return false;
    case FrameKind::answer: finish_answered(frame); return true;
    case FrameKind::goodbye: finish_not_started(frame.call_id); return true;
    case FrameKind::ping: return false;
    case FrameKind::pong: return true;
  }
  return false;
}

void TcpChannel::Connection::finish_answered(const Frame& frame) {
  const auto found = pending_.find(frame.call_id);
  if (found == pending_.end()) return;  // Nobody waits any more.
  Pending& pending = *found->second;
  if (!pending.left) return;            // An answer to what was never asked.
  pending_.erase(found);
  if (frame.code != Code::ok) {
    pending.status = Status(frame.code, std::string(frame.text));
  } else if (!pending.response->ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) {
    pending.status = Status(Code::internal, "the answer is not a " + pending.response->GetTypeName());
  }
  pending.finish(Pending::End::answered);
}

void TcpChannel::Connection::finish_not_started(uint64_t last_taken) {
  draining_ = true;
  queue_.clear();
  if (channel_.current_.get() == this) channel_.current_.reset();
  std::erase_if(pending_, [last_taken](const auto& entry) {
    Pending& pending = *entry.second;
    if (pending.left && entry.first <= last_taken) return false;
    pending.left = false;
    pending.finish(Pending::End::lost);
    return true;
  });
}

void TcpChannel::Connection::flush() {
  if (stream_ == nullptr || over_ || (queue_.empty() && !ping_queued_) || std::exchange(writer_runs_, true)) return;
  writing_.spawn("rpc channel writes", [this] { write_loop(); });
}

void TcpChannel::Connection::write_loop() {
  while (!over_) {
    const std::string batch = next_batch();
    if (batch.empty()) break;
    Call call = runtime::background_call(channel_.env_, k_write_time_max);
    if (!stream_->write(call, batch).ok()) {
      over_ = true;
      stream_->close();  // Wakes the reader, which ends the connection.
    }
  }
  writer_runs_ = false;
}

std::string TcpChannel::Connection::next_batch() {
  std::string batch;
  if (std::exchange(ping_queued_, false)) put_frame(batch, {.kind = FrameKind::ping});
  while (!queue_.empty() && batch.size() < k_batch_bytes) {
    const auto found = pending_.find(queue_.front());
    if (found != pending_.end()) put_request(batch, found->first, *found->second);
    queue_.pop_front();
  }
  return batch;
}

void TcpChannel::Connection::put_request(std::string& batch, uint64_t call_id, Pending& pending) {
  pending.left = true;
  const Call& call = *pending.call;
  Frame head{.kind = FrameKind::request, .call_id = call_id, .method = pending.method->id, .priority = call.priority,
             .trace = call.trace};
  if (call.deadline != runtime::k_never) head.remaining = call.deadline - channel_.env_.now();
  if (call.ticket != nullptr) head.text = *call.ticket;
  put_frame_head(batch, head, pending.request->ByteSizeLong());
  pending.request->AppendPartialToString(&batch);
}

TcpChannel::TcpChannel(Env& env, std::string address)
    : env_(env), address_(std::move(address)), connections_(env.scheduler()) {}

TcpChannel::~TcpChannel() { CHECK(connections_.live() == 0 && callers_ == 0); }

// A server that never answered is given a pause; one that worked is connected to again at once.
void TcpChannel::lost(Connection& connection) {
  if (current_.get() == &connection) current_.reset();
  if (connection.answered_ever) {
    pause_ = {};
    return;
  }
  pause_ = std::clamp(pause_ * 2, k_pause_min, k_pause_max);
  const auto half = static_cast<uint64_t>(pause_.count() / 2);
  const runtime::Duration jittered(half + env_.random_u64() % (half + 1));  // Many clients of one server must not march.
  not_before_ = after(env_.now(), jittered);
}

Status TcpChannel::attempt(Call& call, const MethodInfo& method, const Message& request, Message& response,
                           Pending& pending) {
  if (closed_) return Status(Code::closed, "the channel is closed");
  if (env_.now() >= call.deadline) return Status(Code::deadline, "no time left to call " + std::string(method.full_name));
  if (current_ == nullptr) {
    if (env_.now() < not_before_) return Status(Code::unavailable, address_ + " was not reachable a moment ago");
    current_ = std::make_shared<Connection>(*this);
    connections_.spawn("rpc channel connection", [connection = current_] { connection->run(); });
  }
  pending.call = &call;
  pending.method = &method;
  pending.request = &request;
  pending.response = &response;
  const std::shared_ptr<Connection> connection = current_;
  const uint64_t call_id = connection->enqueue(pending);
  const Status waited = pending.waiting.wait(call.deadline);
  switch (pending.end) {
    case Pending::End::none: connection->forget(call_id); return waited;
    case Pending::End::answered: return pending.status;
    case Pending::End::closed: return Status(Code::closed, "the channel was closed");
    case Pending::End::lost: break;
  }
  return pending.left ? Status(Code::unknown_outcome, "lost the connection to " + address_ + " after the request left")
                      : Status(Code::unavailable, "no connection to " + address_);
}

Status TcpChannel::call(Call& call, const MethodInfo& method, const Message& request, Message& response) {
  if (request.ByteSizeLong() > k_frame_body_bytes_max) return Status(Code::too_large, "the request is too large");
  if (call.ticket != nullptr && call.ticket->size() > k_ticket_bytes_max) {
    return Status(Code::unauthenticated, "the ticket is too long");
  }
  ++callers_;
  Pending first;
  Status status = attempt(call, method, request, response, first);
  if (first.end == Pending::End::lost && (method.idempotent || !first.left)) {
    Pending second;
    Status again = attempt(call, method, request, response, second);
    // What the first attempt did stays unknown if the second one did not get further.
    if (second.end == Pending::End::answered || (!first.left && again.code() != Code::unavailable)) {
      status = std::move(again);
    }
  }
  if (--callers_ == 0) no_callers_.wake_all();
  return status;
}

void TcpChannel::close() {
  closed_ = true;
  const std::shared_ptr<Connection> connection = current_;
  if (connection != nullptr) connection->end_all(Pending::End::closed);
  connections_.cancel_and_join();
  while (callers_ > 0) no_callers_.wait_uncancellable();
}

}  // namespace hongyan::rpc
