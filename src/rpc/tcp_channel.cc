#include "rpc/tcp_channel.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "rpc/frame.h"
#include "runtime/trace/tracer.h"

namespace hongyan::rpc {

using runtime::Stream;
using namespace std::chrono_literals;

namespace {

// A host that vanished sends no reset: after so long without a byte it is asked, after twice so long given up.
constexpr auto k_quiet_time_max = 10s;
// A peer that takes nothing for so long is gone or stuck.
constexpr auto k_write_time_max = 30s;
// Pauses between attempts to connect double between these; a restart takes about a second.
constexpr runtime::Duration k_pause_min = 50ms;
constexpr runtime::Duration k_pause_max = 2s;
// Requests leave at the end of the turn, or at once when there is so much to write: the first ones soon, so that the server
// works on them while the others are written, then ever more in one write.
constexpr size_t k_flush_bytes_min = 6 * 1024;
constexpr size_t k_flush_bytes_max = 64 * 1024;
// One read, on the loop's own stack: most turns bring little, and the pages of a large array are touched one by one
// before it is used. After a read that was full the next are large. And reads in a row before the others have their turn.
constexpr size_t k_read_bytes = 32 * 1024;
constexpr size_t k_large_read_bytes = 128 * 1024;
constexpr int k_reads_in_a_row = 8;
// A call id is a number that only grows, with the call's slot in its low bits.
constexpr int k_slot_bits = 20;
constexpr uint64_t k_slot_mask = (uint64_t{1} << k_slot_bits) - 1;

}  // namespace

// A call that waits for its answer; on the caller's stack.
struct TcpChannel::Pending {
  enum class End { none, answered, lost, closed };
  const Call* call = nullptr;
  const MethodInfo* method = nullptr;
  const Message* request = nullptr;
  Message* response = nullptr;
  Connection* connection = nullptr;  // Null when it is over.
  uint32_t slot = 0;
  bool written = false;              // Stands in the connection's output, or stood there.
  bool left = false;                 // When it is over: some of its bytes may be at the server.
  uint64_t offset = 0;               // Of its first byte in all the connection ever wrote.
  End end = End::none;
  Status status;                     // Of an answer.
  runtime::Coroutine* caller = nullptr;
  Pending* next = nullptr;           // Among those that are not written yet.
  Pending* previous = nullptr;
};

// One connection from the attempt to open it to its end. Kept by its coroutine and by the channel.
class TcpChannel::Connection : private runtime::StreamWatcher, private runtime::TurnStart, private runtime::TurnEnd {
 public:
  explicit Connection(TcpChannel& channel)
      : channel_(channel), scheduler_(channel.env_.scheduler()), output_(channel.blocks_) {
    unwritten_.next = unwritten_.previous = &unwritten_;
  }

  void run();
  void enqueue(Pending& pending);
  // The caller does not wait any more.
  void forget(Pending& pending);
  void end_all(Pending::End how);
  bool open() const { return stream_ != nullptr && !over_; }

  bool answered_ever = false;  // By frames of ours: the server works.
  bool opened_ever = false;    // Somebody took it.

 private:
  struct Slot {
    uint64_t id = 0;
    Pending* pending = nullptr;
  };

  Result<std::unique_ptr<Stream>> connect();
  void keep();
  void on_ready(bool readable, bool writable) override;
  void on_turn_start() override;
  void on_turn_end() override {
    flush_bytes_ = k_flush_bytes_min;
    write_some();
  }
  bool read_some();
  template <size_t buffer_bytes>
  bool read_at_most();
  bool take_frames();
  bool take(const Frame& frame);
  void finish_answered(const Frame& frame);
  void finish_not_started(uint64_t last_taken);
  void write_request(Pending& pending);
  void write_waiting();
  void write_some();
  void stop();
  void finish(Pending& pending, Pending::End how);

