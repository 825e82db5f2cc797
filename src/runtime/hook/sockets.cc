#undef _FORTIFY_SOURCE  // Its inline functions would have the names defined here.
#include "runtime/hook/sockets.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>

#include <algorithm>

#include "runtime/hook/state.h"

// MSG_DONTWAIT asks without waiting and leaves the socket as its owner made it; only connect() and
// accept() have no such flag, and there the socket is non-blocking for that one call.
namespace hongyan::runtime::hook {
namespace {

// A local socket whose listener has no room gives no notice when it has.
constexpr Duration k_retry_connect = 1ms;

// Non-blocking while it lives; for a descriptor whose owner left it blocking.
class BriefNonblocking {
 public:
  explicit BriefNonblocking(int descriptor)
      : descriptor_(descriptor), flags_(raw(SYS_fcntl, descriptor, F_GETFL, 0)) {
    raw(SYS_fcntl, descriptor_, F_SETFL, flags_ | O_NONBLOCK);
  }
  ~BriefNonblocking() {
    const int error = errno;
    raw(SYS_fcntl, descriptor_, F_SETFL, flags_);
    errno = error;
  }
  BriefNonblocking(const BriefNonblocking&) = delete;
  BriefNonblocking& operator=(const BriefNonblocking&) = delete;

 private:
  int descriptor_;
  long flags_;
};

int connect_briefly(int descriptor, const sockaddr* address, socklen_t bytes) {
  BriefNonblocking nonblocking(descriptor);
  return static_cast<int>(raw(SYS_connect, descriptor, address, bytes));
}

int accept_briefly(int descriptor, sockaddr* address, socklen_t* bytes, int flags) {
  BriefNonblocking nonblocking(descriptor);
  return static_cast<int>(raw(SYS_accept4, descriptor, address, bytes, flags));
}

// What became of a connect that was under way.
int connected(State& state, int descriptor, Time limit) {
  for (;;) {
    const int waited = wait_for_one(state, descriptor, POLLOUT, limit);
    if (waited == EAGAIN) return errno = EINPROGRESS, -1;  // SO_SNDTIMEO, in the kernel's words.
    if (waited != 0) return errno = waited, -1;
    pollfd now{.fd = descriptor, .events = POLLOUT, .revents = 0};
    const timespec none{};
    if (raw(SYS_ppoll, &now, 1, &none, nullptr, 0) == 0) continue;
    int error = 0;
    socklen_t bytes = sizeof(error);
    if (raw(SYS_getsockopt, descriptor, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) return -1;
    return error == 0 ? 0 : (errno = error, -1);
  }
}

int connect_waiting(State& state, int descriptor, const sockaddr* address, socklen_t bytes) {
  Time limit = k_never;
  for (bool first = true;; first = false) {
    if (connect_briefly(descriptor, address, bytes) == 0) return 0;
    if (errno != EINPROGRESS && errno != EAGAIN) return -1;
    const bool under_way = errno == EINPROGRESS;
    if (first) limit = socket_limit(descriptor, SO_SNDTIMEO);
    if (under_way) return connected(state, descriptor, limit);
    const Time again = std::min(limit, after(exact_now(), k_retry_connect));
    const Woken woken = sleep_until(state, again);
    if (woken == Woken::cancelled) return errno = ECANCELED, -1;
    if (woken == Woken::deadline) return errno = ETIMEDOUT, -1;
    if (again == limit) return errno = EAGAIN, -1;
  }
}

// Skips what has gone. The parts are a copy of the caller's.
void drop_front(std::vector<iovec>& parts, size_t bytes) {
  size_t whole = 0;
  while (whole < parts.size() && bytes >= parts[whole].iov_len) bytes -= parts[whole++].iov_len;
  parts.erase(parts.begin(), parts.begin() + static_cast<ptrdiff_t>(whole));
  if (parts.empty()) return;
  parts[0].iov_base = static_cast<char*>(parts[0].iov_base) + bytes;
  parts[0].iov_len -= bytes;
}

size_t total(const msghdr& message) {
  size_t bytes = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) bytes += message.msg_iov[i].iov_len;
  return bytes;
}

}  // namespace

ssize_t receive(State& state, int descriptor, void* into, size_t bytes, int flags, sockaddr* from,
                socklen_t* from_bytes) {
  const bool all = (flags & MSG_WAITALL) != 0 && (flags & MSG_PEEK) == 0;
  size_t done = 0;
  for (;;) {
    const ssize_t got = repeat(state, descriptor, POLLIN, SO_RCVTIMEO, [&] {
      return raw(SYS_recvfrom, descriptor, static_cast<char*>(into) + done, bytes - done,
                 flags | MSG_DONTWAIT, from, from_bytes);
    });
    if (got > 0) done += static_cast<size_t>(got);
    if (got < 0) return done > 0 ? static_cast<ssize_t>(done) : -1;
    if (got == 0 || !all || done == bytes) return static_cast<ssize_t>(done);
  }
}

ssize_t receive_message(State& state, int descriptor, msghdr* message, int flags) {
  // The kernel overwrites these lengths even where it only says EAGAIN.
  const socklen_t name = message->msg_namelen;
  const size_t control = message->msg_controllen;
  return repeat(state, descriptor, POLLIN, SO_RCVTIMEO, [&] {
    message->msg_namelen = name;
    message->msg_controllen = control;
    return raw(SYS_recvmsg, descriptor, message, flags | MSG_DONTWAIT);
  });
}

ssize_t send_all(State& state, int descriptor, const void* from, size_t bytes, int flags,
                 const sockaddr* to, socklen_t to_bytes) {
  size_t done = 0;
  for (;;) {
    const ssize_t sent = repeat(state, descriptor, POLLOUT, SO_SNDTIMEO, [&] {
      return raw(SYS_sendto, descriptor, static_cast<const char*>(from) + done, bytes - done,
                 flags | MSG_DONTWAIT, to, to_bytes);
    });
    if (sent < 0) return done > 0 ? static_cast<ssize_t>(done) : -1;
    done += static_cast<size_t>(sent);
    if (done >= bytes || nonblocking(descriptor)) return static_cast<ssize_t>(done);
  }
}

ssize_t send_message(State& state, int descriptor, const msghdr* message, int flags) {
  const size_t bytes = total(*message);
  msghdr rest = *message;
  std::vector<iovec> parts;  // Filled only when a part of it has gone.
  size_t done = 0;
  for (;;) {
    const ssize_t sent = repeat(state, descriptor, POLLOUT, SO_SNDTIMEO, [&] {
      return raw(SYS_sendmsg, descriptor, &rest, flags | MSG_DONTWAIT);
    });
    if (sent < 0) return done > 0 ? static_cast<ssize_t>(done) : -1;
    done += static_cast<size_t>(sent);
    if (done >= bytes || nonblocking(descriptor)) return static_cast<ssize_t>(done);
    if (parts.empty()) parts.assign(message->msg_iov, message->msg_iov + message->msg_iovlen);
    drop_front(parts, static_cast<size_t>(sent));
    rest.msg_iov = parts.data();
    rest.msg_iovlen = parts.size();
    rest.msg_control = nullptr;  // Passed descriptors go once.
    rest.msg_controllen = 0;
  }
}

}  // namespace hongyan::runtime::hook

