#include "access/long_link/proxy.h"

#include <algorithm>
#include <utility>

namespace hongyan::access {

using runtime::Duration;
using runtime::Time;

namespace {

constexpr size_t k_read_bytes = 4096;
constexpr size_t k_read_in_a_row = 64 * 1024;  // Then the others have their turn.
constexpr size_t k_write_bytes = 64 * 1024;
constexpr size_t k_small_bytes = 2048;  // Half a small frame counts against nobody's budget.
constexpr Duration k_close_grace = std::chrono::seconds(2);    // For the other side to read the last words and close first.
constexpr Duration k_finish_limit = std::chrono::seconds(15);  // Longer than any command.

}  // namespace

ProxyConnection::ProxyConnection(ProxyShared& proxy, std::unique_ptr<runtime::Stream> stream, std::string address,
                                 std::string group)
    : proxy_(proxy),
      arrivals_(proxy.env.scheduler()),
      stream_(std::move(stream)),
      context_{.address = std::move(address)},
      notify_(proxy.counters, [this](std::string body) { send(k_cmdid_push, k_seq_push, body); },
              [this] {
                context_.link.identity.reset();
                close();
              }),
      unfinished_(proxy.budget, std::move(group)),
      requests_(proxy.env.scheduler()),
      writer_(proxy.env.scheduler()) {
  proxy_.counters.connections.add(1);
}

ProxyConnection::~ProxyConnection() { proxy_.counters.connections.add(-1); }

void ProxyConnection::run() {
  (void)context_.credit.pass(proxy_.turnstile);
  if (shake_hands()) {
    arrivals_.watch(*stream_);
    read_frames();
  }
  closing_ = true;
  proxy_.links.detach(notify_);
  (void)unfinished_.resize(0);
  // What was asked is finished even if nobody reads the answer: a send is not undone by losing the network.
  Call finish = runtime::background_call(proxy_.env, k_finish_limit);
  (void)requests_.join(finish).ok();
  requests_.cancel_and_join();
  proxy_.links.detach(notify_);  // An identify that was under way.
  reader_ended_ = true;
  news_.notify_all();
  Call last = runtime::background_call(proxy_.env, k_close_grace);
  if (!writer_.join(last).ok()) stream_->close();
  writer_.cancel_and_join();
}

bool ProxyConnection::shake_hands() {
  if (proxy_.tls == nullptr) return true;
  auto tls = proxy_.tls->wrap(std::move(stream_));
  runtime::TlsStream& shaking = *tls;
  stream_ = std::move(tls);
  Call call = runtime::background_call(proxy_.env, proxy_.config.handshake_limit);
  return shaking.handshake(call).ok();
}

void ProxyConnection::read_frames() {
  api::ReadBuffer buffer;
  Time limit = runtime::after(proxy_.env.now(), proxy_.config.idle_limit);
  size_t in_a_row = 0;
  while (!closing_) {
    Call call;
    call.deadline = limit;
    const Result<size_t> count = read_idle(call, buffer);
    if (count.code() == Code::deadline) proxy_.counters.slow.add(1);
    if (!count.ok() || *count == 0) return;  // Connecting and leaving without a word is normal: clients race addresses.
    arrived_ = arrivals_.last();
    const uint64_t before = frames_;
    const bool was_between = parser_.between_frames();
    if (!take(buffer.took(*count))) return drain();
    in_a_row = buffer.filled() ? in_a_row + *count : 0;
    if (in_a_row >= k_read_in_a_row) {
      in_a_row = 0;
      proxy_.env.scheduler().yield();
    }
    if (parser_.between_frames()) {
      limit = runtime::after(proxy_.env.now(), proxy_.config.idle_limit);
    } else if (was_between || frames_ != before) {
      limit = runtime::after(proxy_.env.now(), proxy_.config.frame_limit);
    }
  }
}

// What others know of a link is the ProxyConnection; what is on this stack is known to nobody else.
Result<size_t> ProxyConnection::read_idle(Call& call, api::ReadBuffer& buffer) {
  const runtime::MayPark may_park;
  return arrivals_.read(*stream_, call, buffer.room());
}

// Closing on bytes that are there but unread would reset the connection, and with it the answers on their way.
void ProxyConnection::drain() {
  std::vector<char> buffer(k_read_bytes);
  for (size_t drained = 0; drained < k_frame_bytes_max;) {
    Call call;
    call.deadline = proxy_.env.now();
    const Result<size_t> count = stream_->read(call, buffer);
    if (!count.ok() || *count == 0) return;
    drained += *count;
  }
}

bool ProxyConnection::take(std::string_view bytes) {
  taking_ = true;
  const bool good = take_frames(bytes);
  taking_ = false;
  wake_writer();
  return good;
}

bool ProxyConnection::take_frames(std::string_view bytes) {
  while (auto frame = parser_.take(bytes)) {
    ++frames_;
    if (closing_ || !on_frame(std::move(*frame))) return false;
  }
  const size_t held = parser_.unfinished_bytes();
  if (!parser_.broken() && unfinished_.resize(held > k_small_bytes ? held : 0)) return true;
  proxy_.counters.broken.add(1);
  return false;
}

bool ProxyConnection::on_frame(Frame frame) {
  if (!context_.client_version) context_.client_version = frame.client_version;
  switch (kind_of(frame)) {
    case FrameKind::broken:
      proxy_.counters.broken.add(1);
      return false;
    case FrameKind::noop: {
      Call now;
      send(frame.cmdid, frame.seq, proxy_.logic.answer(now, frame, arrived_, context_, notify_));
      return !closing_;
    }
    case FrameKind::seal: return agree_on_key(frame);
    default: break;
  }
  if (session_) {
    Result<std::string> body = session_->open(frame);
    if (!body.ok()) return refuse_seal(frame, body.status().detail());
    frame.body = std::move(*body);
  } else if (proxy_.config.sealed_only) {
    send(frame.cmdid, frame.seq, proxy_.logic.refusal("this link takes sealed bodies only"));
    return !closing_;
  }
  ++commands_;
  if (!wait_for_room()) return false;
  ++in_flight_;
  requests_.spawn_now("long link request", [this, arrived = arrived_, frame = std::move(frame)]() mutable {
    Call call;
    if (context_.credit.pass(proxy_.turnstile)) arrived = proxy_.env.scheduler().read_clock();  // On purpose: no overload.
    const std::string body = proxy_.logic.answer(call, frame, arrived, context_, notify_);
    --in_flight_;
    fewer_in_flight_.notify_all();
    send(frame.cmdid, frame.seq, body);
    news_.notify_all();
  });
  return !closing_;
}

// Not reading is the one answer that costs a fast client nothing and a hostile one everything.
bool ProxyConnection::wait_for_room() {
  if (in_flight_ < proxy_.config.in_flight_max) return true;
  taking_ = false;  // Answers leave meanwhile.
  wake_writer();
  while (in_flight_ >= proxy_.config.in_flight_max) {
    Call call;
    if (!fewer_in_flight_.wait(call).ok() || closing_) return false;
  }
  arrived_ = proxy_.env.scheduler().read_clock();
  taking_ = true;
  return true;
}

// A hello comes before the first command: what was asked in the clear is not answered under a seal, or the other way round.
bool ProxyConnection::agree_on_key(const Frame& frame) {
  if (session_ || commands_ > 0) return refuse_seal(frame, "a link agrees on a key once, before its first command");
  Result<SealWelcome> made = welcome(proxy_.seal_keys, frame.body, proxy_.env.random_bytes(k_noise_key_bytes));
  if (!made.ok()) return refuse_seal(frame, made.status().detail());
  send(frame.cmdid, frame.seq, made->body);
  session_ = std::move(made->session);
  proxy_.counters.sealed.add(1);
  return !closing_;
}

// Said in the clear where there is no key yet; otherwise the end says it.
bool ProxyConnection::refuse_seal(const Frame& frame, std::string_view why) {
  proxy_.counters.unsealed.add(1);
  if (!session_) send(frame.cmdid, frame.seq, proxy_.logic.refusal(why));
  return false;
}

// Heartbeats carry nothing and stay empty; whatever else leaves a sealed link is sealed.
void ProxyConnection::send(uint32_t cmdid, uint32_t seq, std::string_view body) {
  if (unsent_bytes_ + output_.size() + body.size() > proxy_.config.output_bytes_max) return cut();
  const uint32_t version = context_.client_version.value_or(0);
  if (session_ && !body.empty()) {
    append_frame(output_, version, cmdid, seq, session_->seal(version, cmdid, seq, body));
  } else {
    append_frame(output_, version, cmdid, seq, body);
  }
  wake_writer();
}

void ProxyConnection::cut() {
  proxy_.counters.cut.add(1);
  closing_ = true;
  stream_->close();
  fewer_in_flight_.notify_all();
  news_.notify_all();
}

void ProxyConnection::close() {
  closing_ = true;
  fewer_in_flight_.notify_all();
  news_.notify_all();
  wake_writer();
}

// Mostly the socket takes all of it, at once, when no other answer of this link is on its way: who waits is answered
// before anything else is done. Otherwise a writer collects what is said meanwhile; it lives only while there is
// something to write or to end: an idle link holds one stack, not two.
void ProxyConnection::wake_writer() {
  if (writing_) return news_.notify_all();
  if (!closing_ && !output_.empty()) {
    if (taking_) return;
    if (in_flight_ == 0 && proxy_.tls == nullptr) write_at_once();
  }
  if (reader_ended_ || (output_.empty() && !closing_)) return;
  writing_ = true;
  writer_.spawn("long link writer", [this] {
    write_output();
    writing_ = false;
  });
}

void ProxyConnection::write_at_once() {
  const Result<runtime::Progress> sent = stream_->try_write(output_);
  if (!sent.ok()) {
    output_.clear();
    return stream_->close();
  }
  if (sent->bytes == output_.size()) output_ = {};
  else output_.erase(0, sent->bytes);
}

void ProxyConnection::write_output() {
  Time end = runtime::k_never;
  for (;;) {
    while (!output_.empty()) {
      const std::string output = std::exchange(output_, {});
      unsent_bytes_ = output.size();
      if (!write(output)) return stream_->close();
      unsent_bytes_ = 0;
    }
    if (!closing_ || reader_ended_) return;
    // The reader waits for a client that may never close: some time after the last answer we do.
    if (end == runtime::k_never && in_flight_ == 0) end = runtime::after(proxy_.env.now(), k_close_grace);
    Call call;
    call.deadline = end;
    if (!news_.wait(call).ok()) return stream_->close();
  }
}

bool ProxyConnection::write(std::string_view bytes) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), k_write_bytes))) {
    Call call = runtime::background_call(proxy_.env, proxy_.config.write_limit);
    const Status status = stream_->write(call, bytes.substr(0, k_write_bytes));
    if (status.ok()) continue;
    if (status.code() == Code::deadline) proxy_.counters.cut.add(1);
    return false;
  }
  return true;
}

}  // namespace hongyan::access
