#include "runtime/os/kernel_network.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/coro/sync.h"
#include "runtime/os/address.h"
#include "runtime/os/errors.h"

namespace hongyan::runtime {
namespace {

// Connections the kernel keeps before accept(); it cuts this to net.core.somaxconn.
constexpr int k_backlog = 4096;
// Without descriptors or memory accept() fails at once and for as long as they are missing: try
// this often only.
constexpr Duration k_accept_pause = 100ms;
// What a worker lets those with fewer connections go first: they were woken too, and need microseconds when they are idle.
constexpr Duration k_hesitation = 2ms;
// Operations that found the socket ready in a row before the others have their turn: a peer that
// sends without pause would hold the loop otherwise.
constexpr int k_ready_in_a_row_max = 16;

// A watched descriptor. Shared: whoever waits in it holds it, so its owner may close and drop it at
// any time.
class Socket : public Watcher {
 public:
  Socket(DescriptorPoller& poller, int descriptor) : poller_(poller), descriptor_(descriptor) {}
  ~Socket() override { close(); }

  bool watch() { return poller_.add(descriptor_, this); }
  int descriptor() const { return descriptor_; }
  bool closed() const { return descriptor_ < 0; }
  // The other side has ended or the connection failed: a short read says nothing, the end may stand behind it.
  bool hung_up() const { return hung_up_; }
  // A read took less than there was room for: nothing is left until an event says so.
  void note_short_read() { drained_ = !hung_up_; }
  bool drained() const { return drained_; }
  void tell(StreamWatcher* watcher) { watcher_ = watcher; }

  void close() {
    if (closed()) return;
    watcher_ = nullptr;
    poller_.remove(descriptor_);
    ::close(std::exchange(descriptor_, -1));
    readable_.wake_all();
    writable_.wake_all();
    paused_.wake_all();
  }

  // Edge-triggered: only after the kernel has said EAGAIN. Code::closed when close() ended it.
  Status wait_readable(Time deadline) { return wait(readable_, deadline); }
  Status wait_writable(Time deadline) { return wait(writable_, deadline); }
  // Until close(): not woken by events.
  Status pause(Time deadline) { return wait(paused_, deadline); }

  void on_events(uint32_t events) override {
    const uint32_t both = EPOLLERR | EPOLLHUP;
    const bool readable = (events & (EPOLLIN | EPOLLRDHUP | both)) != 0;
    const bool writable = (events & (EPOLLOUT | both)) != 0;
    if ((events & (EPOLLRDHUP | both)) != 0) hung_up_ = true;
    if (readable) {
      drained_ = false;
      readable_.wake_all();
    }
    if (writable) writable_.wake_all();
    if (watcher_ != nullptr) watcher_->on_ready(readable, writable);
  }

 private:
  Status wait(WaitList& list, Time deadline) {
    TRY(list.wait(deadline));
    if (closed()) return Status(Code::closed, "closed");
    return {};
  }

