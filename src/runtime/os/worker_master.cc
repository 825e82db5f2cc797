#include "runtime/os/worker_master.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <list>
#include <memory>
#include <string_view>

#include "runtime/os/address.h"
#include "runtime/os/clock.h"
#include "runtime/os/errors.h"
#include "runtime/os/inherited.h"

namespace hongyan::runtime {
namespace {

constexpr int k_backlog = 4096;
// What one worker may say in a line; the rest of a longer one is dropped.
constexpr size_t k_line_bytes_max = 4096;
// A slot has one that serves, one that starts and those that drain; a worker that doesn't fit waits for an end.
constexpr size_t k_cells_for_slot = 4;
constexpr pid_t k_fork_refused = -1;

// A descriptor with its owner.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

struct Socket {
  std::string asked;   // What the service asks for.
  std::string real;
  Descriptor descriptor;
};

Result<Socket> open_socket(const std::string& asked, int port_offset) {
  Address address = TRY(parse_address(asked));
  auto& port = address.storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port
                                                     : reinterpret_cast<sockaddr_in&>(address.storage).sin_port;
  if (port != 0) {  // Else any free one, each time.
    if (ntohs(port) + port_offset > 65535) return Status(Code::invalid, asked + ": the last worker's port is above 65535");
    port = htons(static_cast<uint16_t>(ntohs(port) + port_offset));
  }
  Descriptor made(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int yes = 1;
  if (made.number() < 0) return network_error(errno, asked);
  ::setsockopt(made.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(made.number(), address.get(), address.bytes) != 0) return network_error(errno, to_text(address));
  if (::listen(made.number(), k_backlog) != 0) return network_error(errno, to_text(address));
  address.bytes = sizeof(address.storage);
  ::getsockname(made.number(), address.get(), &address.bytes);
  return Socket{.asked = asked, .real = to_text(address), .descriptor = std::move(made)};
}

// Resident memory; 0: the process is gone.
uint64_t resident_bytes(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/statm", pid);
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  unsigned long long all = 0, resident = 0;
  if (file == nullptr || std::fscanf(file.get(), "%llu %llu", &all, &resident) != 2) return 0;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

class Master {
 public:
  explicit Master(const WorkerMasterOptions& options)
      : options_(options), plan_(options.rules, monotonic_now()) {}
  Status open();
  int run();

 private:
  struct Process {
    uint64_t id;
    size_t slot;
    size_t cell;
    pid_t pid;
    Descriptor out;
    std::string line;
    WorkerCause cause;
  };

  void act(const WorkerAction& action);
  void start(const WorkerAction& action);
  pid_t spawn(const std::vector<int>& inherited, int out, const std::string& variable);
  void on_signals();
  void reap();
  void read_lines(Process& process);
  void on_line(Process& process, std::string_view line);
  void look_at_memory();
  void wait();
  void tell(const Process& process, std::string_view event, std::string_view more = {});
  void say_ready();
  size_t free_cell() const;

  const WorkerMasterOptions& options_;
  WorkerPlan plan_;
  std::unique_ptr<LoadBoard> board_;
  std::vector<std::vector<Socket>> sockets_;  // One set for all, or one for each slot.
  Descriptor signals_;
  std::list<Process> processes_;
  Time memory_at_{};
  bool said_ready_ = false;
};

Status Master::open() {
  const bool shared = options_.sockets == WorkerSockets::shared;
  for (size_t i = 0; i < (shared ? 1 : options_.rules.workers); ++i) {
    auto& set = sockets_.emplace_back();
    for (const std::string& address : options_.addresses) {
      set.push_back(TRY(open_socket(address, static_cast<int>(i))));
    }
  }
  board_ = TRY(LoadBoard::create(options_.rules.workers * k_cells_for_slot));
  sigset_t mask;
  sigemptyset(&mask);
  for (const int one : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&mask, one);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signals_ = Descriptor(::signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
  if (signals_.number() < 0) return network_error(errno, "watch signals");
  return {};
}

int Master::run() {
  for (;;) {
    if (plan_.hopeless()) plan_.stop();
    for (const WorkerAction& action : plan_.step(monotonic_now())) act(action);
    if (plan_.stopped()) break;
    if (!said_ready_ && plan_.all_serve()) say_ready();
    wait();
  }
  std::puts("stopped");
  std::fflush(stdout);
  return plan_.hopeless() ? 1 : 0;
}

void Master::act(const WorkerAction& action) {
  if (action.what == WorkerDo::start) return start(action);
  const auto found = std::ranges::find(processes_, action.id, &Process::id);
  if (found == processes_.end()) return;
  board_->leave(found->cell);
  const bool kill = action.what == WorkerDo::kill;
  ::kill(found->pid, kill ? SIGKILL : SIGTERM);
  tell(*found, kill ? "killed" : "drains");
}

size_t Master::free_cell() const {
  size_t cell = 0;
  while (std::ranges::find(processes_, cell, &Process::cell) != processes_.end()) ++cell;
  return cell;
}

void Master::start(const WorkerAction& action) {
  const size_t cell = free_cell();
  const size_t cells = options_.rules.workers * k_cells_for_slot;
  int ends[2];
  if (cell >= cells || ::pipe2(ends, O_CLOEXEC) != 0) return plan_.ended(action.id, monotonic_now());
  Descriptor out(ends[0]), in(ends[1]);
  ::fcntl(out.number(), F_SETFL, O_NONBLOCK);  // This end only: the worker may block on its own.
  const bool shared = options_.sockets == WorkerSockets::shared;
  std::string variable = fmt::format("{}=", k_worker_variable);
  std::vector<int> inherited;
  if (shared) {
    variable += fmt::format("board={},{},{}", board_->descriptor(), cells, cell);
    inherited.push_back(board_->descriptor());
  } else {
    variable += fmt::format("share={},{}", action.slot, options_.rules.workers);
  }
  for (const Socket& socket : sockets_[shared ? 0 : action.slot]) {
    variable += fmt::format(" {}={}", socket.asked, socket.descriptor.number());
    inherited.push_back(socket.descriptor.number());
  }
  board_->enter(cell);
  const pid_t pid = spawn(inherited, in.number(), variable);
  if (pid == k_fork_refused) {
    board_->leave(cell);
    std::fputs(fmt::format("cannot start a worker: {}\n", std::strerror(errno)).c_str(), stderr);
    return plan_.ended(action.id, monotonic_now());  // As a crash: tried again after a pause.
  }
  processes_.push_back({.id = action.id, .slot = action.slot, .cell = cell, .pid = pid, .out = std::move(out),
                        .line = {}, .cause = action.cause});
  tell(processes_.back(), "started");
}

// Between fork and exec nothing is allocated: another thread of a sanitizer may hold the lock.
pid_t Master::spawn(const std::vector<int>& inherited, int out, const std::string& variable) {
  std::vector<char*> words, environment;
  for (const std::string& word : options_.command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(const_cast<char*>(variable.c_str()));
  environment.push_back(nullptr);
  const pid_t master = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != master) ::_exit(1);  // It died before it could be said.
  ::dup2(out, STDOUT_FILENO);
  for (const int one : inherited) ::fcntl(one, F_SETFD, 0);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(words[0], words.data(), environment.data());
  ::_exit(127);
}

void Master::wait() {
  std::vector<pollfd> watched = {{.fd = signals_.number(), .events = POLLIN, .revents = 0}};
  for (const Process& process : processes_) {
    watched.push_back({.fd = process.out.number(), .events = POLLIN, .revents = 0});
  }
  const bool memory = options_.rules.memory_max_bytes != 0;
  const Time until = memory ? std::min(plan_.next(), memory_at_) : plan_.next();
  const Duration left = std::max(Duration{}, until - monotonic_now());
  const bool for_ever = until == k_never;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(std::min<Duration>(left, std::chrono::hours(1))).count();
  if (::poll(watched.data(), watched.size(), for_ever ? -1 : static_cast<int>(ms)) < 0) return;
  size_t i = 1;
  for (Process& process : processes_) {
    if (watched[i++].revents != 0) read_lines(process);
  }
  if (watched[0].revents != 0) on_signals();
  if (memory && monotonic_now() >= memory_at_) look_at_memory();
}

void Master::on_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.number(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo == SIGHUP) plan_.roll();
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) plan_.stop();
  }
  reap();
}

void Master::reap() {
  for (auto at = processes_.begin(); at != processes_.end();) {
    int status = 0;
    if (::waitpid(at->pid, &status, WNOHANG) != at->pid) {
      ++at;
      continue;
    }
    read_lines(*at);
    board_->leave(at->cell);
    plan_.ended(at->id, monotonic_now());
    tell(*at, "ended", WIFSIGNALED(status) ? fmt::format(",\"signal\":{}", WTERMSIG(status))
                                           : fmt::format(",\"status\":{}", WEXITSTATUS(status)));
    at = processes_.erase(at);
  }
}

void Master::read_lines(Process& process) {
  char buffer[k_line_bytes_max];
  for (;;) {
    const ssize_t got = process.out.number() < 0 ? 0 : ::read(process.out.number(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) process.out = Descriptor();  // Else poll() would say so for ever.
    if (got <= 0) return;
    process.line.append(buffer, static_cast<size_t>(got));
    size_t begin = 0;
    for (size_t end; (end = process.line.find('\n', begin)) != std::string::npos; begin = end + 1) {
      on_line(process, std::string_view(process.line).substr(begin, end - begin));
    }
    process.line.erase(0, begin);
    process.line.resize(std::min(process.line.size(), k_line_bytes_max));
  }
}

void Master::on_line(Process& process, std::string_view line) {
  if (line.starts_with("ready ")) {
    plan_.serves(process.id, monotonic_now());
    return tell(process, "serves");
  }
  if (line != "stopped") std::fputs(fmt::format("worker {}: {}\n", process.slot, line).c_str(), stderr);
}

void Master::look_at_memory() {
  const Time now = monotonic_now();
  memory_at_ = after(now, options_.memory_every);
  for (const Process& process : processes_) plan_.memory(process.id, resident_bytes(process.pid), now);
}

void Master::tell(const Process& process, std::string_view event, std::string_view more) {
  std::string counts;
  for (const WorkerCause cause : {WorkerCause::crash, WorkerCause::memory, WorkerCause::schedule, WorkerCause::asked}) {
    counts += fmt::format(",\"{}\":{}", to_text(cause), plan_.restarts(cause));
  }
  std::fputs(fmt::format("worker {{\"event\":\"{}\",\"slot\":{},\"pid\":{},\"cause\":\"{}\"{},\"alive\":{},\"serving\":{},"
                         "\"crashes\":{},\"restarts\":{{{}}}}}\n",
                         event, process.slot, process.pid, to_text(process.cause), more, plan_.alive(), plan_.serving(),
                         plan_.crashes(), counts.substr(1)).c_str(), stdout);
  std::fflush(stdout);
}

void Master::say_ready() {
  said_ready_ = true;
  if (!options_.announce.empty()) {
    std::vector<std::string> firsts;
    for (const auto& set : sockets_) firsts.push_back(set[0].real);
    if (const Status written = write_addresses(options_.announce, firsts); !written.ok()) {
      std::fputs(fmt::format("{}: {}\n", options_.name, written.detail()).c_str(), stderr);
    }
  }
  std::string addresses;
  for (const auto& set : sockets_) {
    for (const Socket& socket : set) addresses += fmt::format(",\"{}\"", socket.real);
  }
  std::fputs(fmt::format("ready {{\"service\":\"{}\",\"pid\":{},\"workers\":{},\"{}\":\"{}\",\"addresses\":[{}]}}\n",
                         options_.name, ::getpid(), options_.rules.workers, options_.name, sockets_[0][0].real,
                         addresses.substr(1)).c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

int run_worker_master(const WorkerMasterOptions& options) {
  Master master(options);
  if (const Status opened = master.open(); !opened.ok()) {
    std::fputs(fmt::format("{}: {}\n", options.name, opened.detail()).c_str(), stderr);
    return 1;
  }
  return master.run();
}

Status write_addresses(const std::string& path, const std::vector<std::string>& addresses) {
  const std::string fresh = fmt::format("{}.{}", path, ::getpid());
  std::string text;
  for (const std::string& address : addresses) text += address + "\n";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(fresh.c_str(), "we"), std::fclose);
  const bool written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                       std::fflush(file.get()) == 0 && std::rename(fresh.c_str(), path.c_str()) == 0;
  if (written) return {};
  const int error = errno;
  ::unlink(fresh.c_str());
  return Status(Code::io, path + ": " + std::strerror(error));
}

std::vector<std::string> own_command(int argc, char** argv) {
  std::vector<std::string> out(argv, argv + argc);
  char path[4096];
  const ssize_t bytes = ::readlink("/proc/self/exe", path, sizeof(path));
  if (bytes > 0 && static_cast<size_t>(bytes) < sizeof(path)) out[0].assign(path, static_cast<size_t>(bytes));
  return out;
}

}  // namespace hongyan::runtime
