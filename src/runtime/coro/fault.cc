#include "runtime/coro/fault.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string_view>

#include "runtime/coro/coroutine.h"
#include "runtime/coro/debug.h"
#include "runtime/coro/sanitizers.h"

namespace hongyan::runtime {

#if defined(HONGYAN_ASAN) || defined(HONGYAN_TSAN)

void report_faults_of_this_thread() {}  // They have their own reports.

#else

namespace {

constexpr size_t k_handler_stack_bytes = 64 * 1024;

// Text for stderr, put together without allocating.
class Line {
 public:
  Line& operator<<(std::string_view text) {
    const size_t fits = std::min(text.size(), sizeof(text_) - size_);
    std::memcpy(text_ + size_, text.data(), fits);
    size_ += fits;
    return *this;
  }
  Line& operator<<(uint64_t number) {
    char digits[20];
    size_t count = 0;
    do {
      digits[sizeof(digits) - ++count] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    return *this << std::string_view(digits + sizeof(digits) - count, count);
  }
  void print() const {
    [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, text_, size_);
  }

 private:
  char text_[512];
  size_t size_ = 0;
};

void on_fault(int number, siginfo_t* info, void*) {
  const FaultPlace place = debug_find(info->si_addr);
  if (place.coroutine != nullptr) {
    Line line;
    if (place.parked) {
      line << "hongyan: the stack of coroutine \"" << place.coroutine->name()
           << "\" was touched while it was parked: its MayPark is wrong\n";
    } else {
      line << "hongyan: coroutine \"" << place.coroutine->name() << "\" overflowed its stack of "
           << place.coroutine->stack_bytes / 1024 << " KiB\n";
    }
    line.print();
  }
  signal(number, SIG_DFL);  // The instruction faults again, and the process dies of it.
  if (info->si_code <= 0) raise(number);  // No instruction did it, another process.
}

// A handler can't run on the stack that has overflowed.
class HandlerStack {
 public:
  HandlerStack() {
    stack_t before{};
    if (sigaltstack(nullptr, &before) != 0 || (before.ss_flags & SS_DISABLE) == 0) return;
    memory_ = mmap(nullptr, k_handler_stack_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory_ == MAP_FAILED) return;
    const stack_t stack{.ss_sp = memory_, .ss_flags = 0, .ss_size = k_handler_stack_bytes};
    sigaltstack(&stack, nullptr);
  }
  ~HandlerStack() {
    if (memory_ == MAP_FAILED) return;
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    sigaltstack(&none, nullptr);
    munmap(memory_, k_handler_stack_bytes);
  }
  HandlerStack(const HandlerStack&) = delete;
  HandlerStack& operator=(const HandlerStack&) = delete;

 private:
  void* memory_ = MAP_FAILED;
};

void install(int number) {
  struct sigaction action {};
  sigaction(number, nullptr, &action);
  if ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL) return;
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, nullptr);
}

std::once_flag installed;

}  // namespace

void report_faults_of_this_thread() {
  std::call_once(installed, [] {
    install(SIGSEGV);
    install(SIGBUS);
  });
  thread_local HandlerStack handler_stack;
}

#endif

}  // namespace hongyan::runtime
