#include "bench/report.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <chrono>
#include <fstream>

namespace hongyan::bench {

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) < 0x20) out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else out.push_back(c);
  }
  return out + "\"";
}

// Three digits that mean something.
std::string short_number(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  if (value >= 10) return fmt::format("{:.1f}", value);
  return fmt::format("{:.2f}", value);
}

template <typename Map, typename Draw>
std::string joined(const Map& items, const char* between, const Draw& draw) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : between) + draw(item);
  return out;
}

}  // namespace

double Row::ratio_to(size_t peer) const {
  if (peer < paired.size()) return std::isfinite(paired[peer]) ? paired[peer] : 0;  // A peer that got nothing done.
  return peer < peers.size() && peers[peer].second > 0 ? ours / peers[peer].second : 0;
}

bool Row::met() const {
  if (ratio_min) return !peers.empty() && ratio_to(0) >= *ratio_min;
  if (ours_max) return ours <= *ours_max;
  if (ratio_max) return !peers.empty() && ratio_to(0) <= *ratio_max;
  return true;
}

std::string Row::floor_text() const {
  if (ours_max) return fmt::format("<= {} {}", short_number(*ours_max), unit);
  if (ratio_min) return fmt::format(">= {} x {}", short_number(*ratio_min), peers.empty() ? "" : peers[0].first);
  if (ratio_max) return fmt::format("<= {} x {}", short_number(*ratio_max), peers.empty() ? "" : peers[0].first);
  return "";
}

bool Report::met() const {
  return std::all_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.met(); });
}

std::string Report::table() const {
  std::string out = fmt::format("{}\n  {}\n  {}\n\n{:<46} {:>10} {:<10} {:<36} {}\n", name_, command_, machine(), "test",
                                "ours", "unit", "beside (ours / it)", "floor");
  for (const Row& row : rows_) {
    size_t at = 0;
    const std::string beside = joined(row.peers, ", ", [&](const auto& peer) {
      return fmt::format("{} {} ({} x)", peer.first, short_number(peer.second), short_number(row.ratio_to(at++)));
    });
    const std::string floor = row.has_floor() ? row.floor_text() + (row.met() ? "  met" : "  MISSED") : "";
    out += fmt::format("{:<46} {:>10} {:<10} {:<36} {}\n", row.test, short_number(row.ours), row.unit, beside, floor);
  }
  for (const std::string& text : notes_) out += "\n" + text;
  return out + (notes_.empty() ? "" : "\n");
}

std::string Report::json() const {
  const std::string rows = joined(rows_, ",", [](const Row& row) {
    const auto number = [](const auto& peer) { return fmt::format("{}:{:.6g}", quoted(peer.first), peer.second); };
    size_t at = 0;
    const auto share = [&](const auto& peer) { return fmt::format("{}:{:.6g}", quoted(peer.first), row.ratio_to(at++)); };
    return fmt::format(R"({{"test":{},"unit":{},"ours":{:.6g},"peers":{{{}}},"ratios":{{{}}},"floor":{},"met":{}}})",
                       quoted(row.test), quoted(row.unit), row.ours, joined(row.peers, ",", number),
                       joined(row.peers, ",", share), row.has_floor() ? quoted(row.floor_text()) : "null",
                       row.has_floor() ? (row.met() ? "true" : "false") : "null");
  });
  const std::string notes = joined(notes_, ",", [](const std::string& text) { return quoted(text); });
  return fmt::format(R"({{"name":{},"command":{},"machine":{},"rows":[{}],"notes":[{}]}})", quoted(name_), quoted(command_),
                     quoted(machine()), rows, notes);
}

double Samples::quantile_ms(double q) const {
  if (values_.empty()) return 0;
  std::vector<int64_t> sorted = values_;
  const size_t at = std::min(sorted.size() - 1, static_cast<size_t>(q * static_cast<double>(sorted.size())));
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(at), sorted.end());
  return static_cast<double>(sorted[at]) / 1000;
}

int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string machine() {
  utsname name{};
  uname(&name);
  std::string model = name.machine;
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    if (!line.starts_with("model name")) continue;
    model = line.substr(line.find(':') + 2);
    break;
  }
  const double gib = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 30);
  return fmt::format("{} x {}, {:.0f} GiB, {} {}", sysconf(_SC_NPROCESSORS_ONLN), model, gib, name.sysname, name.release);
}

}  // namespace hongyan::bench
