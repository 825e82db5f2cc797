// bench files: reads of 4 KiB at random that are not in memory, and appends that are synced, by
// coroutines of one thread: over io_uring, over threads, and beside threads that do nothing but the
// system calls. In every round each contender has its turn, in changing order; a row's ratio is the
// median of the rounds' ratios.
//
// No page is read twice before the file has been dropped from the page cache, and no two are
// neighbours in order, so that nothing is read ahead.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "bench/options.h"
#include "bench/peer_process.h"
#include "runtime/coro/run.h"
#include "runtime/coro/sync.h"
#include "runtime/env/files.h"
#include "runtime/os/os_env.h"

namespace hongyan::bench {

namespace {

constexpr size_t k_page = 4096;

struct Test {
  std::string name;
  bool append = false;
  int depth = 1;
};

// The data file, and the pages of it that nobody has read since it was last dropped from memory.
class Pages {
 public:
  Pages(std::string path, size_t count) : path_(std::move(path)), order_(count) {
    std::iota(order_.begin(), order_.end(), uint64_t{0});
    Random random(1);
    for (size_t i = count; i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
    const int descriptor = ::open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(descriptor >= 0);
    const std::string piece(1 << 20, 'p');
    for (size_t done = 0; done < count * k_page; done += piece.size())
      CHECK(::write(descriptor, piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()));
    CHECK(::fdatasync(descriptor) == 0);
    ::close(descriptor);
  }
  const std::string& path() const { return path_; }
  void drop() {
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    CHECK(descriptor >= 0 && ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0);
    ::close(descriptor);
    next_.store(0);
  }
  // False: all have been read.
  bool next(uint64_t& offset) {
    const size_t mine = next_.fetch_add(1, std::memory_order_relaxed);
    if (mine >= order_.size()) return false;
    offset = order_[mine] * k_page;
    return true;
  }

 private:
  std::string path_;
  std::vector<uint64_t> order_;
  std::atomic<size_t> next_{0};
};

// `one` is done by each of `depth` until it says that there is no more, or the time is over. Done a
// second.
double raw_rate(int depth, int run_ms, const std::function<bool()>& one) {
  std::atomic<int64_t> done{0};
  const int64_t start = now_us();
  const int64_t end = start + run_ms * 1000;
  std::vector<std::thread> threads;
  for (int i = 0; i < depth; ++i) {
    threads.emplace_back([&] {
      int64_t mine = 0;
      while (now_us() < end && one()) ++mine;
      done += mine;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(done.load()) * 1e6 / static_cast<double>(now_us() - start);
}

double our_rate(Env& env, int depth, int run_ms, const std::function<bool(Call&)>& one) {
  int64_t done = 0;
  const int64_t start = now_us();
  const int64_t end = start + run_ms * 1000;
  runtime::Nursery nursery(env.scheduler());
  for (int i = 0; i < depth; ++i) {
    nursery.spawn("one", [&] {
      Call call;
      while (now_us() < end && one(call)) ++done;
    });
  }
  Call endless;
  CHECK(nursery.join(endless).ok());
  return static_cast<double>(done) * 1e6 / static_cast<double>(now_us() - start);
}

double run_raw(const Test& test, Pages& pages, const std::string& log, int run_ms) {
  const int flags = test.append ? O_CREAT | O_TRUNC | O_WRONLY | O_APPEND : O_RDONLY;
  const int descriptor =
      ::open(test.append ? log.c_str() : pages.path().c_str(), flags | O_CLOEXEC, 0600);
  CHECK(descriptor >= 0);
  const std::string record(k_page, 'r');
  const double rate = raw_rate(test.depth, run_ms, [&] {
    if (test.append) {
      CHECK(::write(descriptor, record.data(), k_page) == static_cast<ssize_t>(k_page) &&
            ::fdatasync(descriptor) == 0);
      return true;
    }
    uint64_t offset = 0;
    char buffer[k_page];
    if (!pages.next(offset)) return false;
    CHECK(::pread(descriptor, buffer, k_page, static_cast<off_t>(offset)) ==
          static_cast<ssize_t>(k_page));
    return true;
  });
  ::close(descriptor);
  return rate;
}

double run_ours(Env& env, const Test& test, Pages& pages, const std::string& log, int run_ms) {
  double rate = 0;
  const auto measure = [&] {
    Call call;
    const auto file = env.files()
                          .open(call, test.append ? log : pages.path(),
                                test.append ? runtime::OpenMode::create : runtime::OpenMode::read)
                          .value();
    rate = our_rate(env, test.depth, run_ms, [&](Call& one) {
      if (test.append) {
        CHECK(file->append(std::string(k_page, 'r')).ok() && file->sync().ok());
        return true;
      }
      uint64_t offset = 0;
      if (!pages.next(offset)) return false;
      CHECK(file->read_at(one, offset, k_page).value().size() == k_page);
      return true;
    });
  };
  runtime::run_to_end(env.scheduler(), "files", measure);
  return rate;
}

double ratio_median(const std::vector<double>& ours, const std::vector<double>& peer) {
  std::vector<double> ratios;
  for (size_t i = 0; i < ours.size(); ++i) ratios.push_back(peer[i] > 0 ? ours[i] / peer[i] : 0);
  return median(ratios);
}

}  // namespace

Status bench_files(Env&, const Options& options, Report& report) {
  const auto ring = runtime::make_os_env({});
  runtime::OsEnvOptions by_threads;
  by_threads.files = runtime::FileIo::threads;
  const auto threads = runtime::make_os_env(by_threads);
  if (runtime::describe_io(*ring) != "epoll, files by io_uring") {
    report.note("The kernel refuses io_uring here: ours are threads in both columns.");
  }
  const std::string directory =
      options.directory + "/bench-files-" + std::to_string(runtime::process_id());
  std::filesystem::create_directory(directory);
  const int rounds = options.quick ? 1 : std::min(options.rounds, 9),
            run_ms = options.quick ? 40 : 250;
  const std::vector<Test> tests = {{"4 KiB at random, 1 in flight", false, 1},
                                   {"4 KiB at random, 64 in flight", false, 64},
                                   {"append 4 KiB + fdatasync, 1 in flight", true, 1},
                                   {"append 4 KiB + fdatasync, 64 in flight", true, 64}};
  std::map<std::string, std::map<std::string, std::vector<double>>> rates;
  {
    Pages pages(directory + "/data", (options.quick ? 64u << 20 : 1u << 30) / k_page);
    std::vector<std::string> order = {"io_uring", "threads", "raw"};
    for (int round = 0; round < rounds; ++round) {
      std::rotate(order.begin(), order.begin() + 1, order.end());
      for (const Test& test : tests) {
        for (const std::string& name : order) {
          pages.drop();
          const std::string log = directory + "/log";
          rates[test.name][name].push_back(
              name == "raw"
                  ? run_raw(test, pages, log, run_ms)
                  : run_ours(name == "threads" ? *threads : *ring, test, pages, log, run_ms));
        }
      }
    }
  }
  std::filesystem::remove_all(directory);
  for (const Test& test : tests) {
    const auto& of = rates[test.name];
    Row row{.test = test.name, .unit = "/s", .ours = median(of.at("io_uring"))};
    for (const char* peer : {"raw", "threads"}) {
      row.peers.emplace_back(peer == std::string("raw") ? "raw threads" : "ours by threads",
                             median(of.at(peer)));
      row.paired.push_back(ratio_median(of.at("io_uring"), of.at(peer)));
    }
    row.ratio_min = 0.8;
    report.add(std::move(row));
  }
  return {};
}

}  // namespace hongyan::bench
