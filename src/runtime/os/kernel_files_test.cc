// Goal: coroutines wait for files and the loop never does, whoever does the work: io_uring beside
// epoll, io_uring as the loop's own, threads because somebody chose them, threads because the
// kernel refused. Method: real files; pipes and FIFOs stand for a disk that does not answer.
#include "runtime/os/kernel_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "runtime/coro/sync.h"
#include "runtime/counters/counters.h"
#include "runtime/log/log.h"
#include "runtime/os/epoll_poller.h"
#include "runtime/os/os_env.h"
#include "runtime/os/uring_poller.h"
#include "runtime/testing/env_contract.h"
#include "runtime/testing/run_in_coroutine.h"

namespace hongyan::runtime {
namespace {

struct Directory {
  Directory() {
    std::string name = testing::TempDir() + "hongyan_files_XXXXXX";
    directory = mkdtemp(name.data());
  }
  ~Directory() { std::filesystem::remove_all(directory); }
  std::string path(const std::string& name) const { return directory + "/" + name; }
  std::string directory;
};

struct Way {
  std::string name;
  OsEnvOptions options;
  std::string described;
};

struct FilesTest : testing::TestWithParam<Way>, Directory {
  void SetUp() override {
    const bool needs_a_ring = GetParam().described.find("io_uring") != std::string::npos;
    if (needs_a_ring && !Uring::make({}).ok()) GTEST_SKIP() << "no io_uring";
    OsEnvOptions options = GetParam().options;
    options.log_path = path("env.log");
    env = make_os_env(options);
  }

  Call call_for(Duration duration) { return background_call(*env, duration); }
  int64_t count(const char* name) { return env->counters().counter(name, "").value(); }
  int64_t operations() {
    return count("hongyan_files_by_ring") + count("hongyan_files_by_threads");
  }
  std::unique_ptr<AsyncFile> make(const std::string& name) {
    Call call = call_for(10s);
    return env->files().open(call, path(name), OpenMode::create).value();
  }

  std::unique_ptr<Env> env;
};

TEST_P(FilesTest, keep_the_contract) {
  std::filesystem::create_directory(path("files"));
  run_in_coroutine(*env, [&] { check_files_contract(*env, path("files")); });
}

TEST_P(FilesTest, are_done_by_whom_it_says) {
  run_in_coroutine(*env, [&] {
    EXPECT_EQ(describe_io(*env), GetParam().described);
    EXPECT_TRUE(make("file")->append("x").ok());
    const bool by_ring = GetParam().described.ends_with("io_uring");
    EXPECT_EQ(count("hongyan_files_by_ring") > 0, by_ring);
    EXPECT_EQ(count("hongyan_files_by_threads") > 0, !by_ring);
  });
}

TEST_P(FilesTest, more_at_once_than_may_be_under_way_are_all_done) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(60s);
    constexpr int k_pieces = 1'000;
    static_assert(k_pieces > FileEngine::k_operations_max);
    const auto file = make("file");
    std::string content;
    for (int i = 0; i < k_pieces; ++i) content += std::to_string(10'000 + i);
    ASSERT_TRUE(file->append(content).ok());
    Nursery nursery(env->scheduler());
    int right = 0;
    for (int i = 0; i < k_pieces; ++i) {
      nursery.spawn("read", [&, i] {
        const auto got = file->read_at(call, static_cast<uint64_t>(i) * 5, 5);
        right += got.ok() && *got == std::to_string(10'000 + i);
      });
    }
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(right, k_pieces);
  });
}

TEST_P(FilesTest, appends_at_once_are_each_whole) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(60s);
    const auto file = make("file");
    Nursery nursery(env->scheduler());
    for (char c = 'a'; c <= 'z'; ++c) {
      nursery.spawn("append", [&, c] {
        EXPECT_TRUE(file->append(std::string(5'000, c)).ok());
        EXPECT_TRUE(file->sync().ok());
      });
    }
    EXPECT_TRUE(nursery.join(call).ok());
    const std::string all = file->read_at(call, 0, 1'000'000).value();
    ASSERT_EQ(all.size(), 26u * 5'000);
    std::string seen;
    for (size_t i = 0; i < all.size(); i += 5'000) {
      EXPECT_EQ(all.substr(i, 5'000), std::string(5'000, all[i]));
      seen.push_back(all[i]);
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, "abcdefghijklmnopqrstuvwxyz");
  });
}

TEST_P(FilesTest, those_who_ask_during_a_sync_share_the_next_one) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(60s);
    const auto file = make("file");
    EXPECT_TRUE(file->append("x").ok());
    const int64_t before = operations();
    Nursery nursery(env->scheduler());
    for (int i = 0; i < 10; ++i) nursery.spawn("sync", [&] { EXPECT_TRUE(file->sync().ok()); });
    EXPECT_TRUE(nursery.join(call).ok());
    EXPECT_EQ(operations() - before, 2);
  });
}

