// A map that never holds more than a fixed number of entries: the one unused for longest is forgotten. Ordered, so
// that nothing depends on hash seeds. Never waits.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <utility>

#include "base/check.h"

namespace hongyan::rpc {

template <typename Key, typename Value>
class LruMap {
 public:
  explicit LruMap(size_t size_max) : size_max_(size_max) { CHECK(size_max > 0); }

  // Null when absent. Counts as a use. The pointer is good until the next put or erase.
  Value* find(const Key& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second.place);
    return &found->second.value;
  }
  Value& put(const Key& key, Value value) {
    if (Value* present = find(key)) return *present = std::move(value);
    if (entries_.size() >= size_max_) {
      entries_.erase(*order_.back());
      order_.pop_back();
    }
    const auto [entry, fresh] = entries_.emplace(key, Entry{std::move(value), {}});
    CHECK(fresh);
    order_.push_front(&entry->first);
    entry->second.place = order_.begin();
    return entry->second.value;
  }
  void erase(const Key& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    order_.erase(found->second.place);
    entries_.erase(found);
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Value value;
    typename std::list<const Key*>::iterator place;
  };
  size_t size_max_;
  std::map<Key, Entry> entries_;
  std::list<const Key*> order_;  // Last used first.
};

}  // namespace hongyan::rpc