  TcpChannel& channel_;
  runtime::Scheduler& scheduler_;
  std::unique_ptr<Stream> stream_;  // Null until connected.
  FrameParser parser_;
  OutputBuffer output_;
  size_t flush_bytes_ = k_flush_bytes_min;
  uint64_t written_bytes_ = 0;  // Of requests, to output_ ...
  uint64_t sent_bytes_ = 0;     // ... and to the stream.
  uint64_t last_number_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  size_t live_ = 0;             // Calls that wait here.
  Pending unwritten_;           // The ring of those whose request waits, until there is a connection or room.
  bool readable_ = false;
  bool much_to_read_ = false;   // The last read was full.
  bool blocked_ = false;        // The stream takes nothing for now.
  bool draining_ = false;       // The server said goodbye.
  bool over_ = false;
  bool pinged_ = false;         // And nothing has come since.
  runtime::Time last_heard_{};
  runtime::Time last_progress_{};
  runtime::WaitList events_;    // Of run().
};

Result<std::unique_ptr<Stream>> TcpChannel::Connection::connect() {
  Call call = runtime::background_call(channel_.env_, channel_.options_.connect_time);
  auto stream = TRY(channel_.env_.network().connect(call, channel_.address_));
  if (channel_.options_.tls == nullptr) return stream;
  auto tls = TRY(channel_.options_.tls->wrap(std::move(stream)));
  TRY(tls->handshake(call));
  return std::unique_ptr<Stream>(std::move(tls));
}

void TcpChannel::Connection::run() {
  auto stream = connect();
  if (stream.ok() && !over_) {
    stream_ = std::move(stream).value();
    opened_ever = true;
    last_heard_ = scheduler_.now();
    stream_->watch(this);
    on_ready(true, false);
    write_waiting();
    keep();
    stream_->close();
  }
  channel_.not_connected_ = stream.ok() ? std::string() : ": " + stream.status().detail();
  over_ = true;
  channel_.lost(*this);
  end_all(Pending::End::lost);
}

// Until the connection is over. Nothing came for a while: asks, and gives up when the last question had no answer.
void TcpChannel::Connection::keep() {
  while (!over_) {
    runtime::Time due = runtime::after(last_heard_, pinged_ ? 2 * k_quiet_time_max : k_quiet_time_max);
    if (blocked_) due = std::min(due, runtime::after(last_progress_, k_write_time_max));
    const Status woken = events_.wait(due);
    if (woken.code() == Code::cancelled) return;
    const runtime::Time now = scheduler_.now();
    if (woken.ok() || over_) continue;
    if (blocked_ && now >= runtime::after(last_progress_, k_write_time_max)) return;
    if (now < runtime::after(last_heard_, pinged_ ? 2 * k_quiet_time_max : k_quiet_time_max)) continue;
    if (std::exchange(pinged_, true)) return;
    const Frame ping{.kind = FrameKind::ping};
    write_frame_head(output_.add(frame_head_bytes(ping)), ping, 0);
    written_bytes_ += frame_head_bytes(ping);
    scheduler_.at_turn_end(*this);
  }
}

void TcpChannel::Connection::stop() {
  over_ = true;
  events_.wake_all();
}

void TcpChannel::Connection::finish(Pending& pending, Pending::End how) {
  pending.end = how;
  pending.left = pending.written && (how == Pending::End::answered || sent_bytes_ > pending.offset);
  forget(pending);
  scheduler_.wake(pending.caller);
}

void TcpChannel::Connection::forget(Pending& pending) {
  slots_[pending.slot].pending = nullptr;
  free_slots_.push_back(pending.slot);
  if (pending.next != nullptr) {
    pending.next->previous = pending.previous;
    pending.previous->next = pending.next;
    pending.next = pending.previous = nullptr;
  }
  pending.connection = nullptr;
  if (--live_ == 0 && draining_) stop();
}

void TcpChannel::Connection::end_all(Pending::End how) {
  for (const Slot& slot : slots_) {
    if (slot.pending != nullptr) finish(*slot.pending, how);
  }
}

void TcpChannel::Connection::enqueue(Pending& pending) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  pending.slot = free_slots_.back();
  free_slots_.pop_back();
  pending.connection = this;
  pending.caller = scheduler_.running();
  slots_[pending.slot].pending = &pending;
  ++live_;
  if (stream_ != nullptr && !blocked_ && !over_) return write_request(pending);
  pending.next = &unwritten_;
  pending.previous = unwritten_.previous;
  pending.previous->next = unwritten_.previous = &pending;
}

