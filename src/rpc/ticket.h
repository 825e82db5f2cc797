// Tickets and grants: who is asking, proved by a MAC at every service that owns rows (design: full-path ticket).
//
//   client ticket   login -> client; {uin, device, epoch, expires <= 24 h}. Access checks it.
//   call ticket     access -> data; the same identity for one call (<= 60 s) with one MAC per audience (data service),
//                   and the best priority that calls under it may have: a caller can't promote itself.
//   service ticket  a service calling as itself; {service, expires <= 60 s}, one MAC per audience.
//   grant           the service that owns a fact -> another; {issuer, actor, object, right, expires <= 60 s}.
//   job grant       for work that runs later; {issuer, object, right, from position}, does not expire: it dies with the work.
//
// MAC: BLAKE2b-128 keyed (RFC 7693), over every byte before it; compared in constant time. Keys rotate by id; the
// current and the previous one verify. Encodings carry a format byte: never renumber.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/call.h"
#include "runtime/env/env.h"

namespace hongyan::rpc {

inline constexpr int64_t k_client_ticket_ms_max = 24 * 3600 * 1000;
inline constexpr int64_t k_call_ticket_ms_max = 60 * 1000;
inline constexpr size_t k_ticket_bytes_max = 512;

struct MacKey {
  uint8_t id = 0;
  std::string bytes;  // 32
};

// The current key signs; all verify (at most two).
class KeyRing {
 public:
  KeyRing() = default;
  explicit KeyRing(std::vector<MacKey> keys);  // The last is the current.
  std::string sign(std::string_view purpose, std::string_view body) const;  // key id, then 16 bytes of MAC
  bool verify(std::string_view purpose, std::string_view body, std::string_view signature) const;

 private:
  std::vector<MacKey> keys_;
};

struct Identity {
  uint64_t uin = 0;
  std::string device;          // 16 bytes
  uint32_t epoch = 0;
  uint32_t feature_level = 0;
  int64_t expires_ms = 0;      // UTC
};

struct Grant {
  std::string issuer;          // "contact"
  uint64_t actor = 0;          // 0 in a job grant
  uint64_t object = 0;
  std::string right;           // "write"
  int64_t expires_ms = 0;      // 0 in a job grant
  uint64_t from_position = 0;  // job grant
  bool job = false;
};

// Client tickets: one ring, shared by the service that mints (device) and those that check (access).
std::string make_client_ticket(const KeyRing& keys, const Identity& identity);
Result<Identity> check_client_ticket(const KeyRing& keys, std::string_view ticket, int64_t now_ms);

// Call tickets: audience -> its ring. Access holds all of them.
using AudienceKeys = std::map<std::string, KeyRing, std::less<>>;
std::string make_call_ticket(const AudienceKeys& audiences, const Identity& identity,
                             std::optional<runtime::Priority> priority = std::nullopt);
std::string make_service_ticket(const AudienceKeys& audiences, std::string_view service, int64_t expires_ms);

// What a ticket says, unchecked: for logic services, which route by it and hold no key.
struct Caller {
  Identity identity;     // uin 0 for a service ticket
  std::string service;   // "" for a person
  int64_t expires_ms = 0;  // Of either kind of ticket.
  std::optional<runtime::Priority> priority = {};  // Of a call ticket; none: nobody vouched for any.
};
// What a call may claim that comes with such a ticket: of a person no better than the ticket says, the lowest when it
// says nothing; a service says itself how important its work is.
runtime::Priority priority_within(const Caller& caller, runtime::Priority asked);
// The same of a ticket that nobody here can check; empty: no ticket, the lowest.
runtime::Priority claimed_priority(std::string_view ticket, runtime::Priority asked);
// And whose it claims to be, for the log; 0: a service's, or no ticket.
struct Claim {
  runtime::Priority priority;
  uint64_t uin = 0;
};
Claim claim_of(std::string_view ticket, runtime::Priority asked);
Result<Caller> caller_of(const Call& call);  // Code::unauthenticated without a ticket.
Result<Caller> parse_call_ticket(std::string_view ticket);  // Unchecked too.
Result<Caller> check_call_ticket(const KeyRing& own, std::string_view audience, std::string_view ticket, int64_t now_ms);

// Of a caller whose ticket has passed check_call_ticket before.
Status check_call_ticket_time(const Caller& caller, int64_t now_ms);

std::string make_grant(const KeyRing& issuer, const Grant& grant);
Result<Grant> check_grant(const KeyRing& issuer, std::string_view encoded, int64_t now_ms);

}  // namespace hongyan::rpc
