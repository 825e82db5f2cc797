// What libc's functions do inside a Scope, seen as a library sees them, on real sockets and files.
// Built three times: with shared libraries, -static and -static-pie.
#include "runtime/hook/hook.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/os/os_env.h"

extern "C" ssize_t __recv_chk(int, void*, size_t, size_t, int);

namespace hongyan {
namespace {

using runtime::Nursery;
using runtime::hook::Scope;
using namespace std::chrono_literals;

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// With each of what a loop may wait in, and who may do its files.
struct Way {
  const char* name;
  runtime::LoopIo io;
  runtime::FileIo files;
  const char* described;
};

class HookTest : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    if (runtime::describe_io(*env_) != GetParam().described) GTEST_SKIP() << "no io_uring";
  }
  HookTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair_), 0); }
  ~HookTest() override {
    close(pair_[0]);
    close(pair_[1]);
  }

  static std::unique_ptr<Env> make(const Way& way) {
    runtime::OsEnvOptions options;
    options.io = way.io;
    options.files = way.files;
    return runtime::make_os_env(options);
  }
  void run(const std::function<void()>& body) {
    runtime::run_to_end(env_->scheduler(), "test", body);
  }
  // Runs them as coroutines in Scopes of `limit`, at once.
  void together(std::vector<std::function<void()>> bodies, runtime::Duration limit = 30s) {
    run([&] {
      access("/hook-begin", F_OK);  // Marks for those who trace it (tests/run.d/37-hooks.py).
      Nursery nursery(env_->scheduler());
      for (auto& body : bodies) {
        nursery.spawn(
            "foreign",
            [&] {
              Scope scope(*env_, background_call(*env_, limit));
              body();
            },
            runtime::StackSize::k256);
      }
      Call call = background_call(*env_, 60s);
      EXPECT_TRUE(nursery.join(call).ok());
      access("/hook-end", F_OK);
    });
  }
  void alone(const std::function<void()>& body, runtime::Duration limit = 30s) {
    together({body}, limit);
  }

  void set_timeout(int descriptor, int option, std::chrono::microseconds time) {
    const timeval value{.tv_sec = 0, .tv_usec = time.count()};
    ASSERT_EQ(setsockopt(descriptor, SOL_SOCKET, option, &value, sizeof(value)), 0);
  }

  std::unique_ptr<Env> env_ = make(GetParam());
  int pair_[2] = {-1, -1};
};

TEST_P(HookTest, recv_lets_others_run_until_there_is_something) {
  std::string order;
  together({[&] {
              char byte = 0;
              order += "a";
              EXPECT_EQ(recv(pair_[0], &byte, 1, 0), 1);
              order += byte;
            },
            [&] {
              order += "b";
              EXPECT_EQ(send(pair_[1], "c", 1, 0), 1);
            }});
  EXPECT_EQ(order, "abc");
}

TEST_P(HookTest, outside_of_a_scope_and_without_hooks_the_loop_is_blocked) {
  set_timeout(pair_[0], SO_RCVTIMEO, 20ms);
  for (const bool in_scope : {false, true}) {
    bool other_ran = false;
    run([&] {
      Nursery nursery(env_->scheduler());
      nursery.spawn("other", [&] { other_ran = true; });
      const auto receive = [&] {
        char byte = 0;
        EXPECT_EQ(recv(pair_[0], &byte, 1, 0), -1);
        EXPECT_TRUE(errno == EAGAIN || errno == EINTR);  // Or the stall detector has come to look.
        EXPECT_FALSE(other_ran);
      };
      if (in_scope) {
        Scope scope(*env_, background_call(*env_, 1s));
        runtime::hook::WithoutHooks without;
        receive();
      } else {
        receive();
      }
      Call call = background_call(*env_, 1s);
      EXPECT_TRUE(nursery.join(call).ok());
    });
  }
}