TEST_P(FilesTest, a_call_ends_though_the_disk_does_not_answer_and_the_loop_goes_on) {
  // A thread that opens a FIFO waits for somebody who writes; a ring opens it at once and waits
  // when it reads.
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  const auto look = [&](Call& call) -> Status {
    auto file = TRY(env->files().open(call, path("fifo"), OpenMode::read));
    return file->read_at(call, 0, 10).status();
  };
  const bool by_ring = GetParam().described.ends_with("io_uring");
  const int writer = by_ring ? ::open(path("fifo").c_str(), O_RDWR | O_NONBLOCK) : -1;
  run_in_coroutine(*env, [&] {
    Call call = call_for(20ms);
    EXPECT_EQ(look(call).code(), Code::deadline);
    Call endless;
    Nursery nursery(env->scheduler());
    nursery.spawn("cancelled", [&] { EXPECT_EQ(look(endless).code(), Code::cancelled); });
    while (operations() < (by_ring ? 5 : 2)) env->scheduler().yield();
    nursery.cancel();
    EXPECT_TRUE(nursery.join(endless).ok());
    EXPECT_EQ(count("hongyan_files_abandoned"), 2);
    EXPECT_TRUE(make("another")->append("x").ok());
  });
  // Lets go who may still wait in the kernel; what is opened then nobody wants, and it is closed.
  const int end = ::open(path("fifo").c_str(), O_RDWR | O_NONBLOCK);
  ASSERT_GE(end, 0);
  env.reset();
  ::close(end);
  if (by_ring) ::close(writer);
  EXPECT_LT(::open(path("fifo").c_str(), O_WRONLY | O_NONBLOCK), 0);  // No reader is left.
}

TEST_P(FilesTest, faults_have_their_codes_and_a_failed_sync_is_final) {
  run_in_coroutine(*env, [&] {
    Call call = call_for(60s);
    const auto full = env->files().open(call, "/dev/full", OpenMode::append).value();
    EXPECT_EQ(full->append("x").code(), Code::no_space);
    // A device that can't be synced stands for a disk that failed to.
    Nursery nursery(env->scheduler());
    for (int i = 0; i < 3; ++i)
      nursery.spawn("sync", [&] { EXPECT_EQ(full->sync().code(), Code::io); });
    EXPECT_TRUE(nursery.join(call).ok());
    const Status refused = full->append("x");
    EXPECT_EQ(refused.code(), Code::io);
    EXPECT_NE(refused.detail().find("an earlier sync failed"), std::string::npos)
        << refused.detail();
    // There is nothing at address 0: EIO.
    const auto memory = env->files().open(call, "/proc/self/mem", OpenMode::read).value();
    EXPECT_EQ(memory->read_at(call, 0, 16).code(), Code::io);
    EXPECT_EQ(env->files().open(call, directory, OpenMode::append).code(), Code::io);
  });
}

