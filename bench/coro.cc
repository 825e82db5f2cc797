// bench coro: what coroutines cost, beside Boost.Fiber in the same process, and what a million of them weigh.
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <vector>

#ifdef HONGYAN_BENCH_BOOST_FIBER
#include <boost/fiber/all.hpp>
#endif

#include "base/check.h"
#include "bench/options.h"
#include "runtime/coro/manual_poller.h"
#include "runtime/coro/switch.h"
#include "runtime/coro/sync.h"

namespace hongyan::bench {
namespace {

using runtime::Coroutine;
using runtime::Fiber;
using runtime::MayPark;
using runtime::Nursery;
using runtime::Scheduler;
using runtime::StackSize;
using runtime::WaitList;
using namespace std::chrono_literals;

// Coroutines that take turns: enough that each switch is to another one, few enough for the caches.
constexpr int k_in_turn = 8;

// CPU time of this thread: all that is measured here computes, and a busy machine counts for nobody.
int64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

double nanoseconds_each(int64_t count, const std::function<void()>& work) {
  const int64_t start = cpu_ns();
  work();
  return static_cast<double>(cpu_ns() - start) / static_cast<double>(count);
}

// --- ours ---

double yield_ours(Scheduler& scheduler, int64_t count) {
  for (int i = 0; i < k_in_turn; ++i) {
    scheduler.spawn("bench yield", [&scheduler, turns = count / k_in_turn] {
      for (int64_t turn = 0; turn < turns; ++turn) scheduler.yield();
    });
  }
  return nanoseconds_each(count, [&] { scheduler.run_ready(); });
}

// As a request does: born, run, ended, joined.
double life_ours(Scheduler& scheduler, int64_t count) {
  double each = 0;
  scheduler.spawn("bench life", [&] {
    Call call;
    Nursery nursery(scheduler);
    int64_t lived = 0;
    each = nanoseconds_each(count, [&] {
      for (int64_t i = 0; i < count; ++i) {
        nursery.spawn("bench child", [&lived] { ++lived; });
        CHECK(nursery.join(call).ok());
      }
    });
    CHECK(lived == count);
  });
  scheduler.run_ready();
  return each;
}

// As the RPC server starts a handler: run at once, without a turn of its own.
double life_now(Scheduler& scheduler, int64_t count) {
  double each = 0;
  scheduler.spawn("bench life", [&] {
    int64_t lived = 0;
    each = nanoseconds_each(count, [&] {
      for (int64_t i = 0; i < count; ++i) scheduler.spawn_now("bench child", [&lived] { ++lived; });
    });
    CHECK(lived == count);
  });
  scheduler.run_ready();
  return each;
}

// --- peers ---

#ifdef HONGYAN_BENCH_BOOST_FIBER
double yield_boost(int64_t count) {
  std::vector<boost::fibers::fiber> fibers;
  bool go = false;
  for (int i = 0; i < k_in_turn; ++i) {
    fibers.emplace_back([&go, turns = count / k_in_turn] {
      while (!go) boost::this_fiber::yield();
      for (int64_t turn = 0; turn < turns; ++turn) boost::this_fiber::yield();
    });
  }
  return nanoseconds_each(count, [&] {
    go = true;
    for (auto& fiber : fibers) fiber.join();
  });
}

double life_boost(int64_t count) {
  int64_t lived = 0;
  const double each = nanoseconds_each(count, [&] {
    boost::fibers::pooled_fixedsize_stack stacks(64 * 1024);
    for (int64_t i = 0; i < count; ++i) {
      boost::fibers::fiber(std::allocator_arg, stacks, [&lived] { ++lived; }).join();
    }
  });
  CHECK(lived == count);
  return each;
}
#endif

struct Stackless {
  struct promise_type {
    Stackless get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

Stackless stackless(int64_t turns, int64_t& count) {
  for (int64_t turn = 0; turn < turns; ++turn) {
    ++count;
    co_await std::suspend_always{};
  }
}

double resume_stackless(int64_t count) {
  std::vector<Stackless> all;
  int64_t done = 0;
  for (int i = 0; i < k_in_turn; ++i) all.push_back(stackless(count / k_in_turn, done));
  const double each = nanoseconds_each(count, [&] {
    for (int64_t turn = 0; turn < count / k_in_turn; ++turn) {
      for (Stackless& one : all) one.handle.resume();
    }
  });
  for (Stackless& one : all) one.handle.destroy();
  return each;
}

double life_stackless(int64_t count) {
  int64_t lived = 0;
  const double each = nanoseconds_each(count, [&] {
    for (int64_t i = 0; i < count; ++i) {
      const Stackless one = stackless(1, lived);
      one.handle.resume();
      one.handle.destroy();
    }
  });
  CHECK(lived == count);
  return each;
}

// Two stacks and nothing else.
struct Pair {
  Fiber here;
  Fiber there;
};
Pair* pair_of_bench = nullptr;

void bounce(Fiber&) {
  for (;;) runtime::switch_fiber(pair_of_bench->there, pair_of_bench->here);
}

double raw_switch(int64_t count) {
  runtime::StackPool pool(64 * 1024);
  Pair pair;
  pair_of_bench = &pair;
  const runtime::Stack stack = pool.take();
  runtime::adopt_thread_stack(pair.here);
  runtime::prepare_fiber(pair.there, stack, &bounce);
  runtime::start_fiber(pair.here, pair.there);
  const double each = nanoseconds_each(count, [&] {
    for (int64_t i = 0; i < count / 2; ++i) runtime::switch_fiber(pair.here, pair.there);
  });
  runtime::drop_fiber(pair.there);
  pool.give_back(stack);
  return each;
}

// --- memory ---

struct Weight {
  double resident = 0;     // Bytes of memory a coroutine.
  double page_tables = 0;  // Bytes of page tables a coroutine, which no count of the process shows.
  double create_ns = 0;
  double wake_ns = 0;
  double saved = 0;        // Bytes of stack that live while it waits.
};

int64_t status_kib(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::strtoll(line.c_str() + std::strlen(field), nullptr, 10);
  }
  return 0;
}

// Locals that a coroutine has on its stack while it waits, beside its frames.
constexpr int k_live_bytes = 128;

void wait_idle(WaitList& list) {
  char live[k_live_bytes];
  std::memset(live, 7, sizeof(live));
  asm volatile("" : : "r"(live) : "memory");
  MayPark may_park;
  CHECK(list.wait(runtime::k_never, "bench").ok());
  asm volatile("" : : "r"(live) : "memory");
}

Weight weigh(int64_t count, bool parked, StackSize size) {
  auto& poller = *new runtime::ManualPoller;  // The process ends with most of them still waiting.
  auto& scheduler = *new Scheduler(poller);
  auto& list = *new WaitList;
  if (parked) scheduler.set_parking(0ns);
  // Something is always due later, so that the scheduler parks in the idle moment before it.
  const auto idle = [&] {
    scheduler.spawn("bench moment", [&] { (void)scheduler.park(runtime::after(scheduler.now(), 1ms)); });
    scheduler.run_until_idle();
  };
  idle();
  const int64_t resident = status_kib("VmRSS:"), tables = status_kib("VmPTE:");
  Weight weight;
  weight.create_ns = nanoseconds_each(count, [&] {
    for (int64_t done = 0; done < count;) {
      const int64_t batch = std::min<int64_t>(count - done, 10'000);  // No burst of unparked stacks.
      for (int64_t i = 0; i < batch; ++i) scheduler.spawn("bench idle", [&list] { wait_idle(list); }, size);
      idle();
      done += batch;
    }
  });
  CHECK(!parked || scheduler.stats().parked_now == static_cast<size_t>(count));
  weight.resident = static_cast<double>(status_kib("VmRSS:") - resident) * 1024 / static_cast<double>(count);
  weight.saved = static_cast<double>(scheduler.stats().parked_bytes) / static_cast<double>(count);
  weight.page_tables = static_cast<double>(status_kib("VmPTE:") - tables) * 1024 / static_cast<double>(count);
  const int64_t woken = std::min<int64_t>(count, 100'000);
  weight.wake_ns = nanoseconds_each(woken, [&] {
    for (int64_t done = 0; done < woken;) {
      const int64_t batch = std::min<int64_t>(woken - done, 1'000);
      for (int64_t i = 0; i < batch; ++i) list.wake_one();
      idle();
      done += batch;
    }
  });
  return weight;
}

// In a process of its own, whose memory is nobody else's.
Result<Weight> weigh_apart(int64_t count, bool parked, StackSize size) {
  int ends[2];
  if (pipe(ends) != 0) return Status(Code::io, "no pipe");
  const pid_t child = fork();
  if (child < 0) return Status(Code::io, "no process");
  if (child == 0) {
    const Weight weight = weigh(count, parked, size);
    _exit(write(ends[1], &weight, sizeof(weight)) == sizeof(weight) ? 0 : 1);
  }
  close(ends[1]);
  Weight weight;
  const ssize_t got = read(ends[0], &weight, sizeof(weight));
  close(ends[0]);
  int state = 0;
  waitpid(child, &state, 0);
  if (got != sizeof(weight)) return Status(Code::io, "the process that was weighed died");
  return weight;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

Status bench_coro(Env& env, const Options& options, Report& report) {
  Scheduler& scheduler = env.scheduler();
  const int rounds = options.quick ? 3 : 15;
  const int64_t count = options.quick ? 20'000 : 1'000'000;
  std::vector<double> yields, lives, nows, raw, resumes, stackless_lives, boost_yields, boost_lives;
  for (int round = 0; round < rounds; ++round) {
    yields.push_back(yield_ours(scheduler, count));
#ifdef HONGYAN_BENCH_BOOST_FIBER
    boost_yields.push_back(yield_boost(count));
    boost_lives.push_back(life_boost(count));
#endif
    lives.push_back(life_ours(scheduler, count));
    nows.push_back(life_now(scheduler, count));
    raw.push_back(raw_switch(count));
    resumes.push_back(resume_stackless(count));
    stackless_lives.push_back(life_stackless(count));
  }
  Row yield{.test = "yield through the run queue", .unit = "ns", .ours = median(yields)};
  Row life{.test = "create, run, destroy and join", .unit = "ns", .ours = median(lives)};
#ifdef HONGYAN_BENCH_BOOST_FIBER
  yield.peers.emplace_back("Boost.Fiber", median(boost_yields));
  life.peers.emplace_back("Boost.Fiber", median(boost_lives));
  yield.ratio_max = life.ratio_max = 0.2;
#else
  report.note("Boost.Fiber (libboost-fiber-dev) was not there when this was built.");
#endif
  yield.peers.emplace_back("C++20 resume", median(resumes));
  life.peers.emplace_back("C++20 coroutine", median(stackless_lives));
  report.add(yield);
  report.add(life);
  report.add({.test = "create, run at once and destroy", .unit = "ns", .ours = median(nows)});
  report.add({.test = "switch of stacks alone", .unit = "ns", .ours = median(raw)});

  // Minutes, where a hypervisor has to find the memory first: what is known already is told.
  std::fputs((report.table() + "\n").c_str(), stderr);
  const auto tell = [](const char* what) { std::fprintf(stderr, "bench coro: %s\n", what); };
  const int64_t million = options.quick ? 10'000 : 1'000'000;
  const std::string many = options.quick ? "10,000" : "1 M";
  tell("a million idle coroutines, each on its own stack");
  const Weight own = TRY(weigh_apart(million, false, StackSize::k64));
  tell("a million parked ones");
  const Weight parked = TRY(weigh_apart(million, true, StackSize::k16));
  Row own_row{.test = many + " idle coroutines, each on its own stack", .unit = "bytes", .ours = own.resident};
  Row parked_row{.test = many + " idle coroutines, parked", .unit = "bytes", .ours = parked.resident};
  if (!options.quick) own_row.ours_max = 4300, parked_row.ours_max = 800;
  report.add(own_row);
  report.add(parked_row);
  report.add({.test = "page tables of one, 64 KiB stack", .unit = "bytes", .ours = own.page_tables});
  report.add({.test = "page tables of one parked, 16 KiB stack", .unit = "bytes", .ours = parked.page_tables});
  report.add({.test = "of it the part of the stack that lives", .unit = "bytes", .ours = parked.saved});
  report.add({.test = "making and parking one", .unit = "ns", .ours = parked.create_ns});
  report.add({.test = "waking a parked one and its end", .unit = "ns", .ours = parked.wake_ns});
  if (options.full) {
    tell("ten million parked ones");
    const Weight ten = TRY(weigh_apart(10 * million, true, StackSize::k16));
    Row all{.test = "10 M idle coroutines, parked, with page tables", .unit = "bytes", .ours = ten.resident + ten.page_tables};
    all.ours_max = 900;
    report.add(all);
  }
  return {};
}

}  // namespace hongyan::bench
