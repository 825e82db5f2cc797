// The memory of counters, as other processes and later ones read it. On disk: never renumber; a change of meaning is
// another version.
//
//   header, k_header_bytes | entries, k_entry_bytes each | slots x cells, 8 bytes each
//
// An entry names one counter, gauge or histogram and says where its cells are; it is there once `entries` of the header
// counts it. Cell c of slot s is the c-th word of the s-th slot. Slot 0 is everybody's and is changed by atomic
// addition; each other slot belongs to one thread of the writer, which adds with a plain load and store. The value is
// the sum over the slots. A histogram has k_histogram_cells: its buckets, the sum of the samples, and the maximum
// (which merges by maximum). Words are in the writer's byte order: one machine writes and reads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hongyan::runtime::counter_format {

inline constexpr char k_magic[8] = {'H', 'Y', 'C', 'O', 'U', 'N', 'T', 'S'};
inline constexpr uint32_t k_version = 1;

enum class Kind : uint32_t { counter = 1, gauge = 2, histogram = 3 };

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t slots;
  uint32_t entries_max;
  uint32_t cells_max;  // Of one slot.
  uint32_t entries;    // Written last, with release.
  uint32_t process;    // 0: not told.
  int64_t born_utc_ms;
};

// Texts end with a zero byte.
inline constexpr size_t k_name_bytes = 96;
inline constexpr size_t k_labels_bytes = 160;
inline constexpr size_t k_unit_bytes = 16;
inline constexpr size_t k_help_bytes = 224;

struct Entry {
  Kind kind;
  uint32_t first_cell;
  uint32_t cells;
  uint32_t unused;
  char name[k_name_bytes];
  char labels[k_labels_bytes];
  char unit[k_unit_bytes];
  char help[k_help_bytes];
};

inline constexpr size_t k_header_bytes = 4096;
inline constexpr size_t k_entry_bytes = 512;
static_assert(sizeof(Entry) == k_entry_bytes && sizeof(Header) <= k_header_bytes);

// Powers of two with four steps each.
inline constexpr uint32_t k_buckets = 164;
inline constexpr uint32_t k_sum_cell = k_buckets;
inline constexpr uint32_t k_max_cell = k_buckets + 1;
inline constexpr uint32_t k_histogram_cells = k_buckets + 2;

struct Geometry {
  uint32_t slots;
  uint32_t entries_max;
  uint32_t cells_max;
  constexpr size_t cells_at() const { return k_header_bytes + size_t{entries_max} * k_entry_bytes; }
  constexpr size_t bytes() const { return cells_at() + size_t{slots} * cells_max * 8; }
};

// What a reader takes; more is not ours.
inline constexpr uint32_t k_slots_max = 64;
inline constexpr uint32_t k_entries_max = 1 << 16;
inline constexpr uint32_t k_cells_max = 1 << 20;

}  // namespace hongyan::runtime::counter_format
