// What was asked, what was promised, and what devices saw: facts that the people of a run note down and the checkers
// judge. The server never sees it. The first violation ends the run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/world/world.h"

namespace hongyan::sim {

// A conversation as its owner names it: type, id.
using ConversationKey = std::pair<uint32_t, uint64_t>;

// When a server said something: its place in the history of restores, and the moment.
struct Said {
  int timeline = 0;  // How many restores had happened.
  Time at{};
};

struct Send {
  uint64_t sender = 0;
  std::string client_msg_id;
  ConversationKey conversation;  // As the sender names it.
  std::string content;
  size_t device = 0;
  uint64_t order = 0;               // Among this device's sends into this conversation; batches count on.
  std::vector<std::string> behind;  // Keys of messages the device had received there before.
  Said written;                     // When, as far as the device knew: a restore may have lost those messages.
  std::optional<Said> acked;
  std::string key;
  uint32_t refused = 0;             // The code, once the server has said no for good.
};

struct Restore {
  int timeline = 0;   // The one it began.
  Time backup_at{};
};

struct Violation {
  std::string invariant;
  std::string detail;
};

struct Tally {
  uint64_t calls = 0;             // Sent while the server could be reached; lost answers count against it.
  uint64_t calls_answered = 0;
  uint64_t messages_acked = 0;
  uint64_t messages_checked = 0;  // Copies compared at the end.
  uint64_t crashes = 0;
  uint64_t faults = 0;            // All that fired, crashes included.
  uint64_t probes = 0;
  uint64_t resets = 0;
  uint64_t markers = 0;           // That devices got.
};

class Ledger {
 public:
  explicit Ledger(World& world) : world_(world) {}

  // Keeps the first, and stops the world.
  void violated(const std::string& invariant, const std::string& detail);
  const std::optional<Violation>& violation() const { return violation_; }

  Send& add_send(Send send);
  Send* find(uint64_t sender, const std::string& client_msg_id);
  const std::map<std::pair<uint64_t, std::string>, Send>& sends() const { return sends_; }

  void restored(Time backup_at);
  int timeline() const { return static_cast<int>(restores_.size()); }
  // Whether what was said then must still hold: no later restore went back behind it.
  bool holds(const Said& said) const;

  // The highest position that was acknowledged as read, per user and conversation, of the present timeline.
  void marked_read(uint64_t uin, const ConversationKey& conversation, uint64_t position, const Said& said);
  uint64_t read_up_to(uint64_t uin, const ConversationKey& conversation) const;
  // Both are friends, said the server.
  void befriended(uint64_t a, uint64_t b, const Said& said);
  const std::map<std::pair<uint64_t, uint64_t>, Said>& friends() const { return friends_; }

  Tally tally;

 private:
  struct ReadMark {
    uint64_t position = 0;
    Said said;
  };
  World& world_;
  std::optional<Violation> violation_;
  std::map<std::pair<uint64_t, std::string>, Send> sends_;
  std::vector<Restore> restores_;
  std::map<std::pair<uint64_t, ConversationKey>, std::vector<ReadMark>> marks_;
  std::map<std::pair<uint64_t, uint64_t>, Said> friends_;
};

}  // namespace hongyan::sim
