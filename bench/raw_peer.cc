// The floor under every server: an epoll loop in plain C style that sends back what it gets, its load generator, and
// one for HTTP.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "bench/load.h"
#include "bench/report.h"

namespace hongyan::bench {

namespace {

constexpr size_t k_buffer_bytes = 256 * 1024;

void no_delay(int descriptor) {
  const int one = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void watch(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = descriptor;
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0);
}

void write_all(int descriptor, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t sent = send(descriptor, bytes, count, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (sent <= 0) return;
    bytes += sent;
    count -= static_cast<size_t>(sent);
  }
}

}  // namespace

int connect_to(const std::string& host, int port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  if (descriptor < 0 || connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (descriptor >= 0) close(descriptor);
    return -1;
  }
  no_delay(descriptor);
  fcntl(descriptor, F_SETFL, O_NONBLOCK);
  return descriptor;
}

// Until its standard input ends.
int serve_raw() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(listener, 4096) == 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, listener);
  epoll_event input{};
  input.events = EPOLLIN;
  input.data.fd = 0;
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input) == 0);
  say(std::to_string(ntohs(address.sin_port)));
  const auto buffer = std::make_unique<char[]>(k_buffer_bytes);
  for (;;) {
    epoll_event events[256];
    const int count = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[i].data.fd;
      if (descriptor == 0) return 0;
      if (descriptor == listener) {
        for (int one; (one = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          no_delay(one);
          watch(epoll, one);
        }
        continue;
      }
      for (;;) {
        const ssize_t got = read(descriptor, buffer.get(), k_buffer_bytes);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close(descriptor);
        if (got <= 0) break;
        write_all(descriptor, buffer.get(), static_cast<size_t>(got));
        if (static_cast<size_t>(got) < k_buffer_bytes) break;
      }
    }
  }
}

// `depth` messages of `message` on each of `connections`; every whole answer of `answer_bytes` is followed by another.
std::string load_raw(int port, const Load& load, const std::string& message, size_t answer_bytes) {
  struct Connection {
    int descriptor;
    size_t got = 0;  // Bytes of answers that are not whole yet.
    int64_t sent_ns = 0;
  };
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Connection> all;
  std::string many;
  for (int i = 0; i < load.depth; ++i) many += message;
  for (int i = 0; i < load.connections; ++i) {
    all.push_back({.descriptor = connect_to("127.0.0.1", port)});
    CHECK(all.back().descriptor >= 0);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u32 = static_cast<uint32_t>(i);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, all.back().descriptor, &event) == 0);
  }
  const auto buffer = std::make_unique<char[]>(k_buffer_bytes);
  Meter meter(load);
  for (Connection& one : all) {
    one.sent_ns = now_ns();
    write_all(one.descriptor, many.data(), many.size());
  }
  while (!meter.over()) {
    epoll_event events[256];
    const int count = epoll_wait(epoll, events, 256, 100);
    meter.tick();
    for (int i = 0; i < count; ++i) {
      Connection& one = all[events[i].data.u32];
      size_t whole = 0;
      for (;;) {
        const ssize_t got = read(one.descriptor, buffer.get(), k_buffer_bytes);
        CHECK(got != 0);
        if (got < 0) break;
        one.got += static_cast<size_t>(got);
        whole += one.got / answer_bytes;
        one.got %= answer_bytes;
        if (static_cast<size_t>(got) < k_buffer_bytes) break;
      }
      if (whole == 0) continue;
      const int64_t now = now_ns();
      meter.add(whole, now - one.sent_ns);
      one.sent_ns = now;
      write_all(one.descriptor, many.data(), whole * message.size());
    }
  }
  for (const Connection& one : all) close(one.descriptor);
  close(epoll);
  return meter.said();
}

}  // namespace hongyan::bench
