#include "runtime/os/kernel_profiler.h"

#include <fmt/format.h>
#include <malloc.h>
#include <mimalloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "runtime/coro/coroutine.h"
#include "runtime/os/collapsed.h"
#include "runtime/os/heap_samples.h"
#include "runtime/os/stack_walk.h"

// Programs link it (tools/cmake/HongyanRooms.cmake); tests and other people's need not.
#pragma weak mi_heap_visit_blocks
#pragma weak mi_heap_get_default

namespace hongyan::runtime {
namespace {

// Often enough that a second tells something, rare enough that nobody feels it.
constexpr Duration k_tick = 10ms;
constexpr size_t k_samples_max = 20'000;
constexpr size_t k_frames_max = 64;
constexpr size_t k_threads_max = 1024;

struct Sample {
  int thread = 0;
  uint32_t frames = 0;
  const char* coroutine = nullptr;  // Null: none.
  size_t coroutine_bytes = 0;
  uintptr_t frame[k_frames_max];
};

// Of the process: the handler may touch nothing else.
constinit std::atomic<bool> taken{false};      // By somebody's profile, of either kind.
constinit std::atomic<Sample*> samples{nullptr};  // Null: the handler does nothing.
constinit std::atomic<size_t> next{0};
constinit std::atomic<int> in_handler{0};

uintptr_t instruction_of(const ucontext_t& context) {
#if defined(__x86_64__)
  return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return context.uc_mcontext.pc;
#else
  return 0;
#endif
}

const void* frame_of(const ucontext_t& context) {
#if defined(__x86_64__)
  return reinterpret_cast<const void*>(context.uc_mcontext.gregs[REG_RBP]);
#elif defined(__aarch64__)
  return reinterpret_cast<const void*>(context.uc_mcontext.regs[29]);
#else
  return nullptr;
#endif
}

void on_tick(int, siginfo_t*, void* context) {
  const int saved_errno = errno;
  in_handler.fetch_add(1);
  Sample* const all = samples.load();
  const size_t index = all == nullptr ? k_samples_max : next.fetch_add(1);
  if (index < k_samples_max) {
    Sample& sample = all[index];
    const auto& registers = *static_cast<const ucontext_t*>(context);
    sample.thread = static_cast<int>(syscall(SYS_gettid));
    if (Scheduler::in_coroutine()) {
      const std::string_view name = Scheduler::current().running()->name();
      sample.coroutine = name.data();
      sample.coroutine_bytes = name.size();
    }
    sample.frame[0] = instruction_of(registers);
    sample.frames = 1 + static_cast<uint32_t>(walk_stack(frame_of(registers), std::span(sample.frame).subspan(1)));
  }
  in_handler.fetch_sub(1);
  errno = saved_errno;
}

// Stays: a tick may be on its way to a thread for long.
bool listen_to_ticks() {
  struct sigaction action {};
  action.sa_sigaction = on_tick;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;  // A coroutine's own stack may be small.
  sigemptyset(&action.sa_mask);
  return sigaction(SIGPROF, &action, nullptr) == 0;
}

// The threads of this process now, with their names.
std::map<int, std::string> threads() {
  std::map<int, std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error)) {
    const std::string text = entry.path().filename().string();
    int thread = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), thread).ec != std::errc()) continue;
    std::ifstream file(entry.path() / "comm");
    std::string name;
    std::getline(file, name);
    std::ranges::replace(name, ';', ':');
    if (found.size() < k_threads_max) found.emplace(thread, name.empty() ? text : name);
  }
  return found;
}

// A thread's own processor time, as pthread_getcpuclockid() makes it from its number.
clockid_t clock_of(int thread) {
  constexpr int k_per_thread_scheduler_time = 6;
  return static_cast<clockid_t>(~static_cast<unsigned>(thread) << 3 | k_per_thread_scheduler_time);
}

class Ticks {
 public:
  explicit Ticks(const std::map<int, std::string>& of) {
    for (const auto& [thread, name] : of) {
      sigevent event{};
      event.sigev_notify = SIGEV_THREAD_ID;
      event.sigev_signo = SIGPROF;
      event._sigev_un._tid = thread;
      timer_t timer{};
      if (timer_create(clock_of(thread), &event, &timer) != 0) continue;  // It has ended meanwhile.
      timers_.push_back(timer);
      itimerspec every{};
      every.it_interval.tv_nsec = every.it_value.tv_nsec = k_tick.count();
      timer_settime(timer, 0, &every, nullptr);
    }
  }
  ~Ticks() {
    for (const timer_t timer : timers_) timer_delete(timer);
  }
  Ticks(const Ticks&) = delete;
  Ticks& operator=(const Ticks&) = delete;
  bool any() const { return !timers_.empty(); }

 private:
  std::vector<timer_t> timers_;
};

