// hongyan-counters [PATH] [--filter TEXT] [--metrics]: what a process counts or counted, from its shared counters. It
// asks the process nothing, so it works beside one that hangs and after one that crashed. Exit status: 0 it was read,
// 1 it was not, 2 wrong usage.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "runtime/os/shared_counters.h"

namespace {

using namespace hongyan::runtime;

// The newest of this user: nearly always there is one.
std::string newest() {
  namespace fs = std::filesystem;
  const std::string prefix = fs::path(default_counters_path("")).filename().string();
  const std::string mine = prefix.substr(0, prefix.rfind('-') + 1);
  std::string best;
  fs::file_time_type best_time{};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/dev/shm", error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(mine) || name.ends_with(".last")) continue;
    const auto time = entry.last_write_time(error);
    if (best.empty() || time > best_time) best = entry.path().string(), best_time = time;
  }
  return best;
}

// What another process wrote goes to a terminal: nothing but printable characters.
std::string clean(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text;
}

void print(const CounterSamples& all, std::string_view filter) {
  for (const CounterSample& one : all.samples) {
    const std::string name = clean(one.name + (one.labels.empty() ? "" : "{" + one.labels + "}"));
    if (name.find(filter) == std::string::npos) continue;
    if (one.kind == counter_format::Kind::histogram) {
      fmt::print("{:<60} {} samples, p50 {} p99 {} max {} {}\n", name, one.count(), one.quantile(0.5), one.quantile(0.99), one.max, clean(one.unit));
    } else {
      fmt::print("{:<60} {}\n", name, one.value);
    }
  }
}

int usage() {
  std::fputs("usage: hongyan-counters [PATH] [--filter TEXT] [--metrics]\n"
             "  Without PATH: the newest of this user in /dev/shm. PATH.last is of the process before.\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::string path, filter;
  bool metrics = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--metrics") metrics = true;
    else if (word == "--filter" && i + 1 < argc) filter = argv[++i];
    else if (!word.starts_with("-") && path.empty()) path = word;
    else return usage();
  }
  if (path.empty()) path = newest();
  if (path.empty()) return std::fputs("hongyan-counters: no process of yours has shared counters\n", stderr), 1;
  const auto all = read_shared_counters(path);
  if (!all.ok()) return fmt::print(stderr, "hongyan-counters: {}\n", all.status().detail()), 1;
  if (metrics) {
    fmt::print("{}", open_metrics(all->samples));
    return 0;
  }
  fmt::print("{} of process {}\n", path, all->process);
  print(*all, filter);
  return 0;
}
