// Goal: server and channel together answer every call exactly once with the right code, whatever happens to the
// connection. Method: both in one TestEnv (virtual time, streams in memory); a raw peer where one side misbehaves.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "rpc/frame.h"
#include "rpc/guard.h"
#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "rpc/testing/echo.rpc.pb.h"
#include "runtime/testing/test_env.h"

namespace hongyan::rpc {
namespace {

using runtime::Nursery;
using runtime::Stream;
using testing::EchoClient;
using testing::EchoFake;
using testing::EchoReply;
using testing::EchoRequest;
using namespace std::chrono_literals;

// Counts the writes to its streams.
class CountingNetwork : public runtime::Network {
 public:
  explicit CountingNetwork(runtime::Network& inner) : inner_(inner) {}
  Result<std::unique_ptr<runtime::Listener>> listen(const std::string& address) override {
    auto listener = TRY(inner_.listen(address));
    return std::unique_ptr<runtime::Listener>(new CountingListener(*this, std::move(listener)));
  }
  Result<std::unique_ptr<Stream>> connect(Call& call, const std::string& address) override {
    auto stream = TRY(inner_.connect(call, address));
    return std::unique_ptr<Stream>(new CountingStream(*this, std::move(stream)));
  }
  int writes = 0;

 private:
  struct CountingStream : Stream {
    CountingStream(CountingNetwork& network, std::unique_ptr<Stream> stream)
        : network(network), stream(std::move(stream)) {}
    Result<size_t> read(Call& call, std::span<char> into) override { return stream->read(call, into); }
    Status write(Call& call, std::string_view bytes) override {
      ++network.writes;
      return stream->write(call, bytes);
    }
    Result<runtime::Progress> try_read(std::span<char> into) override { return stream->try_read(into); }
    Result<runtime::Progress> try_write(std::string_view bytes) override {
      ++network.writes;
      return stream->try_write(bytes);
    }
    void watch(runtime::StreamWatcher* watcher) override { stream->watch(watcher); }
    void close() override { stream->close(); }
    std::string peer() const override { return stream->peer(); }
    CountingNetwork& network;
    std::unique_ptr<Stream> stream;
  };
  struct CountingListener : runtime::Listener {
    CountingListener(CountingNetwork& network, std::unique_ptr<Listener> listener)
        : network(network), listener(std::move(listener)) {}
    Result<std::unique_ptr<Stream>> accept(Call& call) override {
      auto stream = TRY(listener->accept(call));
      return std::unique_ptr<Stream>(new CountingStream(network, std::move(stream)));
    }
    std::string address() const override { return listener->address(); }
    void close() override { listener->close(); }
    CountingNetwork& network;
    std::unique_ptr<Listener> listener;
  };
  runtime::Network& inner_;
};

class CountingEnv : public runtime::TestEnv {
 public:
  runtime::Network& network() override { return counting; }
  CountingNetwork counting{runtime::TestEnv::network()};
};

EchoRequest with_body(std::string body) {
  EchoRequest request;
  request.set_body(std::move(body));
  return request;
}

const MethodInfo& method(std::string_view name) {
  const auto methods = testing::echo_methods();
  const auto found = std::ranges::find(methods, name, &MethodInfo::name);
  CHECK(found != methods.end());
  return *found;
}

// A request to Open as it stands on the wire.
std::string request_bytes(uint64_t call_id, const std::string& body,
                          std::optional<runtime::Duration> remaining = {}) {
  std::string out;
  const std::string message = with_body(body).SerializeAsString();
  put_frame(out, {.kind = FrameKind::request, .call_id = call_id, .method = method("Open").id, .remaining = remaining,
                  .body = message});
  return out;
}

struct Received {
  FrameKind kind;
  uint64_t call_id;
  Code code;
  std::string body;
};

// One end of a connection by hand.
class RawPeer {
 public:
  RawPeer(runtime::TestEnv& env, std::unique_ptr<Stream> stream) : env_(env), stream_(std::move(stream)) {}
  static RawPeer connect(runtime::TestEnv& env, const std::string& address) {
    Call call = env.call();
    return RawPeer(env, env.network().connect(call, address).value());
  }
  Status send(std::string_view bytes) {
    Call call = env_.call();
    return stream_->write(call, bytes);
  }
  // The next frame; nothing at the end of the stream.
  std::optional<Received> receive() {
    for (;;) {
      const auto frame = parser_.next();
      EXPECT_TRUE(frame.ok());
      if (!frame.ok()) return std::nullopt;
      if (frame->has_value()) {
        EchoReply reply;
        reply.ParseFromString(std::string((**frame).body));
        return Received{(**frame).kind, (**frame).call_id, (**frame).code, reply.body()};
      }
      Call call = env_.call();
      const auto count = stream_->read(call, parser_.space());
      if (!count.ok() || *count == 0) return std::nullopt;
      parser_.filled(*count);
    }
  }
  void close() { stream_->close(); }

