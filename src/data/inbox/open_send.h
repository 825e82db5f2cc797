// Open sends: messages that are durable in the sender's inbox and perhaps not yet in the peer's. Each is an 'O' row
// of the sender's inbox, put by the commit that appended the message and found through the work mark
// k_work_open_send. Promises:
//   never lost     an 'O' row is removed only after the peer's inbox was seen to hold the message
//   never doubled  the peer's dedup row decides
//   in order       nothing goes to a peer before the sender's earlier open sends to that peer
// Where one batch of the store takes a message into both inboxes at once, no row is put at all: none_open().
// Which open sends are known to be delivered is remembered in memory, so that their rows can be removed by the
// sender's next commit, or by the worker, silently and many inboxes at a time. Forgetting it (a restart) costs one
// delivery that finds the message there. That none is open is remembered only by who writes alone (InboxConfig::alone);
// else it is read before each send: what its sender has seen was committed before that. Delivery rests on the right that was checked before the row was put.
#pragma once

#include <map>
#include <set>
#include <span>
#include <vector>

#include "data/inbox/core.h"
#include "data/inbox/deduplicated.h"

namespace hongyan::inbox {

class OpenSends {
 public:
  explicit OpenSends(Core& core) : core_(core) {}

  // Puts `messages` (as the sender sees them) into the peer's inbox, after all earlier open sends to that peer.
  // Returns the version of the last one there.
  Result<uint64_t> deliver(Call& call, uint64_t sender, uint64_t peer, std::span<const client::Message> messages);

  // Whether no open send of this sender is left or under way, so that a message may go into both inboxes at once and
  // overtakes none.
  Result<bool> none_open(Call& call, uint64_t sender);
  // Lives while a commit that may put open sends of this sender is under way.
  class Opening {
   public:
    Opening(OpenSends& sends, uint64_t sender);
    ~Opening();
    Opening(const Opening&) = delete;
    Opening& operator=(const Opening&) = delete;

   private:
    OpenSends& sends_;
    const uint64_t sender_;
  };

  // Rows that the sender's next commit should erase; forget them once it has.
  std::vector<uint64_t> delivered(uint64_t sender) const;
  void forget(uint64_t sender, std::span<const uint64_t> versions);

  // One round of the worker over every marked inbox: delivers what is older than the grace time, removes the rows of
  // what is delivered, clears the marks of inboxes without open sends.
  Status finish_all(Call& call);
  // The worker: a round every close_interval, until its waits are cancelled.
  void run();

 private:
  struct Closing {
    uint64_t sender;
    std::vector<uint64_t> versions;
    store::Commit commit;
  };
  Result<std::vector<client::Message>> with_earlier(Call& call, uint64_t sender, std::span<const store::Row> open,
                                                    const std::map<std::string, const client::Message*>& given);
  Result<uint64_t> put_into(Call& call, uint64_t sender, uint64_t peer, std::span<const client::Message> messages,
                            std::span<const uint64_t> open_versions);
  Result<Closing> prepare_closing(Call& call, uint64_t sender);
  Status close_many(Call& call, std::vector<Closing> closings);
  void remember(uint64_t sender, uint64_t version);
  std::string first_open_key(uint64_t sender) const;
  void note_first_open(uint64_t sender, const store::ReadReply& first_page);

  Core& core_;
  std::map<uint64_t, std::set<uint64_t>> delivered_;
  // No 'O' row of the sender is below this version. Without it every read walks over all rows that were removed since
  // the store last compacted, and somebody who writes much would slow down with every message.
  std::map<uint64_t, uint64_t> first_open_;
  std::set<uint64_t> none_open_;       // Senders of whom no row is there that is not in delivered_.
  std::map<uint64_t, int> opening_;
  uint64_t openings_ = 0;              // That have begun.
};

}  // namespace hongyan::inbox
