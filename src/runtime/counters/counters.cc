#include "runtime/counters/counters.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace hongyan::runtime {
namespace {

using namespace counter_format;

// Of plain memory: a test's or a simulated process's; another of the same size is added when it is full.
constexpr Geometry k_plain = {.slots = SlotOwners::k_slots, .entries_max = 128, .cells_max = 2048};

class PlainMemory : public CounterMemory {
 public:
  explicit PlainMemory(size_t size) : words_(std::make_unique<Line[]>((size + sizeof(Line) - 1) / sizeof(Line))), size_(size) {}
  std::span<char> bytes() override { return {reinterpret_cast<char*>(words_.get()), size_}; }

 private:
  struct alignas(64) Line {
    char bytes[64] = {};
  };
  std::unique_ptr<Line[]> words_;
  size_t size_;
};

template <size_t N>
void copy_text(char (&into)[N], std::string_view text) {
  const size_t count = std::min(text.size(), N - 1);
  text.copy(into, count);  // Unlike memcpy, also of nothing.
  into[count] = '\0';
}

std::string key_of(std::string_view name, std::string_view labels) { return std::string(name) + "{" + std::string(labels); }

}  // namespace

uint32_t SlotOwners::find(uintptr_t self) {
  for (uint32_t slot = 1; slot < k_slots; ++slot) {
    uintptr_t owner = owners_[slot].load(std::memory_order_relaxed);
    if (owner == 0) owners_[slot].compare_exchange_strong(owner, self, std::memory_order_relaxed);
    if (owner == 0 || owner == self) return slot;
  }
  return 0;
}

int64_t CounterCells::sum_of_owned(uint32_t cell) const {
  uint64_t sum = 0;
  for (uint32_t slot = 1; slot < SlotOwners::k_slots; ++slot) sum += static_cast<uint64_t>(at(slot, cell).load(std::memory_order_relaxed));
  return static_cast<int64_t>(sum);
}

int64_t CounterCells::sum(uint32_t cell) const { return plus(shared(cell).load(std::memory_order_relaxed), sum_of_owned(cell)); }

struct Histogram::Alone {
  SlotOwners owners;
  CounterCell cells[size_t{SlotOwners::k_slots} * k_histogram_cells] = {};
};

Histogram::Histogram() : alone_(std::make_unique<Alone>()) { cells_ = CounterCells(&alone_->owners, alone_->cells, k_histogram_cells); }
Histogram::Histogram(CounterCells cells) : cells_(cells) {}
Histogram::Histogram(Histogram&&) noexcept = default;
Histogram::~Histogram() = default;

void Histogram::record(int64_t value) {
  const CounterCells::Own own = cells_.own();
  CounterCells::add(own.cells[bucket_of(value)], 1, own.alone);
  CounterCells::add(own.cells[k_sum_cell], value, own.alone);
  int64_t max = own.cells[k_max_cell].load(std::memory_order_relaxed);
  while (value > max && !own.cells[k_max_cell].compare_exchange_weak(max, value, std::memory_order_relaxed)) {
  }
}

CounterSample Histogram::sample() const {
  CounterSample sample;
  sample.kind = Kind::histogram;
  for (uint32_t i = 0; i < counter_format::k_buckets; ++i) sample.buckets.push_back(static_cast<uint64_t>(cells_.sum(i)));
  sample.value = cells_.sum(k_sum_cell);
  for (uint32_t slot = 0; slot < SlotOwners::k_slots; ++slot)
    sample.max = std::max(sample.max, cells_.at(slot, k_max_cell).load(std::memory_order_relaxed));
  return sample;
}