  DescriptorPoller& poller_;
  int descriptor_;
  bool hung_up_ = false;
  bool drained_ = false;
  StreamWatcher* watcher_ = nullptr;
  WaitList readable_;
  WaitList writable_;
  WaitList paused_;
};

void set_option(int descriptor, int level, int name, int value) {
  setsockopt(descriptor, level, name, &value,
             sizeof(value));  // An older kernel may lack one; nothing rests on it.
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// Opens every operation: fails on a closed socket, and lets the others run now and then.
class Turns {
 public:
  Status take(const Socket& socket) {
    if (!socket.closed() && ++operations_ % k_ready_in_a_row_max == 0) Scheduler::current().yield();
    if (socket.closed()) return Status(Code::closed, "closed");
    return {};
  }

 private:
  unsigned operations_ = 0;
};

class KernelStream : public Stream {
 public:
  KernelStream(std::shared_ptr<Socket> socket, std::string peer, std::shared_ptr<LoadBoard> board = nullptr)
      : socket_(std::move(socket)), peer_(std::move(peer)), board_(std::move(board)) {
    if (board_ != nullptr) board_->opened();
    set_option(socket_->descriptor(), IPPROTO_TCP, TCP_NODELAY, 1);
  }
  ~KernelStream() override {
    socket_->close();
    if (board_ != nullptr) board_->closed();
  }

  Result<size_t> read(Call& call, std::span<char> into) override {
    const std::shared_ptr<Socket> socket = socket_;
    TRY(turns_.take(*socket));
    if (into.empty()) return size_t{0};  // recv() of nothing would look like the end.
    // Who has no time to wait asks the kernel: its event may not have been taken in yet.
    const bool may_wait = call.deadline > Scheduler::current().now();
    if (socket->drained() && may_wait) TRY(socket->wait_readable(call.deadline));
    for (;;) {
      const ssize_t got = ::recv(socket->descriptor(), into.data(), into.size(), 0);
      if (got >= 0) {
        if (got > 0 && static_cast<size_t>(got) < into.size()) socket->note_short_read();
        return static_cast<size_t>(got);
      }
      if (errno == EINTR) continue;
      if (!would_block(errno)) return network_error(errno, "read");
      TRY(socket->wait_readable(call.deadline));
    }
  }

  Status write(Call& call, std::string_view bytes) override {
    const std::shared_ptr<Socket> socket = socket_;
    TRY(turns_.take(*socket));
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket->descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (would_block(errno)) {
        TRY(socket->wait_writable(call.deadline));
      } else if (errno != EINTR) {
        return network_error(errno, "write");
      }
    }
    return {};
  }

  Result<Progress> try_read(std::span<char> into) override {
    for (;;) {
      if (socket_->closed()) return Status(Code::closed, "closed");
      if (into.empty()) return Progress{};
      const ssize_t got = ::recv(socket_->descriptor(), into.data(), into.size(), 0);
      if (got > 0) {
        const auto bytes = static_cast<size_t>(got);
        return Progress{.bytes = bytes, .again = bytes == into.size() || socket_->hung_up()};
      }
      if (got == 0) return Progress{.ended = true};
      if (would_block(errno)) return Progress{};
      if (errno != EINTR) return network_error(errno, "read");
    }
  }

  Result<Progress> try_write(std::string_view bytes) override {
    for (;;) {
      if (socket_->closed()) return Status(Code::closed, "closed");
      if (bytes.empty()) return Progress{};
      const ssize_t sent = ::send(socket_->descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        const auto count = static_cast<size_t>(sent);
        return Progress{.bytes = count, .again = count == bytes.size()};
      }
      if (would_block(errno)) return Progress{};
      if (errno != EINTR) return network_error(errno, "write");
    }
  }

  void watch(StreamWatcher* watcher) override { socket_->tell(watcher); }
  void close() override { socket_->close(); }
  std::string peer() const override { return peer_; }

 private:
  std::shared_ptr<Socket> socket_;
  std::string peer_;
  std::shared_ptr<LoadBoard> board_;
  Turns turns_;
};

class KernelListener : public Listener {
 public:
  KernelListener(std::shared_ptr<Socket> socket, std::string address, DescriptorPoller& poller,
                 Counter& refused, Log& log, std::shared_ptr<LoadBoard> board = nullptr)
      : socket_(std::move(socket)),
        address_(std::move(address)),
        poller_(poller),
        refused_(refused),
        log_(log),
        board_(std::move(board)) {}
  ~KernelListener() override {
    socket_->close();
    if (spare_ >= 0) ::close(spare_);
  }

  Result<std::unique_ptr<Stream>> accept(Call& call) override {
    const std::shared_ptr<Socket> socket = socket_;
    TRY(turns_.take(*socket));
    for (;;) {
      if (board_ != nullptr) TRY(let_others_first(*socket, call));
      Address peer;
      peer.bytes = sizeof(peer.storage);
      const int number =
          ::accept4(socket->descriptor(), peer.get(), &peer.bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (number >= 0) {
        auto accepted = std::make_shared<Socket>(poller_, number);
        if (accepted->watch())
          return std::unique_ptr<Stream>(new KernelStream(std::move(accepted), to_text(peer), board_));
        TRY(out_of_resources(*socket, call, ENOSPC));
      } else if (would_block(errno)) {
        TRY(socket->wait_readable(call.deadline));
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        const int error = errno;
        TRY(out_of_resources(*socket, call, error));
        if (error == EMFILE || error == ENFILE) turn_one_away(*socket);
      } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP) {
        return network_error(errno, "accept");
      }
      // Else one connection failed before it was accepted, as accept(2) warns: on to the next.
    }
  }

  std::string address() const override { return address_; }
  void close() override { socket_->close(); }

