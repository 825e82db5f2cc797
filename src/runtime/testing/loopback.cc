#include "runtime/testing/loopback.h"

#include <algorithm>
#include <charconv>
#include <deque>

#include "runtime/coro/sync.h"

namespace hongyan::runtime {

constexpr size_t k_in_flight_bytes_max = 64 * 1024;
constexpr size_t k_backlog_max = 1024;

namespace {

struct Pipe {
  std::string bytes;
  bool ended = false;   // The writing end is closed: what is there can still be read.
  bool broken = false;  // The reading end is closed.
  WaitList readable;
  WaitList writable;
  StreamWatcher* reader = nullptr;
  StreamWatcher* writer = nullptr;

  void now_readable() {
    readable.wake_all();
    if (reader != nullptr) reader->on_ready(true, false);
  }
  void now_writable() {
    writable.wake_all();
    if (writer != nullptr) writer->on_ready(false, true);
  }
};

class LoopbackStream : public Stream {
 public:
  LoopbackStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, std::string peer)
      : in_(std::move(in)), out_(std::move(out)), peer_(std::move(peer)) {}
  ~LoopbackStream() override { LoopbackStream::close(); }

  Result<size_t> read(Call& call, std::span<char> into) override {
    const std::shared_ptr<Pipe> in = in_;  // This stream may be gone after a wait.
    for (;;) {
      if (in->broken) return Status(Code::closed, "stream closed");
      if (into.empty()) return size_t{0};
      if (!in->bytes.empty()) break;
      if (in->ended) return size_t{0};
      TRY(in->readable.wait(call.deadline));
    }
    const size_t count = std::min(into.size(), in->bytes.size());
    std::copy_n(in->bytes.begin(), count, into.begin());
    in->bytes.erase(0, count);
    in->now_writable();
    return count;
  }

  Status write(Call& call, std::string_view bytes) override {
    const std::shared_ptr<Pipe> out = out_;
    for (;;) {
      if (out->ended) return Status(Code::closed, "stream closed");
      if (out->broken) return Status(Code::closed, "closed by the other side");
      if (bytes.empty()) return {};
      const size_t room = k_in_flight_bytes_max - out->bytes.size();
      out->bytes.append(bytes.substr(0, room));
      bytes.remove_prefix(std::min(room, bytes.size()));
      out->now_readable();
      if (!bytes.empty()) TRY(out->writable.wait(call.deadline));
    }
  }

  Result<Progress> try_read(std::span<char> into) override {
    Pipe& in = *in_;
    if (in.broken) return Status(Code::closed, "stream closed");
    if (into.empty()) return Progress{};
    if (in.bytes.empty()) return Progress{.ended = in.ended};
    const size_t count = std::min(into.size(), in.bytes.size());
    std::copy_n(in.bytes.begin(), count, into.begin());
    in.bytes.erase(0, count);
    in.now_writable();
    return Progress{.bytes = count, .again = !in.bytes.empty() || in.ended};
  }

  Result<Progress> try_write(std::string_view bytes) override {
    Pipe& out = *out_;
    if (out.ended) return Status(Code::closed, "stream closed");
    if (out.broken) return Status(Code::closed, "closed by the other side");
    const size_t count = std::min(bytes.size(), k_in_flight_bytes_max - out.bytes.size());
    if (count == 0) return Progress{};
    out.bytes.append(bytes.substr(0, count));
    out.now_readable();
    return Progress{.bytes = count, .again = count == bytes.size()};
  }

  void watch(StreamWatcher* watcher) override {
    in_->reader = watcher;
    out_->writer = watcher;
  }

  void close() override {
    watch(nullptr);
    in_->broken = true;
    out_->ended = true;
    for (Pipe* pipe : {in_.get(), out_.get()}) {
      pipe->now_readable();
      pipe->now_writable();
    }
  }

  std::string peer() const override { return peer_; }

 private:
  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  std::string peer_;
};

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> connected(const std::string& client,
                                                                      const std::string& server) {
  auto there = std::make_shared<Pipe>();
  auto back = std::make_shared<Pipe>();
  return {std::make_unique<LoopbackStream>(back, there, server),
          std::make_unique<LoopbackStream>(there, back, client)};
}

Result<int> port_of(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    const char* end = address.data() + address.size();
    const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
    if (parsed.ec != std::errc() || parsed.ptr != end) port = -1;
  }
  if (colon == 0 || port < 0 || port > 65535)
    return Status(Code::invalid, address + ": not an address");
  return port;
}

}  // namespace

struct LoopbackPort {
  bool closed = false;
  std::deque<std::unique_ptr<Stream>> backlog;
  WaitList accepting;
};

namespace {

class LoopbackListener : public Listener {
 public:
  using Ports = std::map<int, std::shared_ptr<LoopbackPort>>;
  LoopbackListener(std::shared_ptr<Ports> ports, int number, std::string address)
      : ports_(std::move(ports)),
        number_(number),
        port_(ports_->at(number)),
        address_(std::move(address)) {}
  ~LoopbackListener() override { LoopbackListener::close(); }

  Result<std::unique_ptr<Stream>> accept(Call& call) override {
    const std::shared_ptr<LoopbackPort> port = port_;
    while (port->backlog.empty()) {
      if (port->closed) return Status(Code::closed, "listener closed");
      TRY(port->accepting.wait(call.deadline));
    }
    auto stream = std::move(port->backlog.front());
    port->backlog.pop_front();
    return stream;
  }

  std::string address() const override { return address_; }

  void close() override {
    if (port_->closed) return;
    port_->closed = true;
    port_->backlog.clear();
    port_->accepting.wake_all();
    ports_->erase(number_);
  }

 private:
  std::shared_ptr<Ports> ports_;
  int number_;
  std::shared_ptr<LoopbackPort> port_;
  std::string address_;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> make_stream_pair() {
  return connected("127.0.0.1:1", "127.0.0.1:2");
}

LoopbackNetwork::LoopbackNetwork() : ports_(std::make_shared<LoopbackListener::Ports>()) {}

Result<std::unique_ptr<Listener>> LoopbackNetwork::listen(const std::string& address) {
  int port = TRY(port_of(address));
  std::string real = address;
  if (port == 0) {
    port = next_port_++;
    real = address.substr(0, address.rfind(':') + 1) + std::to_string(port);
  }
  if (!ports_->emplace(port, std::make_shared<LoopbackPort>()).second) {
    return Status(Code::busy, address + ": address in use");
  }
  return std::unique_ptr<Listener>(new LoopbackListener(ports_, port, real));
}

Result<std::unique_ptr<Stream>> LoopbackNetwork::connect(Call& call, const std::string& address) {
  const int number = TRY(port_of(address));
  Scheduler& scheduler = Scheduler::current();
  if (scheduler.cancelled(scheduler.running())) return Status(Code::cancelled, "cancelled");
  if (call.deadline <= scheduler.now()) return Status(Code::deadline, "deadline passed");
  const auto found = ports_->find(number);
  if (found == ports_->end()) return Status(Code::unavailable, address + ": connection refused");
  LoopbackPort& port = *found->second;
  if (port.backlog.size() >= k_backlog_max)
    return Status(Code::unavailable, address + ": backlog full");
  auto [client, server] = connected("127.0.0.1:" + std::to_string(next_port_++), address);
  port.backlog.push_back(std::move(server));
  port.accepting.wake_one();
  return std::move(client);
}

}  // namespace hongyan::runtime