using namespace hongyan::runtime::hook;  // What follows are libc's names.

extern "C" {

char hongyan_hook_sockets = 0;
void __chk_fail(void) __attribute__((noreturn));

int connect(int descriptor, const sockaddr* address, socklen_t bytes) {
  State* state = active();
  if (state == nullptr || nonblocking(descriptor))
    return static_cast<int>(raw(SYS_connect, descriptor, address, bytes));
  return connect_waiting(*state, descriptor, address, bytes);
}

int accept4(int descriptor, sockaddr* address, socklen_t* bytes, int flags) {
  State* state = active();
  if (state == nullptr || nonblocking(descriptor))
    return static_cast<int>(raw(SYS_accept4, descriptor, address, bytes, flags));
  return static_cast<int>(repeat(*state, descriptor, POLLIN, SO_RCVTIMEO, [&] {
    return accept_briefly(descriptor, address, bytes, flags);
  }));
}

int accept(int descriptor, sockaddr* address, socklen_t* bytes) {
  return accept4(descriptor, address, bytes, 0);
}

ssize_t recvfrom(int descriptor, void* into, size_t bytes, int flags, sockaddr* from,
                 socklen_t* from_bytes) {
  State* state = active();
  if (state == nullptr || (flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) != 0)
    return raw(SYS_recvfrom, descriptor, into, bytes, flags, from, from_bytes);
  return receive(*state, descriptor, into, bytes, flags, from, from_bytes);
}

ssize_t recv(int descriptor, void* into, size_t bytes, int flags) {
  return recvfrom(descriptor, into, bytes, flags, nullptr, nullptr);
}

ssize_t recvmsg(int descriptor, msghdr* message, int flags) {
  State* state = active();
  if (state == nullptr || (flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) != 0)
    return raw(SYS_recvmsg, descriptor, message, flags);
  return receive_message(*state, descriptor, message, flags);
}

ssize_t sendto(int descriptor, const void* from, size_t bytes, int flags, const sockaddr* to,
               socklen_t to_bytes) {
  State* state = active();
  if (state == nullptr || (flags & MSG_DONTWAIT) != 0)
    return raw(SYS_sendto, descriptor, from, bytes, flags, to, to_bytes);
  return send_all(*state, descriptor, from, bytes, flags, to, to_bytes);
}

ssize_t send(int descriptor, const void* from, size_t bytes, int flags) {
  return sendto(descriptor, from, bytes, flags, nullptr, 0);
}

ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
  State* state = active();
  if (state == nullptr || (flags & MSG_DONTWAIT) != 0)
    return raw(SYS_sendmsg, descriptor, message, flags);
  return send_message(*state, descriptor, message, flags);
}

ssize_t __recv_chk(int descriptor, void* into, size_t bytes, size_t space, int flags) {
  if (bytes > space) __chk_fail();
  return recv(descriptor, into, bytes, flags);
}

ssize_t __recvfrom_chk(int descriptor, void* into, size_t bytes, size_t space, int flags,
                       sockaddr* from, socklen_t* from_bytes) {
  if (bytes > space) __chk_fail();
  return recvfrom(descriptor, into, bytes, flags, from, from_bytes);
}

}  // extern "C"
