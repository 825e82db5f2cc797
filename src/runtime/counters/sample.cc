#include "runtime/counters/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <iterator>
#include <map>

namespace hongyan::runtime {
namespace {

using namespace counter_format;

constexpr int k_powers = k_buckets / 4;

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

template <size_t N>
Result<std::string> text_of(const char (&field)[N]) {
  const void* end = std::memchr(field, 0, N);
  if (end == nullptr) return Status(Code::corrupt, "a text of the counters has no end");
  return std::string(field, static_cast<const char*>(end));
}

bool is_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':'; };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// Cells are written meanwhile: each is read once, as a whole.
uint64_t word_at(const char* at) {
  uint64_t value;
  if (reinterpret_cast<uintptr_t>(at) % 8 == 0) return __atomic_load_n(reinterpret_cast<const uint64_t*>(at), __ATOMIC_RELAXED);
  std::memcpy(&value, at, sizeof(value));
  return value;
}

class Cells {
 public:
  Cells(const char* base, Geometry geometry) : base_(base), geometry_(geometry) {}
  uint64_t at(uint32_t slot, uint32_t cell) const { return word_at(base_ + (size_t{slot} * geometry_.cells_max + cell) * 8); }
  uint64_t sum(uint32_t cell) const {
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < geometry_.slots; ++slot) sum += at(slot, cell);
    return sum;
  }
  int64_t max(uint32_t cell) const {
    int64_t max = 0;
    for (uint32_t slot = 0; slot < geometry_.slots; ++slot) max = std::max(max, static_cast<int64_t>(at(slot, cell)));
    return max;
  }

 private:
  const char* base_;
  Geometry geometry_;
};

Result<CounterSample> sample_of(const Entry& entry, const Cells& cells, uint32_t cells_max) {
  CounterSample sample;
  sample.kind = entry.kind;
  const bool is_histogram = entry.kind == Kind::histogram;
  if (!is_histogram && entry.kind != Kind::counter && entry.kind != Kind::gauge) return Status(Code::corrupt, "a counter of no known kind");
  if (entry.cells != (is_histogram ? k_histogram_cells : 1)) return Status(Code::corrupt, "a counter of a wrong size");
  if (entry.first_cell > cells_max || entry.cells > cells_max - entry.first_cell) return Status(Code::corrupt, "a counter outside its memory");
  sample.name = TRY(text_of(entry.name));
  sample.labels = TRY(text_of(entry.labels));
  sample.unit = TRY(text_of(entry.unit));
  sample.help = TRY(text_of(entry.help));
  if (!is_name(sample.name)) return Status(Code::corrupt, "a counter's name is none");
  if (!is_histogram) {
    sample.value = static_cast<int64_t>(cells.sum(entry.first_cell));
    return sample;
  }
  sample.buckets.reserve(k_buckets);
  for (uint32_t i = 0; i < k_buckets; ++i) sample.buckets.push_back(cells.sum(entry.first_cell + i));
  sample.value = static_cast<int64_t>(cells.sum(entry.first_cell + k_sum_cell));
  sample.max = cells.max(entry.first_cell + k_max_cell);
  return sample;
}

std::string family_of(const CounterSample& sample) {
  if (sample.unit.empty() || sample.name.ends_with("_" + sample.unit)) return sample.name;
  return sample.name + "_" + sample.unit;
}

// One bucket a power of two, the same set always: the finer steps are for quantile().
void draw_histogram(std::string& out, const std::string& name, const CounterSample& h) {
  auto write = std::back_inserter(out);
  const std::string labels = h.labels.empty() ? "" : "{" + h.labels + "}";
  const std::string more = h.labels.empty() ? "" : h.labels + ",";
  uint64_t seen = 0;
  for (int power = 0; power < k_powers; ++power) {
    for (int step = 0; step < 4; ++step) seen += h.buckets[static_cast<size_t>(4 * power + step)];
    if (power == k_powers - 1) break;  // The last one has no upper end: it is +Inf.
    fmt::format_to(write, "{}_bucket{{{}le=\"{}\"}} {}\n", name, more, (int64_t{2} << power) - 1, seen);
  }
  fmt::format_to(write, "{}_bucket{{{}le=\"+Inf\"}} {}\n", name, more, seen);
  fmt::format_to(write, "{}_sum{} {}\n{}_count{} {}\n", name, labels, h.value, name, labels, seen);
}

