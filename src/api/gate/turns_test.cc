// Goal: strangers hold friends up by one of theirs, whatever their number; what was measured of a wait is true. Method:
// coroutines that note who ran; virtual time that passes only where the test says so.
#include "api/gate/turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "runtime/testing/test_env.h"

namespace hongyan::api {
namespace {

using namespace std::chrono_literals;
using runtime::Time;

class TurnsTest : public ::testing::Test {
 protected:
  runtime::TestEnv env_;
  runtime::Scheduler& scheduler_ = env_.scheduler();
  Turnstile turnstile_{scheduler_};
  std::string ran_;  // A letter for each who had its turn.
};

TEST_F(TurnsTest, strangers_pass_in_the_order_in_which_they_came) {
  runtime::run_in_coroutine(env_, [&] {
    runtime::Nursery strangers(scheduler_);
    for (char c = 'a'; c <= 'z'; ++c) {
      strangers.spawn("stranger", [this, c] {
        Credit none;
        EXPECT_TRUE(none.pass(turnstile_));
        ran_ += c;
      });
    }
    Call call;
    ASSERT_TRUE(strangers.join(call).ok());
  });
  EXPECT_EQ(ran_, "abcdefghijklmnopqrstuvwxyz");
}

TEST_F(TurnsTest, between_two_strangers_everybody_else_who_is_ready_has_a_turn) {
  runtime::run_in_coroutine(env_, [&] {
    bool stop = false;
    runtime::Nursery others(scheduler_), strangers(scheduler_);
    for (int i = 0; i < 5; ++i) {
      others.spawn("friend", [this, &stop] {
        Credit credit{.good = true};
        while (!stop) {
          EXPECT_FALSE(credit.pass(turnstile_));
          ran_ += 'F';
          env_.advance(150us);  // Two of them are more than a slice of the loop.
          scheduler_.yield();
        }
      });
    }
    for (int i = 0; i < 100; ++i) {
      strangers.spawn("stranger", [this] {
        turnstile_.pass();
        ran_ += 's';
        env_.advance(1ms);
      });
    }
    Call call;
    ASSERT_TRUE(strangers.join(call).ok());
    stop = true;
    ASSERT_TRUE(others.join(call).ok());
  });
  EXPECT_EQ(std::count(ran_.begin(), ran_.end(), 's'), 100);
  // All together they stand in the queue as one: after each of them at least four of the five.
  size_t last = ran_.find('s');
  for (size_t next = ran_.find('s', last + 1); next != std::string::npos; last = next, next = ran_.find('s', last + 1)) {
    ASSERT_GE(next - last, 5u) << ran_;
  }
}

TEST_F(TurnsTest, requests_of_one_connection_keep_their_order_when_it_earns_credit_meanwhile) {
  runtime::run_in_coroutine(env_, [&] {
    Credit credit;
    runtime::Nursery requests(scheduler_);
    for (char c = 'a'; c <= 'h'; ++c) {
      requests.spawn("request", [this, &credit, c] {
        (void)credit.pass(turnstile_);
        ran_ += c;
        credit.good = true;
      });
    }
    Call call;
    ASSERT_TRUE(requests.join(call).ok());
    EXPECT_FALSE(credit.pass(turnstile_));
  });
  EXPECT_EQ(ran_, "abcdefgh");
}

TEST_F(TurnsTest, alone_nobody_waits) {
  runtime::run_in_coroutine(env_, [&] {
    const Time start = scheduler_.read_clock();
    for (int i = 0; i < 100; ++i) turnstile_.pass();
    EXPECT_EQ(scheduler_.read_clock(), start);
  });
}

class ArrivalsTest : public TurnsTest {
 protected:
  // `body` with both ends of a connection.
  void with_streams(const std::function<void(runtime::Stream& here, runtime::Stream& there)>& body) {
    runtime::run_in_coroutine(env_, [&] {
      Call call = env_.call();
      auto listener = env_.network().listen("127.0.0.1:0").value();
      auto there = env_.network().connect(call, listener->address()).value();
      auto here = listener->accept(call).value();
      arrivals_.watch(*here);
      body(*here, *there);
      here->close();
    });
  }
  Time read(runtime::Stream& stream) {
    char buffer[100];
    Call call;
    EXPECT_TRUE(arrivals_.read(stream, call, buffer).ok());
    return arrivals_.last();
  }
  void write(runtime::Stream& stream) {
    Call call;
    EXPECT_TRUE(stream.write(call, "x").ok());
  }

  Arrivals arrivals_{scheduler_};
};

TEST_F(ArrivalsTest, what_comes_while_somebody_reads_came_when_the_stream_was_readable) {
  with_streams([&](runtime::Stream& here, runtime::Stream& there) {
    runtime::Nursery nursery(scheduler_);
    Time came{}, written{};
    nursery.spawn("reader", [&] { came = read(here); });
    Call call;
    ASSERT_TRUE(runtime::sleep(call, 5s).ok());
    written = scheduler_.read_clock();
    write(there);
    env_.advance(70ms);  // Others have the loop before the reader does.
    ASSERT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(came, written);
    EXPECT_EQ(scheduler_.read_clock() - came, 70ms);
  });
}

TEST_F(ArrivalsTest, what_was_there_before_counts_from_when_reading_began) {
  with_streams([&](runtime::Stream& here, runtime::Stream& there) {
    write(there);
    env_.advance(3s);  // The reader was busy with what it had read before.
    EXPECT_EQ(read(here), scheduler_.read_clock());
  });
}

TEST_F(ArrivalsTest, an_event_that_told_of_nothing_new_makes_nobody_look_late) {
  with_streams([&](runtime::Stream& here, runtime::Stream& there) {
    write(there);
    (void)read(here);
    write(there);
    (void)read(here);  // Its event came while nobody read.
    Call call;
    runtime::Nursery nursery(scheduler_);
    Time came{};
    nursery.spawn("reader", [&] { came = read(here); });
    ASSERT_TRUE(runtime::sleep(call, 10s).ok());
    const Time written = scheduler_.read_clock();
    write(there);
    ASSERT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(came, written);
  });
}

TEST_F(TurnsTest, the_lag_is_the_rest_of_the_turn_and_is_soon_forgotten) {
  runtime::run_in_coroutine(env_, [&] {
    LoopLag lag(scheduler_);
    EXPECT_EQ(lag.last(scheduler_.read_clock()), 0ms);
    lag.measure();
    env_.advance(40ms);
    Call call;
    ASSERT_TRUE(runtime::sleep(call, 1ms).ok());
    EXPECT_EQ(lag.last(scheduler_.read_clock()), 40ms);
    EXPECT_EQ(lag.last(scheduler_.read_clock() + 98ms), 40ms);
    EXPECT_EQ(lag.last(scheduler_.read_clock() + 100ms), 0ms);
  });
}

}  // namespace
}  // namespace hongyan::api
