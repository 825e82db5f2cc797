#include "bench/peer_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hongyan::bench {

Result<std::string> PeerProcess::start(const std::string& program, const std::vector<std::string>& given, int processor) {
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::vector<std::string> words = {program.find('/') == std::string::npos ? (here / program).string() : program};
  words.insert(words.end(), given.begin(), given.end());
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return Status(Code::io, "pipe");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  cpu_set_t before, wanted;
  sched_getaffinity(0, sizeof before, &before);
  if (processor >= 0 && processor < static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN))) {
    CPU_ZERO(&wanted);
    CPU_SET(processor, &wanted);
    sched_setaffinity(0, sizeof wanted, &wanted);  // The child inherits it.
  }
  const int failed = posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, pointers.data(), environ);
  sched_setaffinity(0, sizeof before, &before);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  input_ = in[1];
  output_ = out[0];
  if (failed != 0) {
    pid_ = 0;
    return Status(Code::not_found, words[0] + ": " + std::strerror(failed));
  }
  return read_line();
}

Result<std::string> PeerProcess::ask(const std::string& line) {
  const std::string bytes = line + "\n";
  if (write(input_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return Status(Code::closed, "peer");
  return read_line();
}

Result<std::string> PeerProcess::read_line() {
  for (;;) {
    const size_t end = rest_.find('\n');
    if (end != std::string::npos) {
      std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      return line;
    }
    char buffer[4096];
    const ssize_t count = read(output_, buffer, sizeof buffer);
    if (count <= 0) return Status(Code::closed, "a process of the measurement ended early");
    rest_.append(buffer, static_cast<size_t>(count));
  }
}

void PeerProcess::stop() {
  if (input_ >= 0) close(input_);
  if (output_ >= 0) close(output_);
  input_ = output_ = -1;
  if (pid_ == 0) return;
  for (int tenths = 0; tenths < 30; ++tenths) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      return;
    }
    usleep(100'000);
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

double PeerProcess::cpu_seconds() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double PeerProcess::memory_bytes(const char* field) const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(std::string(field) + ":")) return std::stod(line.substr(std::strlen(field) + 1)) * 1024;
  }
  return 0;
}

Result<LoadResult> parse_load(const std::string& line) {
  LoadResult result;
  std::istringstream fields(line);
  if (!(fields >> result.calls >> result.seconds >> result.p50_us >> result.p99_us >> result.max_us)) {
    return Status(Code::internal, "a load generator said: " + line);
  }
  return result;
}

size_t raise_descriptor_limit(size_t wanted) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) {
    rlimit more{.rlim_cur = wanted, .rlim_max = std::max<rlim_t>(limit.rlim_max, wanted)};
    if (setrlimit(RLIMIT_NOFILE, &more) != 0) {
      more = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
      setrlimit(RLIMIT_NOFILE, &more);
    }
  }
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

bool next_question(std::string& line) {
  line.clear();
  for (;;) {
    char c = 0;
    const ssize_t got = read(0, &c, 1);
    if (got <= 0) return false;
    if (c == '\n') return true;
    line.push_back(c);
  }
}

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace hongyan::bench
