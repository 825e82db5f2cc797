#include "rpc/server_connection.h"

#include <utility>

#include "base/check.h"
#include "rpc/json/json.h"
#include "rpc/server_http.h"
#include "runtime/env/run_blocking.h"
#include "runtime/log/log.h"

namespace hongyan::rpc {

using runtime::Progress;
using runtime::Stream;
using runtime::Time;
using namespace std::chrono_literals;

namespace {

// A peer that takes nothing for so long is gone or stuck.
constexpr auto k_write_time_max = 30s;
// Channels ping every 10 s; one that was not heard of for six of these is gone. An idle HTTP connection has as long.
constexpr auto k_quiet_time_max = 60s;
// Bodies of requests that are being handled, per connection; above it they are refused as overload.
constexpr size_t k_in_flight_bytes_max = 64 * 1024 * 1024;
// A peer that sends without reading its answers is not read from any more ...
constexpr size_t k_output_bytes_max = 4 * 1024 * 1024;
// ... and given up when the answers to what was taken before are as many.
constexpr size_t k_output_bytes_end = 64 * 1024 * 1024;
// Answers leave at the end of the turn, or at once when there is so much to write or the first of them has waited for
// so long: a peer could be at work already.
constexpr size_t k_flush_bytes = 64 * 1024;
constexpr auto k_flush_time = 50us;
// A connection that has kept handlers busy for so long gives the others their turn.
constexpr auto k_slice_time = 200us;
constexpr int k_slice_calls = 1024;
// After a goodbye the peer closes first; else unread bytes would reset the connection and destroy answers under way.
constexpr auto k_linger_time_max = 1s;
constexpr size_t k_linger_bytes_max = 1024 * 1024;

bool good_for_limit(Code code) {
  switch (code) {
    case Code::deadline:
    case Code::overloaded:
    case Code::unavailable:
    case Code::internal:
    case Code::io: return false;
    default: return true;
  }
}

}  // namespace

ServerConnection::ServerConnection(ServerState& server, std::unique_ptr<Stream> stream)
    : server_(server), stream_(std::move(stream)), output_(server.blocks) {}

ServerConnection::~ServerConnection() { stream_->close(); }

void ServerConnection::start() {
  last_heard_ = server_.scheduler.now();
  stream_->watch(this);
  plan_alarm();
  on_ready(true, false);  // What came before it was watched is not told.
}

void ServerConnection::on_ready(bool readable, bool writable) {
  if (readable && !readable_) {
    readable_ = true;
    last_read_ = server_.scheduler.read_clock();
  }
  if (writable && blocked_) blocked_ = false;
  else if (!readable) return;
  server_.scheduler.at_turn_start(*this);
}

void ServerConnection::on_turn_start() {
  in_turn_ = true;
  server_.read_clock();
  if (!blocked_) write_some();
  take_input();
  if (in_flight_ == 0) write_some();  // Nothing more will join it in this turn: the peer need not wait for the others.
  in_turn_ = false;
  settle();
}

void ServerConnection::on_turn_end() {
  write_some();
  settle();
}

bool ServerConnection::stops_reading() const {
  return broken_ || closing_ || output_.size() > k_output_bytes_max || (http_ != nullptr && http_->busy());
}

void ServerConnection::resume_reading() { server_.scheduler.at_turn_start(*this); }

void ServerConnection::take_input() {
  const Time slice_end = runtime::after(server_.clock, k_slice_time);
  while (lingering_ && readable_) {
    if (!read_more()) return;
  }
  while (!stops_reading()) {
    const Parsed parsed = parse(slice_end);
    if (parsed == Parsed::broken || broken_) return;
    if (parsed == Parsed::out_of_time) {
      server_.scheduler.at_turn_start(*this);
      break;
    }
    if (parsed == Parsed::paused || !readable_) break;
    if (!read_more()) break;
  }
  if (closing_) {
    parser_.drop();
  } else {
    parser_.keep();
  }
}

// Bytes go to the buffer that all connections share, behind what is left of an unfinished frame; a large frame has its
// own. False: nothing more comes.
bool ServerConnection::read_more() {
  const bool shared = http_ != nullptr || lingering_ || parser_.rest_bytes() <= k_scratch_bytes / 2;
  size_t kept = 0;
  std::span<char> space;
  if (shared) {
    if (http_ == nullptr && !lingering_) kept = parser_.take_rest(server_.scratch.get());
    space = std::span(server_.scratch.get() + kept, k_scratch_bytes - kept);
  } else {
    space = parser_.space();
  }
  const auto got = stream_->try_read(space);
  if (!got.ok()) {
    lose();
    return false;
  }
  // What a connection that is never drained gives came after the read before.
  arrived_ = std::exchange(last_read_, server_.clock);
  readable_ = got->again;
  if (got->ended) ended_ = true;
  if (got->bytes > 0) last_heard_ = server_.clock;
  if (lingering_) {
    lingered_bytes_ += got->bytes;
    if (ended_ || lingered_bytes_ > k_linger_bytes_max) lose();
    return !broken_;
  }
  if (http_ != nullptr) {
    http_->feed({space.data(), got->bytes});
    plan_alarm();
  } else if (shared) {
    parser_.lend({server_.scratch.get(), kept + got->bytes});
  } else {
    parser_.filled(got->bytes);
  }
  return !ended_;
}

ServerConnection::Parsed ServerConnection::parse(Time slice_end) {
  if (!protocol_known_) {
    if (!choose_protocol(parser_.rest())) return broken_ ? Parsed::broken : Parsed::all;
    protocol_known_ = true;
    if (http_ != nullptr) {
      http_->feed(parser_.rest());
      parser_.drop();
      plan_alarm();
    }
  }
  return http_ != nullptr ? http_->advance(slice_end) : parse_frames(slice_end);
}

// False: it takes more bytes to know, or no bytes could help. Methods of HTTP begin with capital letters, HEAD too.
bool ServerConnection::choose_protocol(std::string_view bytes) {
  if (bytes.empty() || bytes == "H") return false;
  if (bytes.starts_with("HY")) return true;
  if (server_.options.http && bytes[0] >= 'A' && bytes[0] <= 'Z') {
    http_ = std::make_unique<HttpConversation>(*this, server_.options.http_limits);
    return true;
  }
  refuse_bytes();
  return false;
}

void ServerConnection::refuse_bytes() {
  server_.env.log().warning("rpc: a peer sent what is no request; closed", {{"peer", stream_->peer()}});
  lose();
}

ServerConnection::Parsed ServerConnection::parse_frames(Time slice_end) {
  for (int taken = 0; !stops_reading(); ++taken) {
    if (taken == k_slice_calls || server_.clock >= slice_end) return Parsed::out_of_time;
    Frame frame;
    const FrameParser::Taken found = parser_.take(frame);
    if (found == FrameParser::Taken::more_bytes_needed) return Parsed::all;
    if (found == FrameParser::Taken::broken || !take(frame)) {
      refuse_bytes();
      return Parsed::broken;
    }
    if (!output_.empty() && !blocked_ && server_.clock - last_progress_ > k_flush_time) write_some();
  }
  return Parsed::paused;
}

// False: the peer breaks the protocol.
bool ServerConnection::take(const Frame& frame) {
  if (frame.kind == FrameKind::ping) {
    put_plain({.kind = FrameKind::pong});
    return true;
  }
  if (frame.kind != FrameKind::request || frame.call_id <= last_taken_) return false;
  last_taken_ = frame.call_id;
  ServerTarget* const target = server_.find(frame.method);
  if (target == nullptr) {
    put_answer(frame.call_id, Code::unsupported, "unknown method", nullptr, 0);
    return true;
  }
  Call call;
  if (frame.remaining) call.deadline = runtime::after(arrived_, *frame.remaining);
  call.trace = frame.trace;
  call.priority = frame.priority;
  call.routing_key = frame.routing_key;
  Asked asked{.target = *target, .id = frame.call_id, .call = std::move(call), .ticket = frame.text,
                    .body = frame.body, .remaining = frame.remaining};
  const Refusal refusal = start_call(asked);
  if (refusal.code == Code::ok) return true;
  put_answer(frame.call_id, refusal.code, refusal.owned.empty() ? refusal.why : refusal.owned, nullptr, 0);
  refused(asked, refusal);
  return true;
}

void ServerConnection::put_plain(const Frame& frame) {
  write_frame_head(output_.add(frame_head_bytes(frame)), frame, 0);
  added();
}

void ServerConnection::put_answer(uint64_t id, Code code, std::string_view detail, const Message* body, size_t body_bytes) {
  Frame head{.kind = FrameKind::answer, .call_id = id, .code = code, .text = detail.substr(0, k_frame_detail_bytes_max)};
  if (server_.options.admission != nullptr) head.level = server_.options.admission->level();
  char* const start = output_.add(frame_head_bytes(head) + body_bytes);
  char* const behind_head = write_frame_head(start, head, body_bytes);
  if (body != nullptr) {
    const auto* end = body->SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(behind_head));
    CHECK(reinterpret_cast<const char*>(end) == behind_head + body_bytes);
  }
  added();
}