 private:
  // Still no descriptor after a pause: one who waits learns that nobody will answer, instead of waiting for ever. For
  // that a descriptor is kept in reserve.
  void turn_one_away(const Socket& socket) {
    if (spare_ < 0) spare_ = open_spare();
    if (spare_ < 0) return;
    const int probe = open_spare();
    if (probe >= 0) {  // There is room again.
      ::close(probe);
      return;
    }
    ::close(std::exchange(spare_, -1));
    const int one = ::accept4(socket.descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
    if (one >= 0) ::close(one);
    spare_ = open_spare();
  }
  // All workers are woken by a connection; who has the fewest takes it. Nobody waits longer than for k_hesitation, so no
  // connection rests on another worker being awake.
  Status let_others_first(Socket& socket, Call& call) {
    if (!board_->others_have_fewer()) return {};
    pollfd one{.fd = socket.descriptor(), .events = POLLIN, .revents = 0};
    if (::poll(&one, 1, 0) != 1) return {};
    const Time end = after(Scheduler::current().now(), k_hesitation);
    const Status status = socket.pause(std::min(end, call.deadline));
    return status.code() == Code::deadline && end < call.deadline ? Status() : status;
  }
  static int open_spare() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

  Status out_of_resources(Socket& socket, Call& call, int error) {
    refused_.add(1);
    Scheduler& scheduler = Scheduler::current();
    if (scheduler.now() >= log_again_) {
      log_.error("net: cannot accept", {{"address", address_}, {"error", std::strerror(error)}});
      log_again_ = after(scheduler.now(), 10s);
    }
    const Time end = after(scheduler.now(), k_accept_pause);
    const Status status = socket.pause(std::min(end, call.deadline));
    if (status.code() == Code::deadline && end < call.deadline) return {};
    return status;
  }

  std::shared_ptr<Socket> socket_;
  std::string address_;
  DescriptorPoller& poller_;
  Counter& refused_;
  Log& log_;
  std::shared_ptr<LoadBoard> board_;
  Time log_again_ = Time::min();
  int spare_ = open_spare();
  Turns turns_;
};

// A connect to a free port of this machine may get that very port as its own and reach itself.
bool connected_to_itself(int descriptor) {
  Address self;
  Address peer;
  self.bytes = peer.bytes = sizeof(self.storage);
  return getsockname(descriptor, self.get(), &self.bytes) == 0 &&
         getpeername(descriptor, peer.get(), &peer.bytes) == 0 && to_text(self) == to_text(peer);
}

}  // namespace

KernelNetwork::KernelNetwork(DescriptorPoller& poller, Counters& counters, Log& log, Inherited inherited)
    : poller_(poller),
      accepts_refused_(counters.counter(
          "hongyan_net_accepts_refused",
          "Attempts to accept a connection that failed for want of descriptors or memory")),
      log_(log),
      inherited_(std::move(inherited)) {}

Result<std::unique_ptr<Listener>> KernelNetwork::listen(const std::string& text) {
  if (const auto found = inherited_.listeners.find(text); found != inherited_.listeners.end()) {
    auto socket = std::make_shared<Socket>(poller_, found->second);
    inherited_.listeners.erase(found);
    if (!socket->watch()) return network_error(ENOSPC, text);
    Address own;
    own.bytes = sizeof(own.storage);
    if (getsockname(socket->descriptor(), own.get(), &own.bytes) != 0) return network_error(errno, text);
    return std::unique_ptr<Listener>(new KernelListener(std::move(socket), to_text(own), poller_, accepts_refused_, log_,
                                                        inherited_.board));
  }
  Address address = TRY(parse_address(text));
  const int number =
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (number < 0) return network_error(errno, text);
  auto socket = std::make_shared<Socket>(poller_, number);
  set_option(number, SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(number, address.get(), address.bytes) != 0) return network_error(errno, text);
  if (::listen(number, k_backlog) != 0) return network_error(errno, text);
  if (!socket->watch()) return network_error(ENOSPC, text);
  address.bytes = sizeof(address.storage);
  getsockname(number, address.get(), &address.bytes);
  return std::unique_ptr<Listener>(
      new KernelListener(std::move(socket), to_text(address), poller_, accepts_refused_, log_));
}

Result<std::unique_ptr<Stream>> KernelNetwork::connect(Call& call, const std::string& text) {
  const Address address = TRY(parse_address(text));
  const int number =
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (number < 0) return Status(Code::unavailable, text + ": " + std::strerror(errno));
  auto socket = std::make_shared<Socket>(poller_, number);
  const auto failed = [&](int error) {
    return Status(Code::unavailable, text + ": " + std::strerror(error));
  };
  const int begun = ::connect(number, address.get(), address.bytes) == 0 ? 0 : errno;
  if (begun != 0 && begun != EINPROGRESS && begun != EINTR) return failed(begun);
  if (!socket->watch())
    return failed(ENOSPC);  // After connect(): an idle socket would report a hang-up.
  for (;;) {
    if (begun != 0) TRY(socket->wait_writable(call.deadline));
    int error = 0;
    socklen_t bytes = sizeof(error);
    getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error != 0) return failed(error);
    Address peer;
    peer.bytes = sizeof(peer.storage);
    if (getpeername(number, peer.get(), &peer.bytes) == 0) break;
    if (begun == 0) return failed(ENOTCONN);  // Reset already.
  }
  if (connected_to_itself(number)) return failed(ECONNREFUSED);
  return std::unique_ptr<Stream>(new KernelStream(std::move(socket), text));
}

}  // namespace hongyan::runtime
