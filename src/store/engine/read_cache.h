// What a shard's readers asked for lately: of some entities the header and the rows of a few ranges, so that what is
// asked again and again (a friendship, a name, the end of a log) costs no walk over the engine's tables. Bounded; what
// falls out is read again.
//
// It holds the state behind the last batch that was answered. The engine may show the one batch that is being answered
// already: whoever has read there says so (keep, note), and what is here of that entity and is older goes, so that
// reads of one entity never go back. Owning thread only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/engine/backend.h"
#include "store/entity/store.h"

namespace hongyan::store {

class ReadCache {
 public:
  explicit ReadCache(uint64_t restore_salt);

  // The answer, when all of it is here.
  std::optional<ReadReply> find(const Read& read) const;
  std::optional<Header> header(const EntityId& entity) const;
  // How many batches have been applied. Whoever asks the engine remembers it from before: an answer that took so long
  // that a batch came between may be older than that batch, of which nothing is here when the entity was not.
  uint64_t batches() const { return batches_; }
  // What the engine answered to a question that was asked at `batches`.
  void keep(const Read& read, const ReadReply& reply, uint64_t batches);
  void note(const EntityId& entity, const Header& header, uint64_t batches);
  // A batch that has become durable.
  void apply(const std::vector<Write>& written);
  // Nobody knows what the engine holds.
  void clear();

 private:
  // All rows at `from` and above, below `to` (empty: to the end), in order.
  struct Range {
    std::string from, to;
    std::vector<Row> rows;
    size_t bytes = 0;
    bool covers(const Read& read) const;
    bool holds(std::string_view key) const { return key >= from && (to.empty() || key < to); }
  };
  struct Entry {
    EntityId entity;
    Header header;
    std::vector<Range> ranges;  // The newest last.
    size_t bytes = 0;
    bool used = false;
  };

  size_t place_of(TableId table, std::string_view id) const;
  const Entry* entry_of(const EntityId& entity) const;
  // At the header, with no range that is older; nothing when what is here is newer, or may be.
  Entry* fresh(const EntityId& entity, const Header& header, uint64_t batches);
  void change(Entry& entry, std::string_view key, const std::optional<std::string>& stored);
  void count(Entry& entry);
  void make_room();

  const uint64_t restore_salt_;
  std::vector<Entry> entries_;  // By hash; two of one place: the later one.
  uint64_t batches_ = 0;
  size_t bytes_ = 0;
  size_t hand_ = 0;
};

}  // namespace hongyan::store
