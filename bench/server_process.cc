#include "bench/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/check.h"

namespace hongyan::bench {

namespace {

std::string server_path() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "hongyan-server").string();
}

// Ours first: what the caller's environment says of the same settings is left out.
std::vector<std::string> server_environment() {
  std::vector<std::string> out = {"HONGYAN_LIMITS_REQUESTS_PER_SECOND=1000000", "HONGYAN_LIMITS_REQUESTS_BURST=1000000",
                                  "HONGYAN_LIMITS_ANONYMOUS_PER_SECOND=1000000", "HONGYAN_LIMITS_ANONYMOUS_BURST=1000000",
                                  "HONGYAN_LOG_LEVEL=warning"};
  for (char** one = environ; *one != nullptr; ++one) {
    if (std::strncmp(*one, "HONGYAN_", 8) != 0) out.emplace_back(*one);
  }
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

ServerProcess::~ServerProcess() {
  if (pid_ != 0) (void)stop().ok();
}

Status ServerProcess::start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Status(Code::io, "pipe");
  std::vector<std::string> words = {server_path(), "--data", data_, "--port", "0"};
  std::vector<std::string> environment = server_environment();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  const int failed = posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, pointers(words).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  output_ = ends[0];
  if (failed != 0) {
    pid_ = 0;
    return Status(Code::not_found, words[0] + ": " + std::strerror(failed));
  }
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(output_, buffer, sizeof buffer);
    if (count <= 0) {
      (void)stop().ok();
      return Status(Code::unavailable, "the server did not start: " + text);
    }
    text.append(buffer, static_cast<size_t>(count));
    const size_t at = text.find("\nready ");
    if (at == std::string::npos || text.find('\n', at + 1) == std::string::npos) continue;
    ready_ = text.substr(at + 7);
    return {};
  }
}

Status ServerProcess::stop() {
  if (pid_ == 0) return {};
  kill(pid_, SIGTERM);
  int how = 0;
  waitpid(pid_, &how, 0);
  close(output_);
  pid_ = 0;
  if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) return Status(Code::internal, "the server did not stop cleanly");
  return {};
}

std::string ServerProcess::address(const std::string& name) const {
  const std::string key = "\"" + name + "\":\"";
  const size_t at = ready_.find(key);
  if (at == std::string::npos) return "";
  std::string value = ready_.substr(at + key.size());
  value.resize(value.find('"'));
  if (const size_t scheme = value.find("://"); scheme != std::string::npos) value.erase(0, scheme + 3);
  while (value.ends_with('/')) value.pop_back();
  return value;
}

double ServerProcess::cpu_seconds() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t at = text.rfind(')');
  if (at == std::string::npos) return 0;
  std::vector<std::string> fields;
  for (size_t i = at + 2; i < text.size();) {
    const size_t end = std::min(text.find(' ', i), text.size());
    fields.push_back(text.substr(i, end - i));
    i = end + 1;
  }
  if (fields.size() < 13) return 0;
  return static_cast<double>(std::stoll(fields[11]) + std::stoll(fields[12])) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double ServerProcess::memory_mib(const char* field) const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field)) return std::strtod(line.c_str() + std::strlen(field) + 1, nullptr) / 1024;
  }
  return 0;
}

TemporaryDirectory::TemporaryDirectory(const std::string& parent) {
  path_ = parent + "/hongyan-bench-XXXXXX";
  CHECK(mkdtemp(path_.data()) != nullptr);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

uint64_t file_bytes(const std::string& directory) {
  uint64_t sum = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) sum += entry.file_size();
  }
  return sum;
}

void drop_page_cache(const std::string& directory) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int file = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    (void)fdatasync(file);
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
  }
}

}  // namespace hongyan::bench