TEST_P(FilesTest, a_full_disk_has_a_part_and_is_usable_again) {
  std::filesystem::create_directory(path("small"));
  if (mount("tmpfs", path("small").c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "may not mount";
  run_in_coroutine(*env, [&] {
    Call call = call_for(60s);
    const auto file = make("small/file");
    EXPECT_EQ(file->append(std::string(200'000, 'x')).code(), Code::no_space);
    const uint64_t part = file->size(call).value();
    EXPECT_GT(part, 0u);
    EXPECT_LE(part, 64u * 1024);
    EXPECT_TRUE(file->truncate(0).ok());
    EXPECT_TRUE(file->append("fits").ok());
    EXPECT_EQ(file->read_at(call, 0, 10).value(), "fits");
  });
  env.reset();
  EXPECT_EQ(umount2(path("small").c_str(), MNT_DETACH), 0);
}

// The ring is made when it is first needed: without descriptors that is not now, which does not
// mean never.
TEST_P(FilesTest, without_descriptors_open_fails_and_is_good_again) {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  run_in_coroutine(*env, [&] {
    Call call = call_for(60s);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    const auto refused = env->files().open(call, path("file"), OpenMode::create);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(refused.code(), Code::io);
    EXPECT_TRUE(make("file")->append("x").ok());
    EXPECT_EQ(describe_io(*env), GetParam().described);
  });
}

TEST_P(FilesTest, what_is_made_is_its_owners_only) {
  run_in_coroutine(*env, [&] { make("file"); });
  struct stat status {};
  ASSERT_EQ(stat(path("file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

INSTANTIATE_TEST_SUITE_P(
    Way, FilesTest,
    testing::Values(
        Way{"epoll_and_ring", {}, "epoll, files by io_uring"},
        Way{"ring", {.io = LoopIo::uring}, "io_uring, files by io_uring"},
        Way{"ring_and_threads",
            {.io = LoopIo::uring, .files = FileIo::threads},
            "io_uring, files by threads"},
        Way{"threads", {.files = FileIo::threads}, "epoll, files by threads"},
        Way{"refused", {.io = LoopIo::uring, .refuse_rings = true}, "epoll, files by threads"}),
    [](const auto& one) { return one.param.name; });

// --- the engine by itself ---

struct NoLog : Log {
  void write(const LogEvent&) override {}
};

class CountingPoller : public EpollPoller {
 public:
  void poll(Time limit) override {
    waits += limit > now() ? 1 : 0;
    EpollPoller::poll(limit);
  }
  int waits = 0;
};

struct EngineTest : testing::Test, Directory {
  void SetUp() override {
    if (!Uring::make({}).ok()) GTEST_SKIP() << "no io_uring";
  }
  void make(UringOptions ring) {
    engine = std::make_unique<FileEngine>(poller, scheduler, counters, log, nullptr,
                                          FileEngineOptions{.ring = std::move(ring)});
    files = std::make_unique<KernelFiles>(*engine);
  }
  int64_t count(const char* name) { return counters.counter(name, "").value(); }
  void settle() {  // A file is closed after nobody waits for it.
    Call call = call_for(60s);
    while (engine->under_way() > 0) ASSERT_TRUE(sleep(call, 1ms).ok());
  }
  Call call_for(Duration duration) {
    Call call;
    call.deadline = after(scheduler.now(), duration);
    return call;
  }

  NoLog log;
  Counters counters;
  CountingPoller poller;
  Scheduler scheduler{poller};
  std::unique_ptr<FileEngine> engine;
  std::unique_ptr<KernelFiles> files;
};

TEST_F(EngineTest, what_the_ring_does_not_know_threads_do) {
  for (const uint8_t missing : std::initializer_list<uint8_t>{
           IORING_OP_OPENAT, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_FSYNC, IORING_OP_STATX,
           k_uring_ftruncate, IORING_OP_CLOSE}) {
    make({.without = {missing}});
    const int64_t before = count("hongyan_files_by_threads");
    run_in_coroutine(scheduler, [&] {
      Call call = call_for(60s);
      auto file = files->open(call, path("file"), OpenMode::create).value();
      EXPECT_TRUE(file->append("hello").ok());
      EXPECT_TRUE(file->sync().ok());
      EXPECT_TRUE(file->truncate(4).ok());
      EXPECT_EQ(file->size(call).value(), 4u);
      EXPECT_EQ(file->read_at(call, 0, 10).value(), "hell");
    });
    engine.reset();
    EXPECT_GT(count("hongyan_files_by_threads"), before) << int{missing};
  }
  EXPECT_GT(count("hongyan_files_by_ring"), 0);
}

// A kernel that can't take a read back writes into its memory after the reader has left.
TEST_F(EngineTest, memory_outlives_who_asked) {
  make({.without = {IORING_OP_ASYNC_CANCEL}});
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  run_in_coroutine(scheduler, [&] {
    Call call = call_for(60s);
    auto file =
        files->open(call, "/proc/self/fd/" + std::to_string(ends[0]), OpenMode::read).value();
    Call hasty = call_for(5ms);
    EXPECT_EQ(file->read_at(hasty, 0, 100'000).code(), Code::deadline);
    file.reset();
    ASSERT_EQ(write(ends[1], "late", 4), 4);
    Call pause = call_for(5ms);
    EXPECT_EQ(sleep(pause, 1ms).code(), Code::ok);
  });
  engine.reset();  // Waits until the kernel is done with it.
  char left[8];
  ASSERT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(read(ends[0], left, sizeof(left)), -1);  // It was read, by nobody.
  close(ends[0]);
  close(ends[1]);
}

TEST_F(EngineTest, an_idle_loop_is_not_woken) {
  make({});
  run_in_coroutine(scheduler, [&] {
    Call call = call_for(60s);
    {
      auto file = files->open(call, path("file"), OpenMode::create).value();
      for (int i = 0; i < 100; ++i) EXPECT_TRUE(file->append("x").ok());
      EXPECT_TRUE(file->sync().ok());
    }
    settle();
    const int before = poller.waits;
    EXPECT_TRUE(sleep(call, 50ms).ok());
    EXPECT_LE(poller.waits - before, 5);  // The wheel may look once a level.
  });
}

TEST_F(EngineTest, a_loop_may_move_to_another_thread) {
  make({});
  const auto append = [&] {
    run_in_coroutine(scheduler, [&] {
      Call call = call_for(60s);
      EXPECT_TRUE(files->open(call, path("file"), OpenMode::create).value()->append("x").ok());
      settle();
    });
  };
  append();
  const int64_t before = count("hongyan_files_by_ring");
  std::thread(append).join();
  EXPECT_GT(count("hongyan_files_by_ring"), before);
}

// More happens in one turn than the ring has room to tell: it ends polls then, which begin anew.
TEST(UringPollerTest, no_event_is_lost_when_the_ring_is_full) {
  auto ring = Uring::make({});
  if (!ring.ok()) GTEST_SKIP() << "no io_uring";
  constexpr size_t k_descriptors = 5'000;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < k_descriptors + 200) GTEST_SKIP() << "too few descriptors";
  const rlimit before = limit;
  limit.rlim_cur = k_descriptors + 200;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  struct Ears : Watcher {
    void on_events(uint32_t events) override { readable = readable || (events & POLLIN) != 0; }
    bool readable = false;
  };
  {
    UringPoller poller(std::move(*ring));
    std::vector<Ears> ears(k_descriptors);
    std::vector<std::unique_ptr<WakeupEvent>> events;
    for (size_t i = 0; i < k_descriptors; ++i) {
      events.push_back(std::make_unique<WakeupEvent>());
      EXPECT_TRUE(poller.add(events[i]->descriptor(), &ears[i]));
    }
    poller.poll(Time::min());
    for (const auto& event : events) event->raise();
    const auto heard = [&] {
      return std::count_if(ears.begin(), ears.end(), [](const Ears& one) { return one.readable; });
    };
    for (int turns = 0; heard() < static_cast<int64_t>(k_descriptors) && turns < 100; ++turns)
      poller.poll(Time::min());
    EXPECT_EQ(heard(), static_cast<int64_t>(k_descriptors));
    for (const auto& event : events) poller.remove(event->descriptor());
  }
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace hongyan::runtime
