// hongyan-counters [PATH] [--filter TEXT] [--metrics]: what processes count or counted, from their shared counters. It
// asks them nothing, so it works beside one that hangs and after one that crashed. Exit status: 0 they were read, 1 none
// was, 2 wrong usage.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/os/shared_counters.h"

namespace {

using namespace hongyan::runtime;

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
             "  PATH is a file, or a directory, /dev/shm without one: then all of this user there that run, and a list of what\n"
             "  dead ones have left; with --metrics, the newest. PATH.last is of the process before.\n", stderr);
  return 2;
}

int show(const std::string& path, const std::string& filter, bool metrics) {
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

int show_all(const std::string& directory, const std::string& filter, bool metrics) {
  std::vector<CountersFile> files = find_shared_counters(directory);
  const auto living = std::ranges::stable_partition(files, [](const CountersFile& one) { return one.alive; });
  const std::span running(files.begin(), living.begin());
  if (metrics && !running.empty()) {
    return show(std::ranges::max_element(running, {}, &CountersFile::born_utc_ms)->path, filter, true);
  }
  int status = running.empty() ? 1 : 0;
  for (const CountersFile& one : running) status |= show(one.path, filter, false);
  for (const CountersFile& one : living) fmt::print(stderr, "{} is of process {}, which is dead\n", one.path, one.process);
  if (files.empty()) std::fputs("hongyan-counters: no process of yours has shared counters\n", stderr);
  return status;
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
  if (path.empty()) path = "/dev/shm";
  std::error_code error;
  return std::filesystem::is_directory(path, error) ? show_all(path, filter, metrics) : show(path, filter, metrics);
}
