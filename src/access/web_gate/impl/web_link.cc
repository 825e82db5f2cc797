#include "access/web_gate/impl/web_link.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/json/json.h"

namespace hongyan::access {

using runtime::Duration;
using runtime::Time;

namespace {

constexpr size_t k_read_in_a_row = 64 * 1024;  // Then the others have their turn.
constexpr size_t k_name_bytes_max = 64;  // Ids that clients choose, command paths.
constexpr Duration k_close_grace = std::chrono::seconds(2);  // For the other side to read why, before the socket goes.
constexpr Duration k_finish_limit = std::chrono::seconds(15);  // Longer than any command but a poll.

constexpr uint16_t k_close_going_away = 1001;
constexpr uint16_t k_close_bad_data = 1007;
constexpr uint16_t k_close_try_later = 1013;
constexpr uint16_t k_close_logged_out = 4001;
constexpr uint16_t k_close_superseded = 4002;

struct Frame {
  std::string_view id;
  std::string_view path;
  std::string_view body = "{}";
};

Result<Frame> parse_frame(std::string_view text) {
  Frame frame;
  for (const auto& [name, value] : TRY(api::json_members(text))) {
    if (name == "id") frame.id = TRY(api::plain_string(value));
    if (name == "path") frame.path = TRY(api::plain_string(value));
    if (name == "body") frame.body = value;
  }
  if (frame.id.empty() || frame.id.size() > k_name_bytes_max) return Status(Code::invalid, "id");
  if (frame.path.empty() || frame.path.size() > k_name_bytes_max) return Status(Code::invalid, "path");
  return frame;
}

}  // namespace

WebLink::WebLink(Env& env, const WebGateConfig& config, WebCommands& commands, api::LinkTable& links, WebCounters& counters,
                 api::Budget& budget, runtime::Stream& stream, api::Arrivals& arrivals, api::Turnstile& turnstile,
                 api::Credit& credit, std::string address, std::string group)
    : env_(env),
      config_(config),
      commands_(commands),
      links_(links),
      counters_(counters),
      stream_(stream),
      arrivals_(arrivals),
      turnstile_(turnstile),
      credit_(credit),
      address_(std::move(address)),
      codec_(config.http.body_bytes),
      unfinished_(budget, std::move(group)),
      requests_(env.scheduler()),
      writer_(env.scheduler()) {
  counters_.links.add(1);
}

WebLink::~WebLink() { counters_.links.add(-1); }

void WebLink::run(std::string early) {
  read_frames(std::move(early));
  links_.detach(*this);
  // What was asked is finished even if nobody reads the answer: a send is not undone by closing a tab.
  Call finish = runtime::background_call(env_, k_finish_limit);
  (void)requests_.join(finish).ok();
  requests_.cancel_and_join();
  links_.detach(*this);  // An identify that was under way.
  reader_ended_ = true;
  reader_end_.notify_all();
  Call last = runtime::background_call(env_, k_close_grace);
  if (!writer_.join(last).ok()) stream_.close();
  writer_.cancel_and_join();
}

void WebLink::read_frames(std::string early) {
  arrived_ = env_.scheduler().read_clock();
  if (!early.empty()) feed(early);
  api::ReadBuffer buffer;
  size_t in_a_row = 0;
  Time last_read = env_.now();
  Time next_ping = runtime::after(last_read, config_.ping);
  for (;;) {
    Call call;
    call.deadline = std::min(next_ping, runtime::after(last_read, config_.idle_limit));
    const Result<size_t> count = read_idle(call, buffer);
    if (count.code() == Code::deadline) {
      if (env_.now() >= runtime::after(last_read, config_.idle_limit)) {
        counters_.slow.add(1);
        return close(k_close_going_away, "idle");
      }
      next_ping = runtime::after(env_.now(), config_.ping);
      codec_.ping();
      wake_writer();
      continue;
    }
    if (!count.ok() || *count == 0) return;
    last_read = env_.now();
    arrived_ = arrivals_.last();
    feed(buffer.took(*count));
    in_a_row = buffer.filled() ? in_a_row + *count : 0;
    if (in_a_row >= k_read_in_a_row) {
      in_a_row = 0;
      env_.scheduler().yield();
    }
    if (codec_.close_received()) return;
  }
}

// What others know of a link is the WebLink and its Connection; what is on this stack is known to nobody else.
Result<size_t> WebLink::read_idle(Call& call, api::ReadBuffer& buffer) {
  const runtime::MayPark may_park;
  return arrivals_.read(stream_, call, buffer.room());
}

void WebLink::feed(std::string_view bytes) {
  codec_.feed(bytes, [this](std::string text) { on_text(std::move(text)); });
  if (!unfinished_.resize(codec_.unfinished_bytes() + long_bytes_)) codec_.close(k_close_try_later, "too much unfinished");
  wake_writer();
}

void WebLink::on_text(std::string text) {
  if (codec_.closed()) return;
  const Result<Frame> frame = parse_frame(text);
  if (!frame.ok()) return codec_.close(k_close_bad_data, "not a frame");
  if (!commands_.known(frame->path)) {
    return answer(frame->id, commands_.refusal({Code::unsupported, "no such command"}));
  }
  if (in_flight_ >= config_.link_requests_max) {
    return answer(frame->id, commands_.refusal({Code::overloaded, "too many requests in flight on this link"}));
  }
  ++in_flight_;
  std::string id(frame->id), path(frame->path), body(frame->body);
  const size_t long_bytes = body.size() > WebCommands::k_short_bytes_max ? body.size() : 0;
  long_bytes_ += long_bytes;
  requests_.spawn("web request", [this, long_bytes, arrived = arrived_, id = std::move(id), path = std::move(path),
                                  body = std::move(body)]() mutable {
    Call call;
    if (credit_.pass(turnstile_)) arrived = env_.scheduler().read_clock();  // Kept waiting on purpose: that is no overload.
    const api::Origin origin{.address = address_, .link = &link_, .arrived = arrived, .credit = &credit_};
    const std::string json = commands_.run(call, path, body, origin, this);
    --in_flight_;
    long_bytes_ -= long_bytes;
    (void)unfinished_.resize(codec_.unfinished_bytes() + long_bytes_);  // Less: that always works.
    answer(id, json);
  });
}

void WebLink::answer(std::string_view id, std::string_view body) {
  send(fmt::format("{{\"id\":\"{}\",\"body\":{}}}", id, body));
}

void WebLink::send(std::string_view text) {
  if (cut_) return;
  if (unsent_bytes_ + codec_.output_bytes() + text.size() > config_.link_output_bytes_max) return cut();
  codec_.send_text(text);
  wake_writer();
}

void WebLink::ring(const client::Ring& ring) {
  Result<std::string> json(Status(Code::internal, "not converted"));
  env_.scheduler().run_on_thread_stack([&] { json = api::json_from_message(ring); });
  if (json.ok()) send(fmt::format("{{\"ring\":{}}}", *json));
}

void WebLink::close_link(api::CloseReason reason) {
  link_.identity.reset();
  if (reason == api::CloseReason::logged_out) return close(k_close_logged_out, "logged out");
  close(k_close_superseded, "superseded");
}

void WebLink::close(uint16_t code, std::string_view reason) {
  codec_.close(code, reason);
  wake_writer();
}

// Nobody reads, or nobody is there: what is queued is dropped with the connection.
void WebLink::cut() {
  if (std::exchange(cut_, true)) return;
  counters_.cut_links.add(1);
  stream_.close();
}

// The writer lives only while there is something to write: an idle link holds one stack, not two.
void WebLink::wake_writer() {
  if (writing_ || cut_ || codec_.output_bytes() == 0) return;
  writing_ = true;
  writer_.spawn("web link writer", [this] { write_output(); });
}

void WebLink::write_output() {
  while (codec_.output_bytes() > 0) {
    const std::string output = codec_.take_output();
    unsent_bytes_ = output.size();
    for (size_t at = 0; at < output.size(); at += 64 * 1024) {
      Call call = runtime::background_call(env_, config_.write_limit);
      const Status status = stream_.write(call, std::string_view(output).substr(at, 64 * 1024));
      if (status.ok()) continue;
      cut();
      writing_ = false;
      return;
    }
    unsent_bytes_ = 0;
  }
  if (codec_.closed() && !reader_ended_) {
    Call call = runtime::background_call(env_, k_close_grace);
    (void)reader_end_.wait(call).ok();
    stream_.close();
  }
  writing_ = false;
}

}  // namespace hongyan::access