struct Counters::Region {
  Region(std::unique_ptr<CounterMemory> of, Geometry shape, uint32_t process, int64_t born_utc_ms)
      : memory(std::move(of)), geometry(shape), bytes(memory->bytes().data()) {
    CHECK(memory->bytes().size() >= geometry.bytes());
    Header& h = header();
    h.version = k_version;
    h.slots = geometry.slots;
    h.entries_max = geometry.entries_max;
    h.cells_max = geometry.cells_max;
    h.process = process;
    h.born_utc_ms = born_utc_ms;
    std::atomic_thread_fence(std::memory_order_release);
    std::memcpy(h.magic, k_magic, sizeof(k_magic));
  }
  Header& header() const { return *reinterpret_cast<Header*>(bytes); }
  Entry& entry(uint32_t i) const { return *reinterpret_cast<Entry*>(bytes + k_header_bytes + i * k_entry_bytes); }
  CounterCell* cell(uint32_t i) const { return reinterpret_cast<CounterCell*>(bytes + geometry.cells_at()) + i; }
  bool has_room(uint32_t cells) const { return header().entries < geometry.entries_max && cells_used + cells <= geometry.cells_max; }

  std::unique_ptr<CounterMemory> memory;
  Geometry geometry;
  char* bytes;
  uint32_t cells_used = 0;
};

Counters::Counters(std::unique_ptr<CounterMemory> memory, uint32_t process, int64_t born_utc_ms) {
  static_assert(sizeof(CounterCell) == 8 && CounterCell::is_always_lock_free);
  const Geometry geometry = memory == nullptr ? k_plain : k_shared_counters;
  if (memory == nullptr) memory = std::make_unique<PlainMemory>(geometry.bytes());
  regions_.push_back(std::make_unique<Region>(std::move(memory), geometry, process, born_utc_ms));
}

Counters::~Counters() = default;

CounterCells Counters::add_entry(Kind kind, std::string_view name, std::string_view labels, std::string_view unit, std::string_view help) {
  const uint32_t cells = kind == Kind::histogram ? k_histogram_cells : 1;
  if (!regions_.back()->has_room(cells))
    regions_.push_back(std::make_unique<Region>(std::make_unique<PlainMemory>(k_plain.bytes()), k_plain, 0, 0));
  Region& region = *regions_.back();
  Entry& entry = region.entry(region.header().entries);
  entry.kind = kind;
  entry.first_cell = region.cells_used;
  entry.cells = cells;
  copy_text(entry.name, name);
  copy_text(entry.labels, labels);
  copy_text(entry.unit, unit);
  copy_text(entry.help, help);
  region.cells_used += cells;
  // Readers see the entry from here on, and never a half of it: a crash above leaves it unseen.
  std::atomic_ref<uint32_t>(region.header().entries).fetch_add(1, std::memory_order_release);
  return CounterCells(&owners_, region.cell(entry.first_cell), region.geometry.cells_max);
}

Counter& Counters::counter(std::string_view name, std::string_view help, CounterKind kind, std::string_view labels) {
  Counter*& known = counters_by_name_[key_of(name, labels)];
  if (known != nullptr) return *known;
  known = &counters_.emplace_back();
  known->cells_ = add_entry(kind == CounterKind::counter ? Kind::counter : Kind::gauge, name, labels, {}, help);
  return *known;
}

Histogram& Counters::histogram(std::string_view name, std::string_view unit, std::string_view help, std::string_view labels) {
  Histogram*& known = histograms_by_name_[key_of(name, labels)];
  if (known != nullptr) return *known;
  histograms_.push_back(Histogram(add_entry(Kind::histogram, name, labels, unit, help)));
  return *(known = &histograms_.back());
}

std::vector<CounterSample> Counters::samples() const {
  std::vector<CounterSample> all;
  for (const auto& region : regions_) {
    Result<CounterSamples> some = read_counters({region->bytes, region->geometry.bytes()});
    CHECK(some.ok());
    for (CounterSample& one : some->samples) all.push_back(std::move(one));
  }
  return all;
}

std::string Counters::open_metrics() const { return runtime::open_metrics(samples()); }

}  // namespace hongyan::runtime
