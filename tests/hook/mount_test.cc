// Files that a service serves over RPC, used by libc's functions in coroutines and on other
// threads, and, where it is installed, by an unmodified LevelDB, whose own thread compacts them
// meanwhile.
#include "runtime/hook/mount.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_LEVELDB
#include <leveldb/db.h>
#include <leveldb/write_batch.h>
#endif

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "rpc/server.h"
#include "rpc/tcp_channel.h"
#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/hook/hook.h"
#include "runtime/os/os_env.h"
#include "tests/hook/remote_files.h"

namespace hongyan {
namespace {

using runtime::Nursery;
using runtime::hook::Mount;
using runtime::hook::Scope;
using namespace std::chrono_literals;

class MountTest : public ::testing::Test {
 protected:
  // Runs the bodies at once, each in a coroutine with a Scope, with "/remote" served over TCP.
  void together(std::vector<std::function<void()>> bodies) {
    runtime::run_to_end(env_->scheduler(), "test", [&] {
      rpc::Server server(*env_, "127.0.0.1:0", {{&files_, nullptr}});
      ASSERT_TRUE(server.start().ok());
      rpc::TcpChannel channel(*env_, server.address());
      RemoteFiles remote(channel);
      {
        Mount mount(*env_, "/remote", remote);
        access("/hook-begin", F_OK);  // Marks for those who trace it (tests/run.d/37-hooks.py).
        Nursery nursery(env_->scheduler());
        for (auto& body : bodies) {
          nursery.spawn(
              "foreign",
              [&] {
                Scope scope(*env_, background_call(*env_, 60s));
                body();
              },
              runtime::StackSize::k256);
        }
        Call call = background_call(*env_, 120s);
        EXPECT_TRUE(nursery.join(call).ok());
        access("/hook-end", F_OK);
      }
      channel.close();
      Call call = background_call(*env_, 5s);
      server.close(call);
    });
    EXPECT_EQ(files_.open_handles(), 0u);
  }