ServerConnection::Refusal ServerConnection::start_call(Asked& asked) {
  ServerState& server = server_;
  const MethodInfo& method = *asked.target.method;
  Admission* const admission = server.options.admission;
  Interceptor* const interceptor = asked.target.served.interceptor;
  if (interceptor == nullptr) {
    const Claim claim = claim_of(asked.ticket, asked.call.priority);
    asked.call.priority = claim.priority;
    asked.call.uin = claim.uin;
  } else {
    asked.call.priority = interceptor->priority(asked.ticket, asked.call.priority);
  }
  server.tracer.begin(asked.call.trace, runtime::Tracer::From::deployment);
  const Arrival arrival{.method = method, .priority = asked.call.priority, .ticket = asked.ticket,
                        .routing_key = asked.call.routing_key, .remaining = asked.remaining, .arrived = arrived_,
                        .now = server.clock};
  if ((asked.remaining && *asked.remaining <= 0s) || server.clock >= asked.call.deadline) {
    if (admission != nullptr) admission->late(arrival);
    return {.code = Code::deadline, .why = "late before it started"};
  }
  if (in_flight_ >= server.options.in_flight_max || in_flight_bytes_ + asked.body.size() > k_in_flight_bytes_max) {
    return {.code = Code::overloaded, .why = "too many calls in flight on this connection"};
  }
  if (!asked.target.limit.enter()) return {.code = Code::overloaded, .why = "too many calls of this method at a time"};
  if (admission != nullptr) {
    const auto verdict = admission->ask(arrival);
    if (verdict.code != Code::ok) {
      asked.target.limit.abandon();
      return {.code = verdict.code, .why = verdict.why};
    }
  }
  auto one = server.take_call(asked.target);
  const bool large = asked.json && asked.body.size() > k_json_bytes_inline_max;
  if (large) one->large_json = asked.body;
  const Status parsed = large ? Status()
                        : asked.json ? message_from_json(asked.body, *one->request)
                        : one->request->ParseFromArray(asked.body.data(), static_cast<int>(asked.body.size()))
                            ? Status()
                            : Status(Code::invalid, "the body is not a " + one->request->GetTypeName());
  one->record = {.method = &method, .index = asked.target.index, .call = &one->call, .arrived = arrived_,
                 .request_bytes = asked.body.size(), .http = asked.http, .stream = stream_.get()};
  if (!parsed.ok()) {
    server.give_back(std::move(one));
    asked.target.limit.abandon();
    if (admission != nullptr) {  // It was let in.
      admission->started(method, server.clock - arrived_);
      admission->ended(method, {}, parsed.code());
    }
    return {.code = parsed.code(), .owned = parsed.detail()};
  }
  one->connection = this;
  one->id = asked.id;
  one->json = asked.json;
  one->call = asked.call;
  one->call.ticket = server.ticket(asked.ticket);
  ++in_flight_;
  ++calls_;
  in_flight_bytes_ += asked.body.size();
  server.enter(*one);
  ServerCall* const raw = one.release();
  server.scheduler.spawn_now("rpc server handles", [raw] { raw->connection->handle(*raw); });
  return {};
}