 private:
  runtime::TestEnv& env_;
  std::unique_ptr<Stream> stream_;
  FrameParser parser_;
};

class WireTest : public ::testing::Test {
 protected:
  WireTest() {
    fake_.on_open = [this](Call&, const EchoRequest& request) -> Result<EchoReply> {
      ++handled_;
      if (request.body() == "fail") return Status(Code::not_found, "no such thing");
      EchoReply reply;
      reply.set_body(request.body());
      return reply;
    };
    // Not idempotent, waits as long as the test wants.
    fake_.on_delete_ = [this](Call& call, const EchoRequest& request) -> Result<EchoReply> {
      ++handled_;
      while (!released_) TRY(release_.wait(call.deadline));
      EchoReply reply;
      reply.set_body(request.body());
      return reply;
    };
  }
  ~WireTest() override {
    run([this] { shut_down(); });
  }

  void run(const std::function<void()>& body) { runtime::run_in_coroutine(env_, body); }
  void serve(Interceptor* interceptor = nullptr, ServerOptions options = {}) {
    server_ = std::make_unique<Server>(env_, address_, std::vector<Served>{{&fake_, interceptor}}, options);
    ASSERT_TRUE(server_->start().ok());
    address_ = server_->address();
    if (channel_ == nullptr) channel_ = std::make_unique<TcpChannel>(env_, address_);
  }
  void stop() {
    Call call = env_.call();
    if (server_ != nullptr) server_->close(call);
    server_.reset();
  }
  void shut_down() {
    release();
    stop();
    if (channel_ != nullptr) channel_->close();
    channel_.reset();
  }
  void release() {
    released_ = true;
    release_.wake_all();
  }
  void settle() { (void)runtime::sleep(settled_, 1ms); }
  Result<EchoReply> open(std::string body) {
    Call call = env_.call();
    return EchoClient(*channel_).open(call, with_body(std::move(body)));
  }
  Result<EchoReply> remove(std::string body, runtime::Duration limit = 60s) {
    Call call = background_call(env_, limit);
    return EchoClient(*channel_).delete_(call, with_body(std::move(body)));
  }
  // A server that speaks by hand: takes one connection.
  RawPeer accept(runtime::Listener& listener) {
    Call call = env_.call();
    return RawPeer(env_, listener.accept(call).value());
  }
  std::unique_ptr<runtime::Listener> listen() {
    auto listener = env_.network().listen(address_).value();
    address_ = listener->address();
    channel_ = std::make_unique<TcpChannel>(env_, address_);
    return listener;
  }