  MemoryFiles files_;
  std::unique_ptr<Env> env_ = runtime::make_os_env({});
};

// In a coroutine, or on a thread whose every call the loop has to serve.
void use_files(const std::string& directory) {
  const std::string first = directory + "/first", second = directory + "/second";
  ASSERT_EQ(mkdir(directory.c_str(), 0700), 0) << strerror(errno);
  ASSERT_EQ(mkdir(directory.c_str(), 0700), -1);
  EXPECT_EQ(errno, EEXIST);
  ASSERT_EQ(open(first.c_str(), O_RDWR), -1);
  EXPECT_EQ(errno, ENOENT);

  const int file = open(first.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(file, 0);
  EXPECT_EQ(open(first.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(write(file, "hello world", 11), 11);
  EXPECT_EQ(pwrite(file, "W", 1, 6), 1);
  char bytes[32] = {};
  EXPECT_EQ(pread(file, bytes, sizeof(bytes), 6), 5);
  EXPECT_STREQ(bytes, "World");
  EXPECT_EQ(read(file, bytes, sizeof(bytes)), 0);
  EXPECT_EQ(lseek(file, 0, SEEK_SET), 0);
  EXPECT_EQ(read(file, bytes, 5), 5);
  EXPECT_EQ(std::string(bytes, 5), "hello");
  EXPECT_EQ(lseek(file, -1, SEEK_END), 10);
  EXPECT_EQ(lseek(file, -1, SEEK_SET), -1);
  EXPECT_EQ(fsync(file), 0);
  EXPECT_EQ(fdatasync(file), 0);
  struct stat status {};
  EXPECT_EQ(fstat(file, &status), 0);
  EXPECT_EQ(status.st_size, 11);
  EXPECT_TRUE(S_ISREG(status.st_mode));
  EXPECT_EQ(stat(directory.c_str(), &status), 0);
  EXPECT_TRUE(S_ISDIR(status.st_mode));

  const int copy = dup(file);  // One position for both.
  EXPECT_EQ(lseek(copy, 0, SEEK_CUR), 10);
  EXPECT_EQ(close(file), 0);
  EXPECT_EQ(pread(copy, bytes, 1, 0), 1);
  EXPECT_EQ(fcntl(copy, F_GETFL) & O_ACCMODE, O_RDWR);

  void* mapped = mmap(nullptr, 11, PROT_READ, MAP_SHARED, copy, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(std::string(static_cast<char*>(mapped), 11), "hello World");
  munmap(mapped, 11);
  EXPECT_EQ(mmap(nullptr, 11, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0), MAP_FAILED);

  EXPECT_EQ(rename(first.c_str(), second.c_str()), 0);
  EXPECT_EQ(access(first.c_str(), F_OK), -1);
  EXPECT_EQ(rename(second.c_str(), "/tmp/elsewhere"), -1);
  EXPECT_EQ(errno, EXDEV);
  EXPECT_EQ(ftruncate(copy, 5), 0);
  const int appending = open(second.c_str(), O_WRONLY | O_APPEND);
  EXPECT_EQ(write(appending, "!", 1), 1);
  EXPECT_EQ(read(appending, bytes, 1), -1);
  EXPECT_EQ(pread(copy, bytes, sizeof(bytes), 0), 6);
  EXPECT_EQ(std::string(bytes, 6), "hello!");

  struct flock lock {};
  lock.l_type = F_WRLCK;
  EXPECT_EQ(fcntl(copy, F_SETLK, &lock), 0);
  EXPECT_EQ(flock(appending, LOCK_EX | LOCK_NB), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(close(appending), 0);
  EXPECT_EQ(close(copy), 0);
  EXPECT_EQ(read(copy, bytes, 1), -1);
  EXPECT_EQ(errno, EBADF);

  std::set<std::string> names;
  DIR* entries = opendir(directory.c_str());
  ASSERT_NE(entries, nullptr);
  while (const dirent* entry = readdir(entries)) names.insert(entry->d_name);
  EXPECT_EQ(closedir(entries), 0);
  EXPECT_EQ(names, (std::set<std::string>{".", "..", "second"}));

  EXPECT_EQ(rmdir(directory.c_str()), -1);
  EXPECT_EQ(errno, ENOTEMPTY);
  EXPECT_EQ(unlink(second.c_str()), 0);
  EXPECT_EQ(rmdir(directory.c_str()), 0);
  EXPECT_EQ(access(directory.c_str(), F_OK), -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(MountTest, libcs_file_calls_reach_the_service) {
  together({[] { use_files("/remote/a"); }, [] { use_files("/remote/b"); }});
  EXPECT_GT(files_.calls(), 50u);
  EXPECT_EQ(files_.syncs(), 4u);
}

TEST_F(MountTest, other_threads_are_served_by_the_loop) {
  together({[] {
    std::atomic<bool> done{false};
    std::thread thread([&] {
      use_files("/remote/thread");
      done = true;
    });
    while (!done) usleep(200);  // The loop must be free for the thread's calls.
    thread.join();
  }});
  EXPECT_GT(files_.calls(), 25u);
}

TEST_F(MountTest, large_reads_and_writes_go_in_pieces) {
  std::string bytes(3'000'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 7);
  together({[&] {
    const int file = open("/remote/large", O_RDWR | O_CREAT, 0600);
    EXPECT_EQ(write(file, bytes.data(), bytes.size()), 3'000'000);
    std::string back(4'000'000, '\0');
    EXPECT_EQ(pread(file, back.data(), back.size(), 0), 3'000'000);
    EXPECT_TRUE(back.compare(0, bytes.size(), bytes) == 0);
    EXPECT_EQ(close(file), 0);
  }});
}

TEST_F(MountTest, paths_outside_of_the_prefix_are_the_kernels) {
  together({[] {
    struct stat status {};
    EXPECT_EQ(stat("/remotely", &status), -1);
    EXPECT_EQ(stat("/tmp", &status), 0);
    DIR* entries = opendir("/tmp");
    ASSERT_NE(entries, nullptr);
    EXPECT_NE(readdir(entries), nullptr);
    EXPECT_EQ(closedir(entries), 0);
  }});
  EXPECT_EQ(files_.calls(), 0u);
  EXPECT_EQ(access("/remote", F_OK), -1);  // Nothing is mounted any more.
}

#ifdef HAVE_LEVELDB
std::string key_of(int writer, int number) {
  return std::to_string(writer) + "/" + std::to_string(number * 7919 % 100'000);
}
std::string value_of(int number) {
  return std::string(100, static_cast<char>('a' + number % 26)) + std::to_string(number);
}

std::unique_ptr<leveldb::DB> open_database() {
  leveldb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 64 << 10;  // Small, so that its thread has much to compact.
  options.max_file_size = 1 << 20;
  leveldb::DB* opened = nullptr;
  const leveldb::Status status = leveldb::DB::Open(options, "/remote/db", &opened);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return std::unique_ptr<leveldb::DB>(opened);
}

TEST_F(MountTest, an_unmodified_leveldb_runs_on_files_served_over_rpc) {
  constexpr int k_writers = 4, k_writes = 2'000;
  std::unique_ptr<leveldb::DB> database;
  int ready = 0;
  const auto open_all = [&] { database = open_database(); };
  const auto write_all = [&](int writer) {
    while (database == nullptr) usleep(1000);
    for (int i = 0; i < k_writes; ++i) {
      leveldb::WriteOptions options;
      options.sync = i % 500 == 0;
      ASSERT_TRUE(database->Put(options, key_of(writer, i), value_of(i)).ok());
      if (i % 7 != 0) continue;
      ASSERT_TRUE(database->Delete({}, key_of(writer, i / 2)).ok());
      ASSERT_TRUE(database->Put({}, key_of(writer, i / 2), value_of(i / 2)).ok());
    }
    ++ready;
  };
  const auto read_all = [&] {
    int found = 0;
    std::unique_ptr<leveldb::Iterator> each(database->NewIterator({}));
    for (each->SeekToFirst(); each->Valid(); each->Next()) ++found;
    EXPECT_TRUE(each->status().ok()) << each->status().ToString();
    EXPECT_EQ(found, k_writers * k_writes);
    for (int writer = 0; writer < k_writers; ++writer) {
      for (int i = 0; i < k_writes; i += 37) {
        std::string value;
        ASSERT_TRUE(database->Get({}, key_of(writer, i), &value).ok());
        EXPECT_EQ(value, value_of(i));
      }
    }
  };
  // The loop's other coroutines have their turns while the writers wait for files, locks and each
  // other.
  double longest_ms = 0;
  const auto watch = [&] {
    auto last = std::chrono::steady_clock::now();
    while (ready <= k_writers) {
      usleep(500);
      const auto now = std::chrono::steady_clock::now();
      longest_ms =
          std::max(longest_ms, std::chrono::duration<double, std::milli>(now - last).count());
      last = now;
    }
  };
  std::vector<std::function<void()>> bodies{
      open_all, watch, [&] {
        while (ready < k_writers) usleep(1000);
        read_all();
        database.reset();  // Waits for its thread.
        database = open_database();
        read_all();
        std::string files;
        EXPECT_TRUE(database->GetProperty("leveldb.stats", &files));
        database.reset();
        ++ready;
      }};
  for (int writer = 0; writer < k_writers; ++writer)
    bodies.push_back([&, writer] { write_all(writer); });
  together(std::move(bodies));

  std::printf("leveldb: %zu calls, %zu syncs, longest turn of the loop %.1f ms\n", files_.calls(),
              files_.syncs(), longest_ms);
  EXPECT_TRUE(files_.has("/db/CURRENT"));
  EXPECT_GT(files_.calls(), 1'000u);
  EXPECT_GE(files_.syncs(), 16u);
  EXPECT_LT(longest_ms, 1000);
}
#endif

}  // namespace
}  // namespace hongyan