TEST_P(HookTest, what_a_library_set_on_a_socket_is_what_it_sees) {
  set_timeout(pair_[0], SO_RCVTIMEO, 40ms);  // The kernel keeps whole ticks.
  together({[&] {
              char byte = 0;
              const auto start = std::chrono::steady_clock::now();
              EXPECT_EQ(recv(pair_[0], &byte, 1, 0), -1);
              EXPECT_EQ(errno, EAGAIN);
              EXPECT_GE(milliseconds_since(start), 39);
            },
            [&] {  // While the other waits.
              EXPECT_EQ(fcntl(pair_[0], F_GETFL) & O_NONBLOCK, 0);
              timeval value{};
              socklen_t bytes = sizeof(value);
              EXPECT_EQ(getsockopt(pair_[0], SOL_SOCKET, SO_RCVTIMEO, &value, &bytes), 0);
              EXPECT_EQ(value.tv_usec, 40'000);

              EXPECT_EQ(fcntl(pair_[1], F_SETFL, O_NONBLOCK), 0);
              EXPECT_NE(fcntl(pair_[1], F_GETFL) & O_NONBLOCK, 0);
              char byte = 0;
              EXPECT_EQ(recv(pair_[1], &byte, 1, 0), -1);
              EXPECT_EQ(errno, EAGAIN);
              EXPECT_EQ(read(pair_[1], &byte, 1), -1);
              EXPECT_EQ(errno, EAGAIN);
            }});
}

TEST_P(HookTest, a_wait_ends_with_the_deadline_of_the_call) {
  const auto start = std::chrono::steady_clock::now();
  alone(
      [&] {
        char byte = 0;
        EXPECT_EQ(read(pair_[0], &byte, 1), -1);
        EXPECT_EQ(errno, ETIMEDOUT);
        pollfd item{.fd = pair_[0], .events = POLLIN, .revents = 0};
        EXPECT_EQ(poll(&item, 1, -1), 0);
        EXPECT_EQ(sleep(10), 0u);
        EXPECT_EQ(send(pair_[1], "x", 1, 0), 1);  // What need not wait still works.
        EXPECT_EQ(read(pair_[0], &byte, 1), 1);
      },
      50ms);
  EXPECT_GE(milliseconds_since(start), 49);
  EXPECT_LT(milliseconds_since(start), 5000);
}

TEST_P(HookTest, an_inner_scope_has_the_earlier_deadline) {
  alone(
      [&] {
        Scope inner(*env_, background_call(*env_, 1h));
        char byte = 0;
        EXPECT_EQ(read(pair_[0], &byte, 1), -1);
        EXPECT_EQ(errno, ETIMEDOUT);
      },
      20ms);
}

TEST_P(HookTest, a_cancelled_coroutine_waits_for_nothing) {
  run([&] {
    Nursery nursery(env_->scheduler());
    bool done = false;
    nursery.spawn("foreign", [&] {
      Scope scope(*env_, Call{});
      char byte = 0;
      EXPECT_EQ(recv(pair_[0], &byte, 1, 0), -1);
      EXPECT_EQ(errno, ECANCELED);
      pollfd item{.fd = pair_[0], .events = POLLIN, .revents = 0};
      EXPECT_EQ(poll(&item, 1, -1), -1);
      EXPECT_EQ(errno, ECANCELED);
      usleep(10'000'000);
      done = true;
    });
    Call call = background_call(*env_, 10s);
    EXPECT_TRUE(runtime::sleep(call, 5ms).ok());
    EXPECT_FALSE(done);
    nursery.cancel_and_join();
    EXPECT_TRUE(done);
  });
}

// More than the kernel's buffers hold, in every form of sending.
TEST_P(HookTest, a_blocking_send_sends_all) {
  const std::string bytes(3'000'000, 'x');
  size_t received = 0;
  together({[&] {
              EXPECT_EQ(send(pair_[1], bytes.data(), bytes.size(), 0),
                        static_cast<ssize_t>(bytes.size()));
              EXPECT_EQ(write(pair_[1], bytes.data(), bytes.size()),
                        static_cast<ssize_t>(bytes.size()));
              iovec parts[3] = {{const_cast<char*>(bytes.data()), 1'000'000},
                                {nullptr, 0},
                                {const_cast<char*>(bytes.data()), 2'000'000}};
              EXPECT_EQ(writev(pair_[1], parts, 3), 3'000'000);
              shutdown(pair_[1], SHUT_WR);
            },
            [&] {
              char piece[65'536];
              for (ssize_t got = 1; got > 0; received += static_cast<size_t>(got)) {
                got = read(pair_[0], piece, sizeof(piece));
                ASSERT_GE(got, 0);
              }
            }});
  EXPECT_EQ(received, 3 * bytes.size());
}

TEST_P(HookTest, a_send_timeout_says_how_much_went) {
  set_timeout(pair_[1], SO_SNDTIMEO, 20ms);
  const std::string bytes(3'000'000, 'x');
  alone([&] {
    const ssize_t sent = send(pair_[1], bytes.data(), bytes.size(), 0);
    EXPECT_GT(sent, 0);
    EXPECT_LT(sent, 3'000'000);
    EXPECT_EQ(send(pair_[1], bytes.data(), 1'000'000, 0), -1);
    EXPECT_EQ(errno, EAGAIN);
  });
}

TEST_P(HookTest, waitall_gathers_and_the_checked_form_reads) {
  together({[&] {
              char bytes[7] = {};
              EXPECT_EQ(recv(pair_[0], bytes, 6, MSG_WAITALL), 6);
              EXPECT_STREQ(bytes, "abcdef");
              EXPECT_EQ(__recv_chk(pair_[0], bytes, 1, sizeof(bytes), 0), 1);
            },
            [&] {
              for (const char* piece : {"ab", "cd", "ef", "g"}) {
                EXPECT_GT(send(pair_[1], piece, strlen(piece), 0), 0);
                usleep(1000);
              }
            }});
}

TEST_P(HookTest, two_coroutines_wait_for_one_socket) {
  const std::string bytes(2'000'000, 'x');
  together({[&] {
              char byte = 0;
              EXPECT_EQ(recv(pair_[0], &byte, 1, 0), 1);
            },
            [&] { EXPECT_EQ(send(pair_[0], bytes.data(), bytes.size(), 0), 2'000'000); },
            [&] {
              char piece[65'536];
              for (size_t received = 0; received < bytes.size();) {
                const ssize_t got = recv(pair_[1], piece, sizeof(piece), 0);
                ASSERT_GT(got, 0);
                received += static_cast<size_t>(got);
              }
              EXPECT_EQ(send(pair_[1], "x", 1, 0), 1);
            }});
}

TEST_P(HookTest, poll_select_and_epoll_wait_for_what_comes_first) {
  int other[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
  together({[&] {
              pollfd items[3] = {{pair_[0], POLLIN, 0}, {-1, POLLIN, 0}, {other[0], POLLIN, 0}};
              EXPECT_EQ(poll(items, 3, 10'000), 1);
              EXPECT_EQ(items[0].revents, 0);
              EXPECT_EQ(items[2].revents, POLLIN);
            },
            [&] {
              fd_set readable;
              FD_ZERO(&readable);
              FD_SET(pair_[0], &readable);
              FD_SET(other[0], &readable);
              timeval time{.tv_sec = 10, .tv_usec = 0};
              EXPECT_EQ(
                  select(std::max(pair_[0], other[0]) + 1, &readable, nullptr, nullptr, &time), 1);
              EXPECT_FALSE(FD_ISSET(pair_[0], &readable));
              EXPECT_TRUE(FD_ISSET(other[0], &readable));
              EXPECT_LT(time.tv_sec, 10);
            },
            [&] {
              const int set = epoll_create1(0);
              epoll_event event{.events = EPOLLIN, .data = {.fd = other[0]}};
              EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, other[0], &event), 0);
              epoll_event events[4];
              EXPECT_EQ(epoll_wait(set, events, 4, 10'000), 1);
              EXPECT_EQ(events[0].data.fd, other[0]);
              close(set);
            },
            [&] {
              usleep(2000);
              EXPECT_EQ(send(other[1], "x", 1, 0), 1);
            },
            [&] {
              pollfd item{pair_[0], POLLIN, 0};
              const auto start = std::chrono::steady_clock::now();
              EXPECT_EQ(poll(&item, 1, 15), 0);
              EXPECT_GE(milliseconds_since(start), 14.9);
              EXPECT_EQ(poll(nullptr, 0, 5), 0);
            }});
  close(other[0]);
  close(other[1]);
}

TEST_P(HookTest, connect_and_accept_wait) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof(address);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  ASSERT_EQ(listen(listener, 4), 0);
  together({[&] {
              const int accepted = accept(listener, nullptr, nullptr);
              ASSERT_GE(accepted, 0);
              EXPECT_EQ(fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
              char byte = 0;
              EXPECT_EQ(read(accepted, &byte, 1), 1);
              close(accepted);
            },
            [&] {
              const int client = socket(AF_INET, SOCK_STREAM, 0);
              EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
              EXPECT_EQ(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
              EXPECT_EQ(write(client, "x", 1), 1);
              close(client);
            }});
  close(listener);
  alone([&] {
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
    close(client);
  });
}

// A local listener whose queue is full says EAGAIN to whoever does not wait.
TEST_P(HookTest, connect_waits_for_room_in_the_queue_of_a_local_listener) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socklen_t bytes = sizeof(sa_family_t);  // The kernel chooses an abstract name.
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), bytes), 0);
  bytes = sizeof(address);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  ASSERT_EQ(listen(listener, 0), 0);
  int connected = 0;
  const auto client = [&] {
    const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(connect(descriptor, reinterpret_cast<sockaddr*>(&address), bytes), 0)
        << strerror(errno);
    ++connected;
    close(descriptor);
  };
  const auto server = [&] {
    usleep(5000);
    EXPECT_LT(connected, 4);
    for (int i = 0; i < 4; ++i) close(accept(listener, nullptr, nullptr));
  };
  together({client, client, client, client, server});
  EXPECT_EQ(connected, 4);
  close(listener);
}

TEST_P(HookTest, who_waits_for_a_descriptor_is_told_that_it_was_closed) {
  int other[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
  together({[&] {
              char byte = 0;
              EXPECT_EQ(recv(other[0], &byte, 1, 0), -1);
              EXPECT_EQ(errno, EBADF);
            },
            [&] {
              EXPECT_EQ(close(other[0]), 0);
              int next[2];
              ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, next), 0);
              EXPECT_EQ(next[0], other[0]);  // The number lives on.
              usleep(1000);
              EXPECT_EQ(send(next[1], "x", 1, 0), 1);
              char byte = 0;
              EXPECT_EQ(recv(next[0], &byte, 1, 0), 1);
              close(next[0]);
              close(next[1]);
            }});
  close(other[1]);
}

TEST_P(HookTest, a_number_that_was_closed_unseen_sends_the_old_waiter_away) {
  int other[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
  together({[&] {
              char byte = 0;
              EXPECT_EQ(recv(other[0], &byte, 1, 0), -1);
              EXPECT_EQ(errno, EBADF);
            },
            [&] {
              {
                runtime::hook::WithoutHooks unseen;
                EXPECT_EQ(close(other[0]), 0);
              }
              int next[2];
              ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, next), 0);
              ASSERT_EQ(next[0], other[0]);
              set_timeout(next[0], SO_RCVTIMEO, 10ms);
              char byte = 0;
              EXPECT_EQ(recv(next[0], &byte, 1, 0), -1);
              EXPECT_EQ(errno, EAGAIN);
              close(next[0]);
              close(next[1]);
            }});
  close(other[1]);
}

TEST_P(HookTest, pipes_wait_in_both_directions) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string bytes(1'000'000, 'x');
  size_t received = 0;
  together({[&] {
              EXPECT_EQ(write(ends[1], bytes.data(), bytes.size()), 1'000'000);
              EXPECT_EQ(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
              close(ends[1]);
            },
            [&] {
              char piece[10'000];
              for (ssize_t got = 1; got > 0; received += static_cast<size_t>(got)) {
                got = read(ends[0], piece, sizeof(piece));
                ASSERT_GE(got, 0);
              }
            }});
  EXPECT_EQ(received, bytes.size());
  close(ends[0]);
}

TEST_P(HookTest, a_hundred_sleeps_take_as_long_as_one) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::function<void()>> bodies;
  for (int i = 0; i < 100; ++i) {
    bodies.push_back([i] {
      const auto begin = std::chrono::steady_clock::now();
      timespec time{.tv_sec = 0, .tv_nsec = 100'000'000};
      EXPECT_EQ(i % 2 == 0 ? usleep(100'000) : nanosleep(&time, nullptr), 0);
      EXPECT_GE(milliseconds_since(begin), 100);
    });
  }
  together(std::move(bodies));
  EXPECT_LT(milliseconds_since(start), 1000);
}

TEST_P(HookTest, files_are_read_and_written_off_the_loop) {
  char path[] = "/tmp/hook_test.XXXXXX";
  const int file = mkstemp(path);
  ASSERT_GE(file, 0);
  const std::string bytes(2'000'000, 'y');
  int turns = 0;
  bool done = false;
  together({[&] {
              EXPECT_EQ(pwrite(file, bytes.data(), bytes.size(), 10), 2'000'000);
              EXPECT_GT(turns, 0);  // The loop went on.
              EXPECT_EQ(fsync(file), 0);
              std::string back(2'000'100, '\0');
              EXPECT_EQ(pread(file, back.data(), back.size(), 10), 2'000'000);
              EXPECT_EQ(back.substr(0, bytes.size()), bytes);
              EXPECT_EQ(pread(file, back.data(), 5, 3'000'000), 0);
              EXPECT_EQ(lseek(file, 0, SEEK_END), 2'000'010);
              EXPECT_EQ(write(file, "end", 3), 3);
              EXPECT_EQ(lseek(file, -3, SEEK_CUR), 2'000'010);
              EXPECT_EQ(read(file, back.data(), 10), 3);
              EXPECT_EQ(read(file, back.data(), 10), 0);
              struct stat status {};
              EXPECT_EQ(stat(path, &status), 0);
              EXPECT_EQ(status.st_size, 2'000'013);
              const int again = open(path, O_RDONLY);
              EXPECT_GE(again, 0);
              EXPECT_EQ(close(again), 0);
              EXPECT_EQ(open("/no/such/file", O_RDONLY), -1);
              EXPECT_EQ(errno, ENOENT);
              EXPECT_EQ(unlink(path), 0);
              EXPECT_EQ(access(path, F_OK), -1);
              done = true;
            },
            [&] {
              for (; !done; ++turns) env_->scheduler().yield();
            }});
  close(file);
}

// Also of a file whose owner asked not to wait: for regular files that means nothing.
TEST_P(HookTest, what_is_not_in_memory_is_read_off_the_loop) {
  char path[] = "/tmp/hook_test.XXXXXX";
  const int file = mkstemp(path);
  ASSERT_GE(file, 0);
  const std::string bytes(200'000, 'y');
  ASSERT_EQ(write(file, bytes.data(), bytes.size()), 200'000);
  for (const int flags : {O_RDONLY, O_RDONLY | O_NONBLOCK}) {
    ASSERT_EQ(fsync(file), 0);
    ASSERT_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    const int again = open(path, flags);
    alone([&] {
      std::string back(200'000, '\0');
      EXPECT_EQ(pread(again, back.data(), back.size(), 0), 200'000);
      EXPECT_EQ(back, bytes);
      EXPECT_EQ(read(again, back.data(), 10), 10);
      EXPECT_EQ(lseek(again, 0, SEEK_CUR), 10);
    });
    close(again);
  }
  unlink(path);
  close(file);
}

TEST_P(HookTest, names_are_looked_up_on_the_pool) {
  bool done = false;
  int turns = 0;
  together(
      {[&] {
         addrinfo* found = nullptr;
         const addrinfo hints{.ai_flags = 0,
                              .ai_family = AF_INET,
                              .ai_socktype = SOCK_STREAM,
                              .ai_protocol = 0,
                              .ai_addrlen = 0,
                              .ai_addr = nullptr,
                              .ai_canonname = nullptr,
                              .ai_next = nullptr};
         EXPECT_EQ(getaddrinfo("localhost", "80", &hints, &found), 0);
         EXPECT_GT(turns, 0);
         ASSERT_NE(found, nullptr);
         EXPECT_EQ(reinterpret_cast<sockaddr_in*>(found->ai_addr)->sin_addr.s_addr,
                   htonl(INADDR_LOOPBACK));
         freeaddrinfo(found);

         const hostent* host = gethostbyname("localhost");
         ASSERT_NE(host, nullptr);
         EXPECT_EQ(*reinterpret_cast<in_addr_t*>(host->h_addr_list[0]), htonl(INADDR_LOOPBACK));
         hostent into{};
         hostent* result = nullptr;
         int error = 0;
         char buffer[2000];
         EXPECT_EQ(gethostbyname_r("localhost", &into, buffer, sizeof(buffer), &result, &error), 0);
         EXPECT_EQ(result, &into);
         EXPECT_EQ(gethostbyname_r("localhost", &into, buffer, 1, &result, &error), ERANGE);
         host = gethostbyname2("localhost", AF_INET);
         ASSERT_NE(host, nullptr);
         EXPECT_EQ(*reinterpret_cast<in_addr_t*>(host->h_addr_list[0]), htonl(INADDR_LOOPBACK));

         sockaddr_in address{};
         address.sin_family = AF_INET;
         address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
         turns = 0;
         EXPECT_EQ(getnameinfo(reinterpret_cast<sockaddr*>(&address), sizeof(address), buffer,
                               sizeof(buffer), nullptr, 0, 0),
                   0);
         EXPECT_GT(turns, 0);
         turns = 0;
         host = gethostbyaddr(&address.sin_addr, sizeof(address.sin_addr), AF_INET);
         EXPECT_GT(turns, 0);
         EXPECT_TRUE(host == nullptr ||
                     host->h_name != nullptr);  // Its name is the machine's affair.
         done = true;
       },
       [&] {
         for (; !done; ++turns) env_->scheduler().yield();
       }});
}

TEST_P(HookTest, a_coroutine_has_variables_of_its_own) {
  ASSERT_EQ(setenv("HOOK_SHARED", "process", 1), 0);
  together({[&] {
              EXPECT_STREQ(getenv("HOOK_SHARED"), "process");
              EXPECT_EQ(setenv("HOOK_SHARED", "mine", 0), 0);
              EXPECT_STREQ(getenv("HOOK_SHARED"), "process");
              EXPECT_EQ(setenv("HOOK_SHARED", "mine", 1), 0);
              EXPECT_EQ(setenv("HOOK_OWN", "first", 1), 0);
              usleep(2000);
              EXPECT_STREQ(getenv("HOOK_SHARED"), "mine");
              EXPECT_STREQ(getenv("HOOK_OWN"), "first");
              Scope inner(*env_, Call{});
              EXPECT_STREQ(getenv("HOOK_OWN"), "first");
            },
            [&] {
              EXPECT_EQ(getenv("HOOK_OWN"), nullptr);
              EXPECT_EQ(setenv("HOOK_OWN", "second", 1), 0);
              EXPECT_EQ(unsetenv("HOOK_SHARED"), 0);
              usleep(2000);
              EXPECT_EQ(getenv("HOOK_SHARED"), nullptr);
              EXPECT_STREQ(getenv("HOOK_OWN"), "second");
              EXPECT_EQ(setenv("a=b", "x", 1), -1);
              EXPECT_EQ(errno, EINVAL);
            }});
  EXPECT_STREQ(getenv("HOOK_SHARED"), "process");
  EXPECT_EQ(getenv("HOOK_OWN"), nullptr);
  EXPECT_EQ(unsetenv("HOOK_SHARED"), 0);
  EXPECT_EQ(getenv("HOOK_SHARED"), nullptr);
}

TEST_P(HookTest, directories_are_read_on_the_pool) {
  char path[] = "/tmp/hook_test.XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  const std::string file = std::string(path) + "/a file";
  bool done = false;
  int turns = 0;
  together({[&] {
              EXPECT_EQ(close(creat(file.c_str(), 0600)), 0);
              DIR* entries = opendir(path);
              ASSERT_NE(entries, nullptr);
              turns = 0;
              bool found = false;
              while (const dirent* entry = readdir(entries))
                found = found || std::string(entry->d_name) == "a file";
              EXPECT_TRUE(found);
              EXPECT_GT(turns, 0);
              EXPECT_EQ(closedir(entries), 0);
              EXPECT_EQ(unlink(file.c_str()), 0);
              EXPECT_EQ(rmdir(path), 0);
              done = true;
            },
            [&] {
              for (; !done; ++turns) env_->scheduler().yield();
            }});
}

// In another way than by fcntl(), which the kernel tells all the same.
TEST_P(HookTest, a_socket_that_ioctl_made_nonblocking_does_not_wait) {
  alone([&] {
    int on = 1;
    EXPECT_EQ(ioctl(pair_[0], FIONBIO, &on), 0);
    char byte = 0;
    EXPECT_EQ(recv(pair_[0], &byte, 1, 0), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(readv(pair_[0], std::array{iovec{&byte, 1}}.data(), 1), -1);
    EXPECT_EQ(errno, EAGAIN);
    int waiting = 0;
    EXPECT_EQ(ioctl(pair_[0], FIONREAD, &waiting), 0);
    EXPECT_EQ(waiting, 0);
  });
}

TEST_P(HookTest, other_threads_have_libcs_functions) {
  alone([&] {
    std::thread thread([&] {
      char byte = 0;
      EXPECT_EQ(recv(pair_[0], &byte, 1, 0), 1);
    });
    usleep(1000);
    EXPECT_EQ(send(pair_[1], "x", 1, 0), 1);
    thread.join();
  });
}

INSTANTIATE_TEST_SUITE_P(
    Way, HookTest,
    ::testing::Values(
        Way{"epoll", runtime::LoopIo::epoll, runtime::FileIo::automatic, "epoll, files by io_uring"},
        Way{"uring", runtime::LoopIo::uring, runtime::FileIo::automatic, "io_uring, files by io_uring"},
        Way{"threads", runtime::LoopIo::epoll, runtime::FileIo::threads, "epoll, files by threads"}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace hongyan