  CountingEnv env_;
  Call settled_;
  EchoFake fake_;
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<Server> server_;
  std::unique_ptr<TcpChannel> channel_;
  int handled_ = 0;
  bool released_ = false;
  runtime::WaitList release_;
};

TEST_F(WireTest, answers_and_errors_come_back) {
  run([this] {
    serve();
    EXPECT_EQ(open("hello").value().body(), "hello");
    const auto failed = open("fail");
    EXPECT_EQ(failed.code(), Code::not_found);
    EXPECT_EQ(failed.status().detail(), "no such thing");
    Call call = env_.call();
    EXPECT_EQ(EchoClient(*channel_).own(call, {}).code(), Code::unsupported);
    EXPECT_EQ(server_->connections(), 1u);
  });
}

TEST_F(WireTest, a_thousand_calls_at_once_share_one_connection_and_get_their_own_answers) {
  run([this] {
    serve();
    Nursery callers(env_.scheduler());
    int right = 0;
    for (int i = 0; i < 1000; ++i) {
      callers.spawn("caller", [this, i, &right] {
        const std::string body = std::string(static_cast<size_t>(i % 50) * 40, 'b') + std::to_string(i);
        const auto reply = i % 3 == 0 ? remove(body) : open(body);
        if (reply.ok() && reply->body() == body) ++right;
      });
    }
    settle();
    release();
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_EQ(right, 1000);
    EXPECT_EQ(server_->connections(), 1u);
  });
}

TEST_F(WireTest, answers_overtake_slower_ones) {
  run([this] {
    serve();
    Nursery callers(env_.scheduler());
    callers.spawn("slow", [this] { EXPECT_EQ(remove("slow")->body(), "slow"); });
    settle();
    EXPECT_EQ(open("fast")->body(), "fast");
    EXPECT_EQ(callers.live(), 1u);
    release();
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
  });
}

TEST_F(WireTest, the_call_arrives_as_it_left) {
  run([this] {
    Call seen;
    fake_.on_own = [&seen](Call& call, const EchoRequest&) -> Result<EchoReply> {
      seen = call;
      return EchoReply();
    };
    serve();
    Call call = background_call(env_, 5s);
    const KeyRing ring({{.id = 1, .bytes = std::string(32, 'k')}});
    const std::string ticket = make_service_ticket({{"echo", ring}}, "notify", env_.utc_ms() + 1000);
    call.ticket = std::make_shared<const std::string>(ticket);
    call.trace = {.id = 77, .parent = 78};
    call.priority = {.business = 9, .user = 100};
    ASSERT_TRUE(EchoClient(*channel_).own(call, {}).ok());
    EXPECT_EQ(*seen.ticket, ticket);
    EXPECT_EQ(seen.trace.id, 77u);
    EXPECT_EQ(seen.trace.parent, 78u);
    EXPECT_EQ(seen.priority.business, 9);
    EXPECT_EQ(seen.priority.user, 100);
    EXPECT_EQ(seen.deadline, call.deadline);  // No time passes in this network.
    Call for_ever;
    ASSERT_TRUE(EchoClient(*channel_).own(for_ever, {}).ok());
    EXPECT_EQ(seen.deadline, runtime::k_never);
    EXPECT_EQ(seen.ticket, nullptr);
    EXPECT_EQ(seen.priority.business, 255);  // Nobody vouches for any.
  });
}

TEST_F(WireTest, the_guard_stands_before_the_handler) {
  const KeyRing ring({{.id = 1, .bytes = std::string(32, 'k')}});
  Revocations revocations;
  Guard guard(env_, "echo", ring, {}, revocations);
  run([&] {
    serve(&guard);
    EXPECT_EQ(open("x").code(), Code::unauthenticated);
    EXPECT_EQ(handled_, 0);
    Call call = env_.call();
    call.ticket = std::make_shared<const std::string>(
        make_service_ticket({{"echo", ring}}, "notify", env_.utc_ms() + 1000));
    EXPECT_TRUE(EchoClient(*channel_).open(call, {}).ok());
    stop();  // The guard ends before the fixture.
  });
}

TEST_F(WireTest, a_request_cut_at_every_byte_is_answered) {
  run([this] {
    serve();
    const std::string bytes = request_bytes(1, "cut");
    for (size_t cut = 1; cut < bytes.size(); ++cut) {
      RawPeer peer = RawPeer::connect(env_, address_);
      ASSERT_TRUE(peer.send(bytes.substr(0, cut)).ok());
      settle();
      ASSERT_TRUE(peer.send(bytes.substr(cut)).ok());
      const auto answer = peer.receive();
      ASSERT_TRUE(answer.has_value()) << cut;
      EXPECT_EQ(answer->body, "cut");
    }
  });
}

TEST_F(WireTest, garbage_closes_the_connection_and_no_other) {
  run([this] {
    serve();
    ASSERT_TRUE(open("before").ok());
    std::string oversize = request_bytes(1, "x");
    oversize.replace(8, 4, "\xff\xff\xff\xff");
    std::string answer;
    put_frame(answer, {.kind = FrameKind::answer, .call_id = 1});
    for (const std::string& garbage : {std::string("220 mail\r\n"), std::string("HYxx"), std::string(100'000, '\xff'), oversize, answer,
                                       request_bytes(0, "id 0"), request_bytes(5, "") + request_bytes(5, "again")}) {
      RawPeer peer = RawPeer::connect(env_, address_);
      (void)peer.send(garbage);
      settle();
      EXPECT_EQ(server_->connections(), 1u);  // The channel's.
      EXPECT_EQ(open("still here")->body(), "still here");
    }
    EXPECT_TRUE(env_.log().contains("sent what is no request"));
  });
}

TEST_F(WireTest, what_can_not_be_handled_is_answered_without_a_handler) {
  run([this] {
    serve();
    RawPeer peer = RawPeer::connect(env_, address_);
    std::string unknown;
    put_frame(unknown, {.kind = FrameKind::request, .call_id = 1, .method = 12345});
    std::string unparsable;
    put_frame(unparsable, {.kind = FrameKind::request, .call_id = 2, .method = method("Open").id, .body = "\xff\xff"});
    ASSERT_TRUE(peer.send(unknown + unparsable + request_bytes(3, "late", 0s)).ok());
    EXPECT_EQ(peer.receive()->code, Code::unsupported);
    EXPECT_EQ(peer.receive()->code, Code::invalid);
    const auto late = peer.receive();
    EXPECT_EQ(late->code, Code::deadline);
    EXPECT_EQ(late->call_id, 3u);
    EXPECT_EQ(handled_, 0);
  });
}

TEST_F(WireTest, above_the_limit_in_flight_calls_are_refused_and_the_others_go_on) {
  run([this] {
    serve(nullptr, {.in_flight_max = 3});
    Nursery callers(env_.scheduler());
    int good = 0;
    int refused = 0;
    for (int i = 0; i < 5; ++i) {
      callers.spawn("caller", [&] {
        const Code code = remove("x").code();
        good += code == Code::ok;
        refused += code == Code::overloaded;
      });
    }
    settle();
    EXPECT_EQ(refused, 2);
    release();
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_EQ(good, 3);
    EXPECT_EQ(handled_, 3);
  });
}

TEST_F(WireTest, bodies_up_to_the_limit_pass_and_larger_ones_are_refused_on_both_sides) {
  run([this] {
    serve();
    const std::string large(k_frame_body_bytes_max - 100, 'x');
    EXPECT_EQ(open(large)->body().size(), large.size());
    EXPECT_EQ(open(std::string(k_frame_body_bytes_max + 1, 'x')).code(), Code::too_large);
    EXPECT_EQ(handled_, 1);
    fake_.on_open = [](Call&, const EchoRequest&) -> Result<EchoReply> {
      EchoReply reply;
      reply.set_body(std::string(k_frame_body_bytes_max + 1, 'x'));
      return reply;
    };
    EXPECT_EQ(open("x").code(), Code::too_large);
    fake_.on_open = [](Call&, const EchoRequest&) -> Result<EchoReply> {
      return Status(Code::io, std::string(5000, 'd'));
    };
    EXPECT_EQ(open("x").status().detail().size(), k_frame_detail_bytes_max);
    Call call = env_.call();
    call.ticket = std::make_shared<const std::string>(513, 't');
    EXPECT_EQ(EchoClient(*channel_).open(call, {}).code(), Code::unauthenticated);
  });
}

TEST_F(WireTest, a_call_ends_at_its_deadline_and_a_late_answer_is_ignored) {
  run([this] {
    auto listener = listen();
    Nursery server(env_.scheduler());
    server.spawn("late server", [&] {
      RawPeer peer = accept(*listener);
      const uint64_t first = peer.receive()->call_id;
      std::string late;
      EchoReply reply;
      reply.set_body("late");
      (void)runtime::sleep(settled_, 2s);
      const uint64_t second = peer.receive()->call_id;
      EXPECT_GT(second, first);
      const std::string body = reply.SerializeAsString();
      put_frame(late, {.kind = FrameKind::answer, .call_id = first, .body = body});
      put_frame(late, {.kind = FrameKind::answer, .call_id = 999, .body = body});  // Never asked.
      put_frame(late, {.kind = FrameKind::answer, .call_id = ~uint64_t{0}, .body = body});
      reply.set_body("in time");
      const std::string in_time = reply.SerializeAsString();
      put_frame(late, {.kind = FrameKind::answer, .call_id = second, .body = in_time});
      (void)peer.send(late);
      while (peer.receive()) {
      }
    });
    const runtime::Time start = env_.now();
    EXPECT_EQ(remove("first", 1s).code(), Code::deadline);
    EXPECT_EQ(env_.now() - start, 1s);
    EXPECT_EQ(remove("second", 5s)->body(), "in time");
    channel_->close();
    Call call = env_.call();
    ASSERT_TRUE(server.join(call).ok());
  });
}

TEST_F(WireTest, a_call_without_time_left_does_not_leave) {
  run([this] {
    serve();
    Call call = env_.call();
    call.deadline = env_.now();
    EXPECT_EQ(EchoClient(*channel_).open(call, {}).code(), Code::deadline);
    EXPECT_EQ(handled_, 0);
    EXPECT_EQ(server_->connections(), 0u);
  });
}

TEST_F(WireTest, a_cancelled_caller_leaves_and_the_connection_stays) {
  run([this] {
    serve();
    Nursery callers(env_.scheduler());
    Code code = Code::ok;
    callers.spawn("caller", [&] { code = remove("x").code(); });
    settle();
    callers.cancel_and_join();
    EXPECT_EQ(code, Code::cancelled);
    EXPECT_TRUE(open("next").ok());
    EXPECT_EQ(server_->connections(), 1u);
  });
}

TEST_F(WireTest, without_a_server_calls_fail_at_once_and_recover_after_a_pause) {
  run([this] {
    serve();
    stop();
    const runtime::Time start = env_.now();
    EXPECT_EQ(open("x").code(), Code::unavailable);
    EXPECT_EQ(open("x").code(), Code::unavailable);  // In the pause.
    EXPECT_EQ(env_.now(), start);
    serve();
    int tries = 0;
    while (!open("x").ok()) {
      ASSERT_LT(++tries, 100);
      (void)runtime::sleep(settled_, 10ms);
    }
    EXPECT_LE(env_.now() - start, 60ms);
  });
}

TEST_F(WireTest, pauses_grow_while_the_server_is_away_and_stay_bounded) {
  run([this] {
    serve();
    stop();
    runtime::Duration waited{};
    for (int failures = 0; failures < 12; ++failures) {
      EXPECT_EQ(open("x").code(), Code::unavailable);
      const runtime::Time start = env_.now();
      while (open("x").status().detail().find("a moment ago") != std::string::npos) {
        (void)runtime::sleep(settled_, 1ms);
      }
      waited = env_.now() - start;
    }
    EXPECT_GE(waited, 900ms);
    EXPECT_LE(waited, 2100ms);
  });
}

TEST_F(WireTest, a_connection_lost_before_the_answer_leaves_the_outcome_unknown) {
  run([this] {
    auto listener = listen();
    Nursery server(env_.scheduler());
    server.spawn("server that hangs up", [&] {
      RawPeer peer = accept(*listener);
      Call call = env_.call();
      settle();
      peer.close();
    });
    EXPECT_EQ(remove("x").code(), Code::unknown_outcome);
    Call call = env_.call();
    ASSERT_TRUE(server.join(call).ok());
  });
}

TEST_F(WireTest, an_idempotent_call_is_made_once_more_on_a_new_connection) {
  run([this] {
    auto listener = listen();
    Nursery server(env_.scheduler());
    int served = 0;
    server.spawn("server that hangs up once", [&] {
      EchoReply reply;
      reply.set_body("second");
      for (const bool last : {false, true}) {
        RawPeer peer = accept(*listener);
        const uint64_t id = peer.receive()->call_id;
        std::string bytes;
        put_frame(bytes, {.kind = FrameKind::pong});  // It works, so the channel does not pause.
        const std::string body = reply.SerializeAsString();
        if (last) put_frame(bytes, {.kind = FrameKind::answer, .call_id = id, .body = body});
        (void)peer.send(bytes);
        settle();
        ++served;
      }
    });
    EXPECT_EQ(open("x")->body(), "second");
    Call call = env_.call();
    ASSERT_TRUE(server.join(call).ok());
    EXPECT_EQ(served, 2);
  });
}

TEST_F(WireTest, a_connection_that_breaks_the_protocol_is_dropped) {
  run([this] {
    auto listener = listen();
    Nursery server(env_.scheduler());
    server.spawn("babbling server", [&] {
      RawPeer peer = accept(*listener);
      settle();
      (void)peer.send("220 mail.example.org ESMTP\r\n");
      settle();
    });
    EXPECT_EQ(remove("x").code(), Code::unknown_outcome);
    Call call = env_.call();
    ASSERT_TRUE(server.join(call).ok());
  });
}

TEST_F(WireTest, a_closing_server_finishes_what_it_took) {
  run([this] {
    serve();
    Nursery callers(env_.scheduler());
    Code code = Code::internal;
    callers.spawn("caller", [&] { code = remove("x").code(); });
    settle();
    callers.spawn("closer", [&] { stop(); });
    settle();
    EXPECT_EQ(open("y").code(), Code::unavailable);  // The old connection takes nothing, a new one is refused.
    release();
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_EQ(code, Code::ok);
    EXPECT_EQ(handled_, 1);
  });
}

TEST_F(WireTest, a_server_closes_at_its_deadline_though_handlers_hang) {
  run([this] {
    serve();
    Nursery callers(env_.scheduler());
    Code code = Code::ok;
    callers.spawn("caller", [&] { code = remove("x").code(); });
    settle();
    const runtime::Time start = env_.now();
    Call limit = background_call(env_, 3s);
    server_->close(limit);
    EXPECT_LE(env_.now() - start, 3s);
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_NE(code, Code::ok);
  });
}

TEST_F(WireTest, a_restarted_server_is_reached_by_the_next_call) {
  run([this] {
    serve();
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(open("x").ok()) << i;
      stop();
      serve();
    }
    EXPECT_EQ(handled_, 5);
  });
}

TEST_F(WireTest, requests_that_a_closing_server_never_started_go_to_the_next_one) {
  run([this] {
    auto listener = listen();
    Nursery server(env_.scheduler());
    server.spawn("two servers", [&] {
      RawPeer first = accept(*listener);
      settle();
      std::string goodbye;
      put_frame(goodbye, {.kind = FrameKind::goodbye, .call_id = 0});
      (void)first.send(goodbye);
      RawPeer second = accept(*listener);
      std::string answer;
      put_frame(answer, {.kind = FrameKind::answer, .call_id = second.receive()->call_id});
      (void)second.send(answer);
      settle();
    });
    EXPECT_TRUE(remove("not idempotent").ok());
    Call call = env_.call();
    ASSERT_TRUE(server.join(call).ok());
  });
}

TEST_F(WireTest, an_idle_connection_stays_and_a_silent_peer_is_given_up) {
  run([this] {
    serve();
    ASSERT_TRUE(open("x").ok());
    (void)runtime::sleep(settled_, 600s);
    EXPECT_EQ(server_->connections(), 1u);
    ASSERT_TRUE(open("x").ok());
    stop();
    channel_->close();
    channel_.reset();

    address_ = "127.0.0.1:0";
    auto listener = listen();
    Nursery server(env_.scheduler());
    server.spawn("dead server", [&] {
      RawPeer peer = accept(*listener);
      (void)runtime::sleep(settled_, 100s);
    });
    const runtime::Time start = env_.now();
    EXPECT_EQ(remove("x").code(), Code::unknown_outcome);
    EXPECT_EQ(env_.now() - start, 20s);
    Call call = background_call(env_, 200s);
    ASSERT_TRUE(server.join(call).ok());
  });
}

TEST_F(WireTest, a_peer_that_says_nothing_is_closed_by_the_server) {
  run([this] {
    serve();
    RawPeer peer = RawPeer::connect(env_, address_);
    settle();
    EXPECT_EQ(server_->connections(), 1u);
    (void)runtime::sleep(settled_, 61s);
    EXPECT_EQ(server_->connections(), 0u);
  });
}

TEST_F(WireTest, a_peer_that_does_not_read_its_answers_is_not_read_from) {
  run([this] {
    serve();
    RawPeer peer = RawPeer::connect(env_, address_);
    std::string bytes;
    for (uint64_t id = 1; id <= 200; ++id) bytes += request_bytes(id, std::string(100'000, 'x'));
    EXPECT_EQ(peer.send(bytes).code(), Code::closed);  // 20 MB; the server gives up after 30 s without progress.
    EXPECT_LT(handled_, 100);
    settle();
    EXPECT_EQ(server_->connections(), 0u);
  });
}

TEST_F(WireTest, closing_the_channel_ends_its_calls) {
  run([this] {
    serve();
    Nursery callers(env_.scheduler());
    Code code = Code::ok;
    callers.spawn("caller", [&] { code = remove("x").code(); });
    settle();
    channel_->close();
    EXPECT_EQ(open("y").code(), Code::closed);
    Call call = env_.call();
    ASSERT_TRUE(callers.join(call).ok());
    EXPECT_EQ(code, Code::closed);
  });
}

TEST_F(WireTest, what_one_turn_of_the_loop_adds_leaves_in_one_write_on_each_side) {
  run([this] {
    serve();
    ASSERT_TRUE(open("connect").ok());
    const auto writes_of = [&](int calls) {
      env_.counting.writes = 0;
      Nursery callers(env_.scheduler());
      int good = 0;
      for (int i = 0; i < calls; ++i) callers.spawn("caller", [&] { good += open("x").ok(); });
      Call call = env_.call();
      EXPECT_TRUE(callers.join(call).ok());
      EXPECT_EQ(good, calls);
      return env_.counting.writes;
    };
    EXPECT_EQ(writes_of(50), 2);   // One of requests, one of answers.
    EXPECT_EQ(writes_of(100), 3);  // Beyond 6 KiB of requests the server need not wait for the others,
    EXPECT_EQ(writes_of(400), 4);  // and each write is twice as large as the one before.
    EXPECT_EQ(writes_of(50), 2);
  });
}

}  // namespace
}  // namespace hongyan::rpc
