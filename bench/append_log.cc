#include "bench/append_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace hongyan::bench {

namespace {

class AppendLog {
 public:
  explicit AppendLog(const std::string& path) : file_(open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600)) {
    CHECK(file_ >= 0);
    committer_ = std::thread([this] { commit(); });
  }
  ~AppendLog() {
    {
      const std::lock_guard hold(mutex_);
      closed_ = true;
    }
    work_.notify_one();
    committer_.join();
    close(file_);
  }

  void append(const std::string& record) {
    std::unique_lock hold(mutex_);
    waiting_ += record;
    const uint64_t mine = taking_;
    work_.notify_one();
    durable_news_.wait(hold, [&] { return durable_ >= mine; });
  }

 private:
  void commit() {
    std::string batch;
    std::unique_lock hold(mutex_);
    for (;;) {
      work_.wait(hold, [&] { return closed_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      batch.swap(waiting_);
      const uint64_t number = taking_++;
      hold.unlock();
      CHECK(write(file_, batch.data(), batch.size()) == static_cast<ssize_t>(batch.size()));
      CHECK(fdatasync(file_) == 0);
      batch.clear();
      hold.lock();
      durable_ = number;
      durable_news_.notify_all();
    }
  }

  int file_;
  std::mutex mutex_;
  std::condition_variable work_, durable_news_;
  std::string waiting_;
  uint64_t taking_ = 1;  // Of the batch that waiting_ becomes.
  uint64_t durable_ = 0;
  bool closed_ = false;
  std::thread committer_;
};

}  // namespace

LogResult run_append_log(const std::string& directory, int writers, size_t record_bytes, double seconds) {
  const std::string path = directory + "/append.log";
  LogResult result;
  std::mutex collect;
  {
    AppendLog log(path);
    const std::string record(record_bytes, 'x');
    const int64_t start = now_us();
    const int64_t end = start + static_cast<int64_t>(seconds * 1e6);
    std::vector<std::thread> threads;
    for (int i = 0; i < writers; ++i) {
      threads.emplace_back([&] {
        Samples mine;
        for (int64_t before = now_us(); before < end;) {
          log.append(record);
          const int64_t after = now_us();
          mine.add(after - before);
          before = after;
        }
        const std::lock_guard hold(collect);
        result.latency.add_all(mine);
      });
    }
    for (std::thread& thread : threads) thread.join();
    result.seconds = static_cast<double>(now_us() - start) / 1e6;
  }
  (void)unlink(path.c_str());
  return result;
}

}  // namespace hongyan::bench
