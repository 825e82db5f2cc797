// Our side of the measurements: the server as a service would run it (deadline, ticket field, trace, counters,
// histograms, admission and concurrency limit on), and callers in coroutines.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "base/check.h"
#include "bench/echo.rpc.pb.h"
#include "bench/load.h"
#include "rpc/frame.h"
#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "runtime/coro/run.h"
#include "runtime/counters/counters.h"
#include "runtime/log/log.h"
#include "runtime/os/os_env.h"

namespace hongyan::bench {

namespace {

using namespace std::chrono_literals;

class EchoServer : public EchoService {
 public:
  Result<EchoReply> say(Call&, const EchoRequest& request) override {
    EchoReply reply;
    reply.set_body(request.body());
    return reply;
  }
};

// Counts as a server's observer does: per method, by index.
class Counting : public rpc::Observer {
 public:
  explicit Counting(runtime::Counters& counters)
      : calls_(counters.counter("hongyan_bench_calls", "Calls answered")),
        failed_(counters.counter("hongyan_bench_failed", "Calls that failed")),
        bytes_in_(counters.counter("hongyan_bench_request_bytes", "Bytes of requests")),
        bytes_out_(counters.counter("hongyan_bench_answer_bytes", "Bytes of answers")),
        took_(counters.histogram("hongyan_bench_took", "us", "From start to answer")),
        waited_(counters.histogram("hongyan_bench_waited", "us", "From arrival to start")) {}
  void on_start(rpc::CallRecord&, Call& call) override {
    if (call.trace.id != 0) call.trace.parent = ++last_span_;
  }
  void on_end(const rpc::CallRecord& record) override {
    calls_.add(1);
    if (record.code != Code::ok) failed_.add(1);
    bytes_in_.add(static_cast<int64_t>(record.request_bytes));
    bytes_out_.add(static_cast<int64_t>(record.answer_bytes));
    took_.record((record.ended - record.started).count() / 1000);
    waited_.record((record.started - record.arrived).count() / 1000);
  }

