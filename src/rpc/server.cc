#include "rpc/server.h"

#include <utility>

#include "base/check.h"
#include "rpc/frame.h"
#include "runtime/log/log.h"

namespace hongyan::rpc {

using runtime::Nursery;
using runtime::Stream;
using namespace std::chrono_literals;

namespace {

// A peer that takes nothing for so long is gone or stuck.
constexpr auto k_write_time_max = 30s;
// Channels ping every 10 s; one that was not heard of for six of these is gone.
constexpr auto k_quiet_time_max = 60s;
// Bodies of requests that are being handled, per connection; above it they are refused as overload.
constexpr size_t k_in_flight_bytes_max = 64 * 1024 * 1024;
// A peer that sends without reading its answers is not read from any more.
constexpr size_t k_output_bytes_max = 4 * 1024 * 1024;
// Out of descriptors or memory: some time for others to give some back.
constexpr auto k_accept_pause = 100ms;
// After a goodbye the peer closes first; else unread bytes would reset the connection and destroy answers under way.
constexpr auto k_linger_time_max = 1s;
constexpr size_t k_linger_bytes_max = 1024 * 1024;

}  // namespace

// One peer. Lives on the coroutine that serves it.
class Server::Connection {
 public:
  Connection(Server& server, std::unique_ptr<Stream> stream)
      : server_(server),
        stream_(std::move(stream)),
        reading_(server.env_.scheduler()),
        handling_(server.env_.scheduler()),
        writing_(server.env_.scheduler()) {}

  void serve();
  // Stops reading; serve() ends when everything taken is answered.
  void begin_close();

 private:
  void read_loop();
  bool take(const Frame& frame);
  Status start_request(const Frame& frame);
  void handle(const Target& target, uint64_t call_id, Call call, const Message& request);
  void answer(uint64_t call_id, const Status& status, const Message* response);
  void flush();
  void write_loop();
  void linger();