void TcpChannel::Connection::write_request(Pending& pending) {
  const Call& call = *pending.call;
  const uint64_t id = ++last_number_ << k_slot_bits | pending.slot;
  slots_[pending.slot].id = id;
  Frame head{.kind = FrameKind::request, .call_id = id, .method = pending.method->id, .priority = call.priority,
             .trace = call.trace, .routing_key = call.routing_key};
  if (call.deadline != runtime::k_never) head.remaining = call.deadline - scheduler_.now();
  if (call.ticket != nullptr) head.text = *call.ticket;
  const size_t body_bytes = pending.request->ByteSizeLong();
  const size_t bytes = frame_head_bytes(head) + body_bytes;
  char* const body = write_frame_head(output_.add(bytes), head, body_bytes);
  pending.request->SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(body));
  pending.written = true;
  pending.offset = written_bytes_;
  written_bytes_ += bytes;
  scheduler_.at_turn_end(*this);
  if (output_.size() < flush_bytes_) return;
  flush_bytes_ = std::min(2 * flush_bytes_, k_flush_bytes_max);
  write_some();
}

void TcpChannel::Connection::write_waiting() {
  while (unwritten_.next != &unwritten_ && !blocked_ && !over_) {
    Pending& pending = *unwritten_.next;
    pending.next->previous = &unwritten_;
    unwritten_.next = pending.next;
    pending.next = pending.previous = nullptr;
    write_request(pending);
  }
}

void TcpChannel::Connection::write_some() {
  while (!output_.empty() && !blocked_ && !over_) {
    const auto sent = stream_->try_write(output_.view());
    if (!sent.ok()) {
      sent_bytes_ = written_bytes_;  // Who knows.
      return stop();
    }
    sent_bytes_ += sent->bytes;
    output_.take(sent->bytes);
    if (!sent->again && !output_.empty()) {
      blocked_ = true;
      last_progress_ = scheduler_.now();
      events_.wake_all();
    }
  }
}

void TcpChannel::Connection::on_ready(bool readable, bool writable) {
  if (readable) readable_ = true;
  if (writable && blocked_) blocked_ = false;
  else if (!readable) return;
  scheduler_.at_turn_start(*this);
}

void TcpChannel::Connection::on_turn_start() {
  if (over_) return;
  if (!blocked_) {
    write_some();
    write_waiting();
  }
  for (int reads = 0; readable_ && !over_; ++reads) {
    if (reads == k_reads_in_a_row) return scheduler_.at_turn_start(*this);
    if (!read_some()) return stop();
  }
}

// False: the connection is over.
bool TcpChannel::Connection::read_some() {
  return much_to_read_ || parser_.rest_bytes() > k_read_bytes / 2 ? read_at_most<k_large_read_bytes>()
                                                                   : read_at_most<k_read_bytes>();
}

template <size_t buffer_bytes>
__attribute__((noinline)) bool TcpChannel::Connection::read_at_most() {
  char buffer[buffer_bytes];
  const bool own = parser_.rest_bytes() > sizeof(buffer) / 2;  // A large frame has its own.
  const size_t kept = own ? 0 : parser_.take_rest(buffer);
  const std::span<char> space = own ? parser_.space() : std::span(buffer).subspan(kept);
  const auto got = stream_->try_read(space);
  if (!got.ok()) return false;
  readable_ = got->again;
  much_to_read_ = got->bytes == space.size();
  if (own) {
    parser_.filled(got->bytes);
  } else {
    parser_.lend({buffer, kept + got->bytes});
  }
  if (got->bytes > 0) {
    last_heard_ = scheduler_.now();
    pinged_ = false;
  }
  const bool good = take_frames();
  parser_.keep();
  return good && !got->ended;
}