void ServerConnection::refused(const Asked& asked, const Refusal& refusal) {
  if (server_.options.observer == nullptr) return;
  CallRecord record{.method = asked.target.method, .index = asked.target.index, .call = &asked.call, .arrived = arrived_,
                    .started = server_.clock, .ended = server_.clock, .request_bytes = asked.body.size(),
                    .code = refusal.code, .http = asked.http,
                    .detail = refusal.owned.empty() ? refusal.why : refusal.owned, .stream = stream_.get()};
  server_.options.observer->on_end(record);
}

// The body of the call's coroutine. What it was given stays as it is until finish().
void ServerConnection::handle(ServerCall& one) {
  ServerState& server = server_;
  const MethodInfo& method = *one.target->method;
  one.coroutine = server.scheduler.running();
  one.record.started = server.clock;
  one.record.handled = true;
  if (server.options.admission != nullptr) {
    server.options.admission->started(method, one.record.started - one.record.arrived);
  }
  one.span = server.tracer.start(runtime::Span::Kind::server, method.full_name, one.call.trace);
  if (server.options.observer != nullptr) server.options.observer->on_start(one.record, one.call);
  Interceptor* const interceptor = one.target->served.interceptor;
  Status status;
  if (!one.large_json.empty()) [[unlikely]] status = parse_large(one);
  if (interceptor != nullptr && status.ok()) status = interceptor->before(one.call, method, *one.request);
  if (status.ok()) status = one.target->served.service->handle(one.call, method, *one.request, *one.response);
  server.read_clock();
  finish(one, status);
}

