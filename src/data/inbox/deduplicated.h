// Commits whose only precondition is that their dedup row is absent: the blind, idempotent append.
#pragma once

#include <optional>
#include <vector>

#include "data/inbox/inbox_table.h"

namespace hongyan::inbox {

struct Outcome {
  bool committed = false;
  uint64_t version = 0;               // Of this commit, or of the one that put the row before.
  std::optional<DedupRow> present;    // When it was there already.
  bool reused = false;                // It was, with another payload.
};

// In list order; goes on behind those that were there already. `failure` is what stopped it, if anything did: then
// the commit behind the last outcome failed or its outcome is unknown, and none behind it was tried. OnReused::stop:
// an outcome with `reused` is the last one.
enum class OnReused : uint8_t { stop = 1, go_on = 2 };
struct InOrder {
  std::vector<Outcome> outcomes;
  Status failure;
};
struct Append {
  store::Commit commit;
  std::string payload_hash;
  size_t bytes = 0;  // Of the log row.
};
InOrder commit_deduplicated(Call& call, store::Store& store, const std::vector<Append>& appends, OnReused on_reused);

// The commit that puts a message into the inbox of `owner`, without what is special to sending.
// `message` has key and server time; `payload_hash` is of the message as its sender sees it.
Append append_of(uint64_t owner, const client::Message& message, std::string payload_hash);
// The same for both of a one-to-one message; `message` as its sender sees it, with the hash of its sender and
// client_msg_id for a key.
struct Appends {
  Append mine, theirs;
};
Appends append_both(uint64_t sender, uint64_t peer, const client::Message& message, const std::string& payload_hash);

}  // namespace hongyan::inbox