bool TcpChannel::Connection::take_frames() {
  for (;;) {
    Frame frame;
    const FrameParser::Taken found = parser_.take(frame);
    if (found == FrameParser::Taken::more_bytes_needed) return true;
    if (found == FrameParser::Taken::broken || !take(frame)) return false;
  }
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
  if (frame.level) {
    channel_.level_.heard(*frame.level, scheduler_.now());
    if (channel_.options_.levels != nullptr) channel_.options_.levels->on_level(*frame.level);
  }
  const size_t index = frame.call_id & k_slot_mask;
  if (index >= slots_.size() || slots_[index].id != frame.call_id || slots_[index].pending == nullptr) {
    return;  // Nobody waits any more, or nobody ever asked.
  }
  Pending& pending = *slots_[index].pending;
  if (!pending.written || sent_bytes_ <= pending.offset) return;  // An answer to what was never asked.
  if (frame.code != Code::ok) {
    pending.status = Status(frame.code, std::string(frame.text));
  } else if (!pending.response->ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) {
    pending.status = Status(Code::internal, "the answer is not a " + pending.response->GetTypeName());
  }
  finish(pending, Pending::End::answered);
}

void TcpChannel::Connection::finish_not_started(uint64_t last_taken) {
  draining_ = true;
  if (channel_.current_.get() == this) channel_.current_.reset();
  for (const Slot& slot : slots_) {
    if (slot.pending == nullptr || (slot.pending->written && slot.id <= last_taken)) continue;
    Pending& pending = *slot.pending;
    finish(pending, Pending::End::lost);
    pending.left = false;
  }
  if (live_ == 0) stop();
}

TcpChannel::TcpChannel(Env& env, std::string address, ChannelOptions options)
    : env_(env), address_(std::move(address)), options_(std::move(options)), connections_(env.scheduler()) {}

TcpChannel::~TcpChannel() { CHECK(connections_.live() == 0 && callers_ == 0); }

bool TcpChannel::connected() const { return current_ != nullptr && current_->open(); }

// A server that never answered is given a pause; one that worked is connected to again at once. So is one that was there,
// the first time: one of several workers died, and another takes the next connection.
void TcpChannel::lost(Connection& connection) {
  if (current_.get() == &connection) current_.reset();
  if (connection.answered_ever) {
    pause_ = {};
    return;
  }
  const bool first = pause_ == runtime::Duration{};
  pause_ = std::clamp(pause_ * 2, k_pause_min, k_pause_max);
  if (first && connection.opened_ever) return;
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
  current_->enqueue(pending);
  Status waited;
  if (pending.end == Pending::End::none) waited = env_.scheduler().park(call.deadline);
  switch (pending.end) {
    case Pending::End::none: pending.connection->forget(pending); return waited;
    case Pending::End::answered: return pending.status;
    case Pending::End::closed: return Status(Code::closed, "the channel was closed");
    case Pending::End::lost: break;
  }
  return pending.left ? Status(Code::unknown_outcome, "lost the connection to " + address_ + " after the request left")
                      : Status(Code::unavailable, "no connection to " + address_ + not_connected_);
}

bool TcpChannel::kept_back(const Call& call) {
  const runtime::Time now = env_.now();
  if (level_.level(now) == k_level_open) return false;
  const std::string_view ticket = call.ticket == nullptr ? std::string_view() : std::string_view(*call.ticket);
  return !level_.may_leave(claimed_priority(ticket, call.priority), now);  // As the server will see it.
}

Status TcpChannel::call(Call& call, const MethodInfo& method, const Message& request, Message& response) {
  if (request.ByteSizeLong() > k_frame_body_bytes_max) return Status(Code::too_large, "the request is too large");
  if (call.ticket != nullptr && call.ticket->size() > k_ticket_bytes_max) {
    return Status(Code::unauthenticated, "the ticket is too long");
  }
  if (options_.honour_level && kept_back(call)) return Status(Code::overloaded, address_ + " is overloaded");
  if (!call.trace.sampled) [[likely]] return make(call, method, request, response);
  Call inner = call;
  auto span = env_.tracer().start(runtime::Span::Kind::client, method.full_name, inner.trace);
  span->peer = address_.substr(0, runtime::Tracer::k_peer_bytes_max);
  const Status status = make(inner, method, request, response);
  env_.tracer().finish(span, status.code(), call.uin);
  return status;
}

Status TcpChannel::make(Call& call, const MethodInfo& method, const Message& request, Message& response) {
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