 private:
  runtime::Counter &calls_, &failed_, &bytes_in_, &bytes_out_;
  runtime::Histogram &took_, &waited_;
  uint64_t last_span_ = 0;
};

// One caller after the other, for as long as it counts.
void call_on(Env& env, rpc::Channel& channel, const Load& load, Meter& meter) {
  EchoClient client(channel);
  EchoRequest request;
  request.set_body(std::string(k_echo_bytes, 'x'));
  for (unsigned n = 0; !meter.over(); ++n) {
    Call call = background_call(env, 5s);
    call.trace = {.id = n + 1, .parent = 7};
    // Reading the clock twice a call would be felt with many in flight.
    const bool timed = load.depth * load.connections == 1 || n % 16 == 0;
    const int64_t start = timed ? now_ns() : 0;
    const auto reply = client.say(call, request);
    if (!reply.ok()) std::fprintf(stderr, "bench: %s\n", reply.status().detail().c_str());
    CHECK(reply.ok());
    if (timed) meter.tick();
    meter.add(1, timed ? now_ns() - start : -1);
  }
}

// By the clock, whether the last one was answered or not.
void call_by_the_clock(Env& env, rpc::Channel& channel, const Load& load, Meter& meter) {
  runtime::Nursery callers(env.scheduler());
  EchoRequest request;
  request.set_body(std::string(k_echo_bytes, 'x'));
  const int64_t start = now_ns();
  Call for_ever;
  for (int64_t n = 0; !meter.over();) {
    const int64_t due = start + n * 1'000'000'000 / load.rate;
    meter.tick();
    const int64_t now = now_ns();
    if (now < due) {
      (void)runtime::sleep(for_ever, runtime::Duration(due - now));
      continue;
    }
    ++n;
    callers.spawn("caller", [&, due] {
      Call call = background_call(env, 5s);
      call.trace = {.id = static_cast<uint64_t>(due), .parent = 7};
      if (EchoClient(channel).say(call, request).ok()) meter.add(1, now_ns() - due);
    });
  }
  CHECK(callers.join(for_ever).ok());
}

std::string run_load(Env& env, int port, const Load& load) {
  std::vector<std::unique_ptr<rpc::TcpChannel>> channels;
  EchoRequest request;
  for (int i = 0; i < load.connections; ++i) {
    channels.push_back(std::make_unique<rpc::TcpChannel>(env, "127.0.0.1:" + std::to_string(port)));
    Call call = background_call(env, 5s);
    CHECK(EchoClient(*channels.back()).say(call, request).ok());
  }
  Meter meter(load);
  if (load.rate > 0) {
    call_by_the_clock(env, *channels[0], load, meter);
  } else {
    runtime::Nursery callers(env.scheduler());
    for (const auto& channel : channels) {
      for (int i = 0; i < load.depth; ++i) {
        callers.spawn("caller", [&, one = channel.get()] { call_on(env, *one, load, meter); });
      }
    }
    Call for_ever;
    CHECK(callers.join(for_ever).ok());
  }
  for (const auto& channel : channels) channel->close();
  return meter.said();
}

runtime::OsEnvOptions options_of(LoopWays ways) {
  runtime::OsEnvOptions options;
  options.io = ways.uring ? runtime::LoopIo::uring : runtime::LoopIo::epoll;
  options.spin = ways.spin;
  return options;
}

}  // namespace

int serve_hongyan(bool bare, size_t connections_max, LoopWays ways) {
  if (connections_max > 4096) raise_descriptor_limit(connections_max + 1000);
  const auto env = runtime::make_os_env(options_of(ways));
  env->log().set_level(runtime::LogLevel::error);
  EchoServer echo;
  Counting counting(env->counters());
  rpc::ServerOptions options;
  options.connections_max = connections_max;
  options.overload_control = !bare;
  if (!bare) {
    options.observer = &counting;
    options.limit = {.automatic = true, .fixed = 2000};
  }
  rpc::Server server(*env, connections_max > 4096 ? "0.0.0.0:0" : "127.0.0.1:0", {{&echo, nullptr}}, options);
  std::thread input;
  runtime::run_to_end(env->scheduler(), "start", [&] {
    CHECK(server.start().ok());
    const std::string address = server.address();
    say(address.substr(address.rfind(':') + 1));
  });
  std::thread reader([&] {
    std::string line;
    while (next_question(line)) {
    }
    env->scheduler().stop();
  });
  env->scheduler().run();
  reader.join();
  std::_Exit(0);  // Half a million connections need no goodbye.
}

int load_hongyan(int port, LoopWays ways) {
  const auto env = runtime::make_os_env(options_of(ways));
  env->log().set_level(runtime::LogLevel::error);
  say("ready");
  for (std::string line; next_question(line);) {
    std::string said;
    runtime::run_to_end(env->scheduler(), "load", [&] { said = run_load(*env, port, parse_question(line)); });
    say(said);
  }
  return 0;
}

int load_bytes(int port, bool http) {
  std::string message(k_echo_bytes, 'x');
  size_t answer_bytes = message.size();
  if (http) {
    EchoRequest request;
    request.set_body(message);
    const std::string body = request.SerializeAsString();
    message = "POST /hongyan.bench.Echo/Say HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-protobuf\r\n"
              "Hongyan-Timeout-Ms: 5000\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n"
              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    // One answer is as long as the other.
    const int descriptor = connect_to("127.0.0.1", port);
    CHECK(descriptor >= 0 && send(descriptor, message.data(), message.size(), MSG_NOSIGNAL) > 0);
    char buffer[4096];
    usleep(100'000);
    const ssize_t got = recv(descriptor, buffer, sizeof buffer, 0);
    CHECK(got > 0 && std::strncmp(buffer, "HTTP/1.1 200", 12) == 0);
    answer_bytes = static_cast<size_t>(got);
    close(descriptor);
  }
  say("ready");
  for (std::string line; next_question(line);) say(load_raw(port, parse_question(line), message, answer_bytes));
  return 0;
}

int hold_connections(int port) {
  constexpr size_t k_connections_an_address = 4'000;
  const size_t limit = raise_descriptor_limit(1'000'000);
  say(std::to_string(limit));
  std::vector<int> held;
  std::string ping;
  rpc::put_frame(ping, {.kind = rpc::FrameKind::ping});
  for (std::string line; next_question(line);) {
    const size_t wanted = std::stoul(line);
    bool good = true;
    while (held.size() < wanted && good) {
      const size_t first = held.size();
      for (size_t i = 0; i < 256 && held.size() < wanted && good; ++i) {
        // Each address of the server has 28,000 ports of the caller; the kernel finds one fast while most are free.
        const int descriptor = connect_to("127.0.0." + std::to_string(1 + held.size() / k_connections_an_address), port);
        good = descriptor >= 0 && send(descriptor, ping.data(), ping.size(), MSG_NOSIGNAL) > 0;
        if (descriptor >= 0) held.push_back(descriptor);
      }
      for (size_t i = first; i < held.size() && good; ++i) {
        char pong[256];
        ssize_t got;
        do {
          got = recv(held[i], pong, sizeof pong, 0);
        } while (got < 0 && (errno == EAGAIN || errno == EINTR));
        good = got > 0;
      }
    }
    say(std::to_string(held.size()));
  }
  return 0;
}

}  // namespace hongyan::bench