void draw_head(std::string& out, const std::string& name, const CounterSample& sample) {
  const bool histogram = sample.kind == Kind::histogram;
  auto write = std::back_inserter(out);
  fmt::format_to(write, "# TYPE {} {}\n", name, histogram ? "histogram" : sample.kind == Kind::counter ? "counter" : "gauge");
  if (histogram && !sample.unit.empty()) fmt::format_to(write, "# UNIT {} {}\n", name, sample.unit);
  fmt::format_to(write, "# HELP {} {}\n", name, escaped(sample.help));
}

void draw(std::string& out, const std::string& name, const CounterSample& sample) {
  if (sample.kind == Kind::histogram) return draw_histogram(out, name, sample);
  fmt::format_to(std::back_inserter(out), "{}{}{} {}\n", name, sample.kind == Kind::counter ? "_total" : "",
                 sample.labels.empty() ? "" : "{" + sample.labels + "}", sample.value);
}

}  // namespace

int bucket_of(int64_t value) {
  if (value < 1) return 0;
  const int power = 63 - std::countl_zero(static_cast<uint64_t>(value));
  if (power >= k_powers) return k_buckets - 1;
  const int step = static_cast<int>((static_cast<uint64_t>(value) << 2 >> power) & 3);
  return 4 * power + step;
}

int64_t bucket_middle(int bucket) {
  const int64_t low = int64_t{1} << (bucket / 4);
  return low + (2 * (bucket % 4) + 1) * low / 8;
}

uint64_t CounterSample::count() const {
  uint64_t count = 0;
  for (const uint64_t n : buckets) count += n;
  return count;
}

int64_t CounterSample::quantile(double q) const {
  const uint64_t all = count();
  if (all == 0) return 0;
  const double wanted = q * static_cast<double>(all);
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (buckets[i] > 0 && static_cast<double>(seen) >= wanted) return std::min(bucket_middle(static_cast<int>(i)), max);
  }
  return max;
}

Result<CounterSamples> read_counters(std::span<const char> memory) {
  Header header;
  if (memory.size() < k_header_bytes) return Status(Code::corrupt, "too short for counters");
  std::memcpy(&header, memory.data(), sizeof(header));
  if (std::memcmp(header.magic, k_magic, sizeof(k_magic)) != 0) return Status(Code::corrupt, "these are no counters");
  if (header.version != k_version) return Status(Code::corrupt, fmt::format("counters of version {}; this reads {}", header.version, k_version));
  const Geometry geometry = {header.slots, header.entries_max, header.cells_max};
  if (geometry.slots == 0 || geometry.slots > k_slots_max || geometry.entries_max > k_entries_max || geometry.cells_max > k_cells_max)
    return Status(Code::corrupt, "counters of an impossible size");
  if (geometry.bytes() > memory.size()) return Status(Code::corrupt, "the counters are cut off");
  if (header.entries > geometry.entries_max) return Status(Code::corrupt, "more counters than have room");
  std::atomic_thread_fence(std::memory_order_acquire);
  CounterSamples all = {.process = header.process, .born_utc_ms = header.born_utc_ms, .samples = {}};
  const Cells cells(memory.data() + geometry.cells_at(), geometry);
  for (uint32_t i = 0; i < header.entries; ++i) {
    Entry entry;
    std::memcpy(&entry, memory.data() + k_header_bytes + size_t{i} * k_entry_bytes, sizeof(entry));
    all.samples.push_back(TRY(sample_of(entry, cells, geometry.cells_max)));
  }
  return all;
}

std::string open_metrics(const std::vector<CounterSample>& samples) {
  std::string out;
  for (const bool histograms : {false, true}) {
    // Samples of one family by the place of its first: the standard wants them together.
    std::map<std::string, size_t, std::less<>> place;
    std::vector<std::vector<const CounterSample*>> families;
    for (const CounterSample& sample : samples) {
      if ((sample.kind == Kind::histogram) != histograms) continue;
      const auto [at, added] = place.try_emplace(family_of(sample), families.size());
      if (added) families.emplace_back();
      families[at->second].push_back(&sample);
    }
    for (const auto& family : families) {
      const std::string name = family_of(*family.front());
      draw_head(out, name, *family.front());
      for (const CounterSample* sample : family) {
        if (sample->kind == family.front()->kind) draw(out, name, *sample);
      }
    }
  }
  out += "# EOF\n";
  return out;
}

}  // namespace hongyan::runtime
