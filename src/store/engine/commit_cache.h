// Headers and number rows that commits read again and again, as they are stored: a table of fixed size, by hash, two of
// one place: the later one. Of the committer, who alone writes: it says what it has written, and forgets all when it
// does not know what the disk holds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "store/engine/backend.h"
#include "store/engine/limits.h"

namespace hongyan::store {

class CommitCache {
 public:
  // Null: not here.
  const std::optional<std::string>* find(const std::string& key) const {
    const Entry& entry = entries_[place_of(key)];
    return entry.key == key ? &entry.value : nullptr;
  }
  void keep(const std::string& key, const std::optional<std::string>& value) {
    if (value && value->size() > k_committer_value_bytes_max) return;
    entries_[place_of(key)] = {key, value};
  }
  void apply(const std::vector<Write>& written) {
    for (const Write& write : written) {
      if (write.space != Space::rows) continue;
      Entry& entry = entries_[place_of(write.key)];
      if (entry.key == write.key) entry.value = write.value;
    }
  }
  void clear() {
    for (Entry& entry : entries_) entry = Entry();
  }

 private:
  struct Entry {
    std::string key;  // Empty: nothing.
    std::optional<std::string> value;
  };
  size_t place_of(const std::string& key) const { return stable_hash(key) % entries_.size(); }

  std::vector<Entry> entries_ = std::vector<Entry>(k_committer_rows_max);
};

}  // namespace hongyan::store