// Megabytes would hold everybody up for as long as a call may wait.
Status ServerConnection::parse_large(ServerCall& one) {
  const std::string body = std::move(one.large_json);
  one.large_json.clear();
  Status parsed = runtime::run_blocking(server_.env, [&] { return message_from_json(body, *one.request); });
  server_.read_clock();
  return parsed;
}

// The connection may be gone afterwards.
void ServerConnection::finish(ServerCall& one, const Status& status) {
  ServerState& server = server_;
  one.coroutine = nullptr;
  if (!broken_) one.record.answer_bytes = one.record.http ? http_->answer(one, status) : answer(one, status);
  CallRecord& record = one.record;
  record.ended = server.clock;
  record.code = status.code();
  record.detail = status.detail();
  server.tracer.finish(one.span, record.code, one.call.uin);
  one.target->limit.leave(record.ended, record.ended - record.started, good_for_limit(record.code));
  if (server.options.admission != nullptr) {
    server.options.admission->ended(*record.method, record.ended - record.started, record.code);
  }
  if (server.options.observer != nullptr) server.options.observer->on_end(record);
  server.leave(one);
  --in_flight_;
  in_flight_bytes_ -= record.request_bytes;
  server.give_back(std::unique_ptr<ServerCall>(&one));
  if (!in_turn_) settle();
}

size_t ServerConnection::answer(ServerCall& one, const Status& status) {
  if (!status.ok()) {
    put_answer(one.id, status.code(), status.detail(), nullptr, 0);
    return 0;
  }
  const size_t body_bytes = one.response->ByteSizeLong();
  if (body_bytes > k_frame_body_bytes_max) {
    put_answer(one.id, Code::too_large, "the answer is too large", nullptr, 0);
    return 0;
  }
  put_answer(one.id, Code::ok, {}, one.response.get(), body_bytes);
  return body_bytes;
}