  Server& server_;
  std::unique_ptr<Stream> stream_;
  FrameParser parser_;
  std::string output_;
  bool writer_runs_ = false;
  bool broken_ = false;
  bool closing_ = false;
  uint64_t last_taken_ = 0;
  size_t in_flight_bytes_ = 0;
  runtime::WaitList drained_;
  Nursery reading_;
  Nursery handling_;
  Nursery writing_;
};

void Server::Connection::serve() {
  Call for_ever;
  reading_.spawn("rpc server reads", [this] { read_loop(); });
  const bool orderly = reading_.join(for_ever).ok() && handling_.join(for_ever).ok() && writing_.join(for_ever).ok();
  if (orderly && closing_ && !broken_) linger();
  reading_.cancel_and_join();
  handling_.cancel_and_join();
  broken_ = true;
  stream_->close();
  writing_.cancel_and_join();
}

void Server::Connection::begin_close() {
  if (std::exchange(closing_, true)) return;
  put_frame(output_, {.kind = FrameKind::goodbye, .call_id = last_taken_});
  flush();
  reading_.cancel();
}

void Server::Connection::linger() {
  Call call = runtime::background_call(server_.env_, k_linger_time_max);
  char ignored[512];
  for (size_t bytes = 0; bytes < k_linger_bytes_max;) {
    const auto count = stream_->read(call, ignored);
    if (!count.ok() || *count == 0) return;
    bytes += *count;
  }
}

void Server::Connection::read_loop() {
  while (!broken_ && !closing_) {
    Call call = runtime::background_call(server_.env_, k_quiet_time_max);
    const auto space = parser_.space();
    const auto count = stream_->read(call, space);
    // The goodbye has said what was taken: nothing may be taken after it, though a read that was ready before succeeds.
    if (!count.ok() || *count == 0 || closing_) return;
    parser_.filled(*count);
    for (;;) {
      const auto frame = parser_.next();
      if (frame.ok() && !frame->has_value()) break;
      if (!frame.ok() || !take(**frame)) {
        server_.env_.log().warning("rpc: {} sent what is no request; closed", stream_->peer());
        broken_ = true;
        stream_->close();
        return;
      }
    }
    while (output_.size() > k_output_bytes_max && !broken_) {
      if (!drained_.wait(runtime::k_never).ok()) return;
    }
    if (*count == space.size()) server_.env_.scheduler().yield();  // More is there already: others first.
  }
}

// False: the peer breaks the protocol.
bool Server::Connection::take(const Frame& frame) {
  if (frame.kind == FrameKind::ping) {
    put_frame(output_, {.kind = FrameKind::pong});
    flush();
    return true;
  }
  if (frame.kind != FrameKind::request || frame.call_id <= last_taken_) return false;
  last_taken_ = frame.call_id;
  const Status started = start_request(frame);
  if (!started.ok()) answer(frame.call_id, started, nullptr);
  return true;
}

Status Server::Connection::start_request(const Frame& frame) {
  const auto found = server_.targets_.find(frame.method);
  if (found == server_.targets_.end()) return Status(Code::unsupported, "unknown method");
  if (handling_.live() >= server_.options_.in_flight_max ||
      in_flight_bytes_ + frame.body.size() > k_in_flight_bytes_max) {
    return Status(Code::overloaded, "too many calls in flight on this connection");
  }
  if (frame.remaining && *frame.remaining <= 0s) return Status(Code::deadline, "late before it arrived");
  const Target& target = found->second;
  const std::shared_ptr<Message> request(target.method->request()->New());
  if (!request->ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) {
    return Status(Code::invalid, "the body is not a " + request->GetTypeName());
  }
  Call call;
  if (frame.remaining) call.deadline = after(server_.env_.now(), *frame.remaining);
  if (!frame.text.empty()) call.ticket = std::make_shared<const std::string>(frame.text);
  call.trace = frame.trace;
  call.priority = frame.priority;
  in_flight_bytes_ += frame.body.size();
  handling_.spawn("rpc server handles", [this, &target, call, request, id = frame.call_id, bytes = frame.body.size()] {
    handle(target, id, call, *request);
    in_flight_bytes_ -= bytes;
  });
  return {};
}

void Server::Connection::handle(const Target& target, uint64_t call_id, Call call, const Message& request) {
  if (server_.env_.now() >= call.deadline) {
    return answer(call_id, Status(Code::deadline, "late before it started"), nullptr);
  }
  const std::unique_ptr<Message> response(target.method->response()->New());
  Status status;
  if (target.served.interceptor != nullptr) status = target.served.interceptor->before(call, *target.method, request);
  if (status.ok()) status = target.served.service->handle(call, *target.method, request, *response);
  answer(call_id, status, response.get());
}

void Server::Connection::answer(uint64_t call_id, const Status& status, const Message* response) {
  if (broken_) return;
  const size_t body_bytes = status.ok() ? response->ByteSizeLong() : 0;
  if (body_bytes > k_frame_body_bytes_max) {
    return answer(call_id, Status(Code::too_large, "the answer is too large"), nullptr);
  }
  const auto detail = std::string_view(status.detail()).substr(0, k_frame_detail_bytes_max);
  put_frame_head(output_, {.kind = FrameKind::answer, .call_id = call_id, .code = status.code(), .text = detail},
                 body_bytes);
  if (status.ok()) {
    const size_t before = output_.size();
    response->AppendPartialToString(&output_);
    CHECK(output_.size() - before == body_bytes);
  }
  flush();
}

// The writer starts behind everything that is runnable now, and so takes along what that adds.
void Server::Connection::flush() {
  if (broken_ || std::exchange(writer_runs_, true)) return;
  writing_.spawn("rpc server writes", [this] { write_loop(); });
}

void Server::Connection::write_loop() {
  while (!output_.empty() && !broken_) {
    const std::string batch = std::exchange(output_, {});
    Call call = runtime::background_call(server_.env_, k_write_time_max);
    if (!stream_->write(call, batch).ok()) {
      broken_ = true;
      stream_->close();  // Wakes the reader.
    }
    drained_.wake_all();
  }
  writer_runs_ = false;
}

Server::Server(Env& env, std::string address, std::vector<Served> services, ServerOptions options)
    : env_(env),
      address_(std::move(address)),
      options_(options),
      accepting_(env.scheduler()),
      serving_(env.scheduler()) {
  for (const Served& served : services) {
    for (const MethodInfo& method : served.service->methods()) {
      CHECK(targets_.emplace(method.id, Target{served, &method}).second);
    }
  }
}

Server::~Server() { CHECK(listener_ == nullptr && connections_.empty()); }

Status Server::start() {
  CHECK(listener_ == nullptr && !closing_);
  listener_ = TRY(env_.network().listen(address_));
  address_ = listener_->address();
  accepting_.spawn("rpc server accepts", [this] { accept_loop(); });
  return {};
}

std::string Server::address() const { return address_; }

void Server::accept_loop() {
  Call for_ever;
  for (;;) {
    auto stream = listener_->accept(for_ever);
    if (stream.code() == Code::closed || stream.code() == Code::cancelled) return;
    if (!stream.ok()) {
      env_.log().warning("rpc: accept on {} failed: {}", address_, stream.status().detail());
      if (!runtime::sleep(for_ever, k_accept_pause).ok()) return;
      continue;
    }
    if (connections_.size() >= options_.connections_max) {
      env_.log().warning("rpc: {} connections are open; closed that of {}", connections_.size(), (*stream)->peer());
      continue;
    }
    const auto connection = std::make_shared<Connection>(*this, std::move(stream).value());
    const auto place = connections_.insert(connections_.end(), connection.get());
    serving_.spawn("rpc server connection", [this, connection, place] {
      connection->serve();
      connections_.erase(place);
    });
  }
}

void Server::close(Call& call) {
  closing_ = true;
  if (listener_ != nullptr) listener_->close();
  accepting_.cancel_and_join();
  for (Connection* connection : connections_) connection->begin_close();
  if (!serving_.join(call).ok()) serving_.cancel_and_join();
  listener_.reset();
}

}  // namespace hongyan::rpc
