// Counters of one process: named numbers with a unit and a help text, registered once by the room that owns them (a
// small struct `x_counters.h` per service holds the handles), drawn as OpenMetrics text.
//
// They live in a CounterMemory (format.h): plain memory unless told, or a shared mapping that other processes read
// while it is written and that still has the last values after a crash (runtime/os/shared_counters.h). Each thread that
// adds has a slot of its own, so an addition is a load and a store; readers add the slots up. Threads beyond the slots
// share one, with atomic additions.
//
// Handles are valid as long as the Counters. add(), set() and record() from any thread, everything else on the owning
// thread. A set() that meets additions from other threads is either before or after each of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/counters/format.h"
#include "runtime/counters/sample.h"

namespace hongyan::runtime {

using CounterCell = std::atomic<int64_t>;

// Which thread has which slot. Claimed at a thread's first addition and never given back: a thread that ended leaves
// its slot to the next one with the same address of its control block.
class SlotOwners {
 public:
  static constexpr uint32_t k_slots = 6;  // One of them is everybody's: a loop, RocksDB's committer, a few lanes.

  // 0: everybody's.
  uint32_t slot() {
    const uintptr_t self = this_thread();
    if (owners_[1].load(std::memory_order_relaxed) == self) [[likely]] return 1;
    return find(self);
  }

 private:
  static uintptr_t this_thread() {
#ifdef __x86_64__
    uintptr_t self;
    asm("mov %%fs:0, %0" : "=r"(self));
    return self;
#else
    return reinterpret_cast<uintptr_t>(__builtin_thread_pointer());
#endif
  }
  uint32_t find(uintptr_t self);

  std::atomic<uintptr_t> owners_[k_slots] = {};
};

// Where some cells are: of every slot, `stride` cells apart.
class CounterCells {
 public:
  CounterCells() = default;
  CounterCells(SlotOwners* owners, CounterCell* cells, uint32_t stride) : owners_(owners), cells_(cells), stride_(stride) {}

  struct Own {
    CounterCell* cells;
    bool alone;  // Nobody else writes there.
  };
  Own own() const {
    const uint32_t slot = owners_->slot();
    return {cells_ + size_t{slot} * stride_, slot != 0};
  }
  static void add(CounterCell& cell, int64_t n, bool alone) {
    if (alone) [[likely]] {
      cell.store(plus(cell.load(std::memory_order_relaxed), n), std::memory_order_relaxed);
    } else {
      cell.fetch_add(n, std::memory_order_relaxed);
    }
  }
  int64_t sum(uint32_t cell) const;
  int64_t sum_of_owned(uint32_t cell) const;  // Without slot 0.
  CounterCell& shared(uint32_t cell) const { return cells_[cell]; }
  CounterCell& at(uint32_t slot, uint32_t cell) const { return cells_[size_t{slot} * stride_ + cell]; }

 private:
  static int64_t plus(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }
  SlotOwners* owners_ = nullptr;
  CounterCell* cells_ = nullptr;
  uint32_t stride_ = 0;
};

class Counter {
 public:
  void add(int64_t n) {
    const CounterCells::Own own = cells_.own();
    CounterCells::add(*own.cells, n, own.alone);
  }
  void set(int64_t n) { cells_.shared(0).store(n - cells_.sum_of_owned(0), std::memory_order_relaxed); }
  int64_t value() const { return cells_.sum(0); }

 private:
  friend class Counters;
  CounterCells cells_;
};

// Powers of two with four steps each, from 1 to 2^40 of its unit; <= 19 % relative error.
class Histogram {
 public:
  static constexpr int k_buckets = counter_format::k_buckets;
  Histogram();  // In memory of its own: for tests and tools.
  Histogram(Histogram&&) noexcept;
  ~Histogram();
  void record(int64_t value);
  uint64_t count() const { return sample().count(); }
  int64_t max() const { return sample().max; }
  int64_t quantile(double q) const { return sample().quantile(q); }
  CounterSample sample() const;

 private:
  friend class Counters;
  struct Alone;
  explicit Histogram(CounterCells cells);
  CounterCells cells_;
  std::unique_ptr<Alone> alone_;
};

enum class CounterKind { counter, gauge };

class CounterMemory {
 public:
  virtual ~CounterMemory() = default;
  virtual std::span<char> bytes() = 0;  // Zeroes at first, aligned to 64 bytes; as many as k_shared_counters takes.
};

// Of a CounterMemory: 1,024 names and some 190 histograms. What is registered beyond it works and is drawn by this
// process, unseen by others.
inline constexpr counter_format::Geometry k_shared_counters = {.slots = SlotOwners::k_slots, .entries_max = 1024, .cells_max = 32 * 1024};

class Counters {
 public:
  explicit Counters(std::unique_ptr<CounterMemory> memory = nullptr, uint32_t process = 0, int64_t born_utc_ms = 0);
  ~Counters();
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  // `name` as OpenMetrics wants it: hongyan_inbox_appends. `labels` without braces: `method="x.Y.Z"`. Registering a
  // name and labels twice returns the same handle. Too long texts are cut to the format's fields.
  Counter& counter(std::string_view name, std::string_view help, CounterKind kind = CounterKind::counter, std::string_view labels = {});
  Histogram& histogram(std::string_view name, std::string_view unit, std::string_view help, std::string_view labels = {});

  std::vector<CounterSample> samples() const;  // In order of registration.
  std::string open_metrics() const;

 private:
  struct Region;
  CounterCells add_entry(counter_format::Kind kind, std::string_view name, std::string_view labels, std::string_view unit,
                         std::string_view help);
  SlotOwners owners_;
  std::vector<std::unique_ptr<Region>> regions_;  // The last one has room.
  std::map<std::string, Counter*, std::less<>> counters_by_name_;
  std::map<std::string, Histogram*, std::less<>> histograms_by_name_;
  std::deque<Counter> counters_;
  std::deque<Histogram> histograms_;
};

}  // namespace hongyan::runtime