// After output_ has grown.
void ServerConnection::added() {
  if (broken_ || blocked_) {
    if (output_.size() > k_output_bytes_end) lose();
    return;
  }
  if (output_.size() >= k_flush_bytes) return write_some();
  last_progress_ = server_.clock;
  server_.scheduler.at_turn_end(*this);
}

void ServerConnection::write_some() {
  while (!output_.empty() && !broken_ && !blocked_) {
    const auto sent = stream_->try_write(output_.view());
    if (!sent.ok()) return lose();
    if (sent->bytes > 0) last_progress_ = server_.clock;
    output_.take(sent->bytes);
    if (!sent->again && !output_.empty()) {
      blocked_ = true;
      last_progress_ = server_.scheduler.now();
      plan_alarm();
    }
  }
  if (!in_turn_ && !stops_reading() && (readable_ || parser_.rest_bytes() > 0)) resume_reading();
}

void ServerConnection::lose() {
  if (std::exchange(broken_, true)) return;
  output_.clear();
  stream_->close();
}

void ServerConnection::begin_close() {
  if (std::exchange(closing_, true)) return;
  if (http_ == nullptr && protocol_known_) {
    put_plain({.kind = FrameKind::goodbye, .call_id = last_taken_});
  } else if (http_ == nullptr || !http_->busy()) {
    if (output_.empty()) lose();  // It has asked for nothing, and there is no way to say so.
  }
  if (!in_turn_) settle();
}

void ServerConnection::abort() {
  lose();
  if (!in_turn_) settle();
}

// Ends the connection when nothing is left to do for it. It may be gone afterwards.
void ServerConnection::settle() {
  if (!broken_ && in_flight_ == 0 && output_.empty() && !lingering_) {
    if (ended_) {
      lose();
    } else if (closing_) {
      lingering_ = true;
      linger_until_ = runtime::after(server_.scheduler.now(), k_linger_time_max);
      plan_alarm();
      if (readable_) resume_reading();
    }
  }
  if (broken_ && in_flight_ == 0) server_.remove(*this);
}

// When to look at this connection again if nothing happens to it.
void ServerConnection::plan_alarm() {
  if (broken_) return;
  Time due = runtime::k_never;
  const auto at = [&due](Time time) { due = std::min(due, time); };
  if (lingering_) at(linger_until_);
  if (blocked_) at(runtime::after(last_progress_, k_write_time_max));
  if (http_ != nullptr) at(http_->due());
  if (!ended_ && (http_ == nullptr || in_flight_ == 0)) at(runtime::after(last_heard_, k_quiet_time_max));
  if (due == runtime::k_never) due = runtime::after(server_.scheduler.now(), k_quiet_time_max);
  server_.set_alarm(*this, due);
}

void ServerConnection::on_alarm() {
  const Time now = server_.scheduler.now();
  if (broken_) return;
  if ((lingering_ && now >= linger_until_) || (blocked_ && now >= runtime::after(last_progress_, k_write_time_max))) {
    lose();
  } else if (http_ != nullptr && now >= http_->due()) {
    http_->answer_timeout();
  } else if ((http_ == nullptr || in_flight_ == 0) && now >= runtime::after(last_heard_, k_quiet_time_max)) {
    ended_ = true;
    closing_ = true;  // Nothing that comes now is taken.
  }
  plan_alarm();
  settle();
}

Server::Peer ServerConnection::describe() const {
  return {.address = stream_->peer(), .http = http_ != nullptr, .calls = calls_, .in_flight = in_flight_,
          .unsent_bytes = output_.size(), .quiet = server_.scheduler.now() - last_heard_};
}

}  // namespace hongyan::rpc