// One profile at a time in the process.
class Turn {
 public:
  Turn() : had_(!taken.exchange(true)) {}
  ~Turn() {
    if (had_) taken.store(false);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool had() const { return had_; }

 private:
  const bool had_;
};

Status refused(bool had_turn, Duration time, Duration time_max) {
  if (!had_turn) return Status(Code::busy, "another profile is under way");
  if (time <= Duration(0) || time > time_max) return Status(Code::invalid, fmt::format("a profile lasts 1 to {} s", time_max / 1s));
  if (!can_walk_stacks()) return Status(Code::unsupported, "the kernel does not let this process read its own stacks");
  return {};
}

// Memory for the samples, which the handler must not allocate.
class Room {
 public:
  Room() : at_(mmap(nullptr, k_samples_max * sizeof(Sample), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  ~Room() {
    if (there()) munmap(at_, k_samples_max * sizeof(Sample));
  }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  bool there() const { return at_ != MAP_FAILED; }
  Sample* all() const { return static_cast<Sample*>(at_); }

 private:
  void* at_;
};

std::string text_of(std::span<const Sample> all, const std::map<int, std::string>& names, size_t lost) {
  CollapsedStacks stacks;
  for (const Sample& sample : all) {
    const auto name = names.find(sample.thread);
    std::string base = name == names.end() ? "?" : name->second;
    if (sample.coroutine != nullptr) base += fmt::format(";[{}]", std::string_view(sample.coroutine, sample.coroutine_bytes));
    stacks.add(base, {sample.frame, sample.frames}, 1);
  }
  std::string text = stacks.text();
  if (lost > 0) text += fmt::format("(not kept) {}\n", lost);
  return text;
}

}  // namespace

Status KernelProfiler::wait(Call& call, Duration time) {
  const Status woken = early_.wait(std::min(after(env_.now(), time), call.deadline), "the end of a profile");
  return woken.code() == Code::cancelled ? woken : Status();
}

Result<std::string> KernelProfiler::cpu(Call& call, Duration time) {
  const Turn turn;
  TRY(refused(turn.had(), time, k_cpu_time_max));
  const Room room;
  std::map<int, std::string> names;
  if (room.there()) env_.pool().run([&] { names = threads(); });
  if (!room.there() || !listen_to_ticks()) return Status(Code::no_space, "no memory for samples");
  next.store(0);
  samples.store(room.all());
  Status waited;
  {
    const Ticks ticks(names);
    if (ticks.any()) waited = wait(call, time);
    else waited = Status(Code::unsupported, "the kernel gives no timers on processor time");
  }
  samples.store(nullptr);
  while (in_handler.load() != 0) {  // Microseconds, on another thread.
  }
  TRY(waited);
  std::string text;
  const size_t count = next.load();
  env_.pool().run([&] {
    text = text_of({room.all(), std::min(count, k_samples_max)}, names, count - std::min(count, k_samples_max));
  });
  return text;
}

Result<std::string> KernelProfiler::heap(Call& call, Duration time) {
  const Turn turn;
  TRY(refused(turn.had(), time, k_heap_time_max));
  if (!start_heap_samples(env_.random_u64())) return Status(Code::unsupported, "this program's allocator is not ours");
  const Status waited = wait(call, time);
  end_heap_samples();
  std::string text;
  env_.pool().run([&] {
    CollapsedStacks stacks;
    const uint64_t lost = take_heap_samples([&stacks](const HeapSample& sample) {
      const auto bytes = static_cast<double>(sample.bytes);
      // The chance that a piece of this size is noted; it stands for all that were not.
      stacks.add("heap", {sample.frame, sample.frames}, bytes / -std::expm1(-bytes / k_heap_sample_bytes));
    });
    text = stacks.text();
    if (lost > 0) text += fmt::format("(not kept) {}\n", static_cast<uint64_t>(static_cast<double>(lost) * k_heap_sample_bytes));
  });
  TRY(waited);
  return text;
}

namespace {

Profiler::Memory memory_of_mimalloc() {
  Profiler::Memory memory;
  const auto add = [](const mi_heap_t*, const mi_heap_area_t* area, void*, size_t, void* into) {
    auto& sum = *static_cast<Profiler::Memory*>(into);
    sum.in_use_bytes += area->used * area->block_size;
    sum.free_bytes += area->committed - std::min(area->committed, area->used * area->full_block_size);
    if (area->reserved <= area->full_block_size) sum.mapped_bytes += area->used * area->block_size;
    return true;
  };
  mi_heap_visit_blocks(mi_heap_get_default(), false, add, &memory);
  return memory;
}

}  // namespace

Profiler::Memory KernelProfiler::memory() {
  if (mi_heap_visit_blocks != nullptr && mi_heap_get_default != nullptr) return memory_of_mimalloc();
  const struct mallinfo2 info = mallinfo2();
  return {.in_use_bytes = info.uordblks + info.hblkhd, .free_bytes = info.fordblks, .mapped_bytes = info.hblkhd};
}

}  // namespace hongyan::runtime
