// Encodings. All integers are big-endian; `name` is a length byte and that many bytes. Never renumber.
//   every kind      format u8 = 1 · kind u8 · body of the kind · signatures
//   client          identity · signature "client"
//   call            identity · audiences
//   prioritised     identity · business priority u8 · user priority u8 · audiences (a call ticket too)
//   service         service name · expires u64 · audiences
//   grant           issuer name · actor u64 · object u64 · right name · expires u64 · signature "grant"
//   job grant       issuer name · object u64 · right name · from position u64 · signature "job grant"
//   identity        uin u64 · device name · epoch u32 · feature level u32 · expires u64
//   audiences       count u8 · {hash of the audience's name u32 · signature "call to <audience>"}...
//   signature       key id u8 · MAC 16 bytes
// A signature covers everything from the format byte to the end of the body; the audience hash only finds it.
#include "rpc/ticket.h"

#include <sodium.h>

#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "rpc/overload/level.h"

namespace hongyan::rpc {

namespace {

constexpr uint8_t k_format = 1;
enum class Kind : uint8_t { client = 1, call = 2, service = 3, grant = 4, job_grant = 5, prioritised = 6 };

constexpr size_t k_key_bytes = 32;
constexpr size_t k_mac_bytes = 16;                       // BLAKE2b-128.
constexpr size_t k_signature_bytes = 1 + k_mac_bytes;
constexpr size_t k_keys_max = 2;                         // The current and the previous one.
constexpr size_t k_device_bytes_max = 32;                // Ours have 16; room for a longer id without a new format.
constexpr size_t k_name_bytes_max = 32;                  // Services and rights: words of ours.
constexpr size_t k_priority_bytes = 2;
constexpr size_t k_audiences_max = 19;                   // What fits k_ticket_bytes_max beside the longest identity.
// How far the clocks of two machines may stand apart before a ticket looks as if it lived too long (as Kerberos).
constexpr int64_t k_clock_skew_ms_max = 5 * 60 * 1000;

constexpr size_t k_identity_bytes_max = 8 + 1 + k_device_bytes_max + 4 + 4 + 8;
static_assert(2 + k_identity_bytes_max + k_priority_bytes + 1 + k_audiences_max * (4 + k_signature_bytes) <= k_ticket_bytes_max);

Status refused(std::string_view why) { return Status(Code::unauthenticated, std::string(why)); }

const unsigned char* unsigned_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string mac(const MacKey& key, std::string_view purpose, std::string_view body) {
  std::string head;
  put_sized(head, purpose);
  put_u8(head, key.id);
  crypto_generichash_state state;
  std::string out(k_mac_bytes, '\0');
  CHECK(crypto_generichash_init(&state, unsigned_bytes(key.bytes), key.bytes.size(), k_mac_bytes) == 0);
  CHECK(crypto_generichash_update(&state, unsigned_bytes(head), head.size()) == 0);
  CHECK(crypto_generichash_update(&state, unsigned_bytes(body), body.size()) == 0);
  CHECK(crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(out.data()), k_mac_bytes) == 0);
  return out;
}

void put_name(std::string& out, std::string_view name) {
  put_u8(out, static_cast<uint8_t>(name.size()));
  out.append(name);
}
std::optional<std::string_view> take_name(Reader& reader, size_t bytes_max) {
  const auto size = reader.u8();
  if (!size || *size > bytes_max) return std::nullopt;
  return reader.bytes(*size);
}

std::string start(Kind kind) {
  std::string out;
  put_u8(out, k_format);
  put_u8(out, static_cast<uint8_t>(kind));
  return out;
}
std::optional<Kind> take_start(Reader& reader) {
  const auto format = reader.u8();
  const auto kind = reader.u8();
  if (!format || !kind || *format != k_format) return std::nullopt;
  if (*kind < static_cast<uint8_t>(Kind::client) || *kind > static_cast<uint8_t>(Kind::prioritised)) return std::nullopt;
  return static_cast<Kind>(*kind);
}

void put_identity(std::string& out, const Identity& identity) {
  put_u64(out, identity.uin);
  put_name(out, identity.device);
  put_u32(out, identity.epoch);
  put_u32(out, identity.feature_level);
  put_u64(out, static_cast<uint64_t>(identity.expires_ms));
}
std::optional<Identity> take_identity(Reader& reader) {
  const auto uin = reader.u64();
  const auto device = take_name(reader, k_device_bytes_max);
  const auto epoch = reader.u32();
  const auto feature_level = reader.u32();
  const auto expires = reader.u64();
  if (!uin || !device || !epoch || !feature_level || !expires || *uin == 0) return std::nullopt;
  return Identity{.uin = *uin, .device = std::string(*device), .epoch = *epoch, .feature_level = *feature_level,
                  .expires_ms = static_cast<int64_t>(*expires)};
}

Status check_lifetime(int64_t expires_ms, int64_t now_ms, int64_t lifetime_ms_max) {
  if (expires_ms <= now_ms) return refused("expired");
  if (expires_ms - lifetime_ms_max - k_clock_skew_ms_max > now_ms) return refused("lives longer than its kind may");
  return {};
}

bool may_be_minted(const Identity& identity) {
  return identity.uin != 0 && identity.device.size() <= k_device_bytes_max && identity.expires_ms >= 0;
}

std::string audience_purpose(std::string_view audience) { return "call to " + std::string(audience); }
uint32_t audience_hash(std::string_view audience) { return static_cast<uint32_t>(stable_hash(audience) >> 32); }

std::string sign_for_all(const AudienceKeys& audiences, std::string body) {
  CHECK(audiences.size() <= k_audiences_max);
  std::string out = body;
  put_u8(out, static_cast<uint8_t>(audiences.size()));
  std::set<uint32_t> seen;
  for (const auto& [audience, keys] : audiences) {
    CHECK(seen.insert(audience_hash(audience)).second);  // Two audiences of one hash: rename one.
    put_u32(out, audience_hash(audience));
    out += keys.sign(audience_purpose(audience), body);
  }
  return out;
}

struct ParsedCall {
  Caller caller;
  int64_t expires_ms = 0;
  std::string_view body;        // What the signatures cover.
  std::string_view audiences;   // count * (4 + k_signature_bytes)
};

Result<ParsedCall> parse_call(std::string_view ticket) {
  if (ticket.size() > k_ticket_bytes_max) return refused("the ticket is too long");
  Reader reader(ticket);
  const auto kind = take_start(reader);
  ParsedCall out;
  if (kind == Kind::call || kind == Kind::prioritised) {
    auto identity = take_identity(reader);
    if (!identity) return refused("malformed call ticket");
    if (kind == Kind::prioritised) {
      const auto business = reader.u8();
      const auto user = reader.u8();
      if (!business || !user) return refused("malformed call ticket");
      out.caller.priority = {.business = *business, .user = *user};
    }
    out.expires_ms = identity->expires_ms;
    out.caller.identity = *std::move(identity);
  } else if (kind == Kind::service) {
    const auto service = take_name(reader, k_name_bytes_max);
    const auto expires = reader.u64();
    if (!service || service->empty() || !expires) return refused("malformed service ticket");
    out.expires_ms = static_cast<int64_t>(*expires);
    out.caller.service = std::string(*service);
  } else {
    return refused("neither a call ticket nor a service ticket");
  }
  out.body = ticket.substr(0, ticket.size() - reader.rest().size());
  const auto count = reader.u8();
  if (!count || *count > k_audiences_max || reader.rest().size() != *count * (4 + k_signature_bytes)) {
    return refused("malformed list of audiences");
  }
  if (out.expires_ms < 0) return refused("malformed time");
  out.caller.expires_ms = out.expires_ms;
  out.audiences = reader.rest();
  return out;
}

struct ParsedGrant {
  Grant grant;
  std::string_view body;
  std::string_view signature;
};

std::string_view grant_purpose(bool job) { return job ? "job grant" : "grant"; }

Result<ParsedGrant> parse_grant(std::string_view encoded) {
  if (encoded.size() > k_ticket_bytes_max) return refused("the grant is too long");
  Reader reader(encoded);
  const auto kind = take_start(reader);
  if (kind != Kind::grant && kind != Kind::job_grant) return refused("not a grant");
  ParsedGrant out;
  out.grant.job = kind == Kind::job_grant;
  const auto issuer = take_name(reader, k_name_bytes_max);
  const auto actor = out.grant.job ? 0 : reader.u64();
  const auto object = reader.u64();
  const auto right = take_name(reader, k_name_bytes_max);
  const auto last = reader.u64();  // The end of a grant, the position of a job grant.
  if (!issuer || !actor || !object || !right || !last || reader.rest().size() != k_signature_bytes) {
    return refused("malformed grant");
  }
  out.grant.issuer = std::string(*issuer);
  out.grant.actor = *actor;
  out.grant.object = *object;
  out.grant.right = std::string(*right);
  if (out.grant.job) {
    out.grant.from_position = *last;
  } else {
    out.grant.expires_ms = static_cast<int64_t>(*last);
    if (out.grant.actor == 0 || out.grant.expires_ms < 0) return refused("malformed grant");
  }
  out.body = encoded.substr(0, encoded.size() - k_signature_bytes);
  out.signature = reader.rest();
  return out;
}

}  // namespace

KeyRing::KeyRing(std::vector<MacKey> keys) : keys_(std::move(keys)) {
  CHECK(!keys_.empty() && keys_.size() <= k_keys_max);
  for (const MacKey& key : keys_) CHECK(key.bytes.size() == k_key_bytes);
  CHECK(keys_.size() == 1 || keys_.front().id != keys_.back().id);
}

std::string KeyRing::sign(std::string_view purpose, std::string_view body) const {
  CHECK(!keys_.empty());
  std::string out;
  put_u8(out, keys_.back().id);
  return out + mac(keys_.back(), purpose, body);
}

bool KeyRing::verify(std::string_view purpose, std::string_view body, std::string_view signature) const {
  if (signature.size() != k_signature_bytes) return false;
  for (const MacKey& key : keys_) {
    if (key.id == static_cast<uint8_t>(signature[0])) {
      return equal_constant_time(mac(key, purpose, body), signature.substr(1));
    }
  }
  return false;
}

std::string make_client_ticket(const KeyRing& keys, const Identity& identity) {
  if (!may_be_minted(identity)) return {};
  std::string out = start(Kind::client);
  put_identity(out, identity);
  return out + keys.sign("client", out);
}

Result<Identity> check_client_ticket(const KeyRing& keys, std::string_view ticket, int64_t now_ms) {
  if (ticket.size() > k_ticket_bytes_max) return refused("the ticket is too long");
  Reader reader(ticket);
  if (take_start(reader) != Kind::client) return refused("not a client ticket");
  auto identity = take_identity(reader);
  const std::string_view signature = reader.rest();
  if (!identity || signature.size() != k_signature_bytes || identity->expires_ms < 0) {
    return refused("malformed client ticket");
  }
  if (!keys.verify("client", ticket.substr(0, ticket.size() - signature.size()), signature)) {
    return refused("the client ticket's signature does not verify");
  }
  TRY(check_lifetime(identity->expires_ms, now_ms, k_client_ticket_ms_max));
  return *std::move(identity);
}

std::string make_call_ticket(const AudienceKeys& audiences, const Identity& identity,
                             std::optional<runtime::Priority> priority) {
  if (!may_be_minted(identity)) return {};
  std::string body = start(priority ? Kind::prioritised : Kind::call);
  put_identity(body, identity);
  if (priority) {
    put_u8(body, priority->business);
    put_u8(body, priority->user);
  }
  return sign_for_all(audiences, std::move(body));
}

std::string make_service_ticket(const AudienceKeys& audiences, std::string_view service, int64_t expires_ms) {
  if (service.empty() || service.size() > k_name_bytes_max || expires_ms < 0) return {};
  std::string body = start(Kind::service);
  put_name(body, service);
  put_u64(body, static_cast<uint64_t>(expires_ms));
  return sign_for_all(audiences, std::move(body));
}

Result<Caller> caller_of(const Call& call) {
  if (call.ticket == nullptr) return refused("the call has no ticket");
  return parse_call_ticket(*call.ticket);
}

Result<Caller> parse_call_ticket(std::string_view ticket) { return TRY(parse_call(ticket)).caller; }

runtime::Priority priority_within(const Caller& caller, runtime::Priority asked) {
  if (!caller.service.empty()) return asked;
  return caller.priority ? no_better_than(asked, *caller.priority) : k_priority_lowest;
}

Result<Caller> check_call_ticket(const KeyRing& own, std::string_view audience, std::string_view ticket,
                                 int64_t now_ms) {
  ParsedCall parsed = TRY(parse_call(ticket));
  Reader entries(parsed.audiences);
  while (!entries.empty()) {
    const auto hash = entries.u32();
    const auto signature = entries.bytes(k_signature_bytes);
    if (!hash || !signature) break;
    if (*hash != audience_hash(audience)) continue;
    if (!own.verify(audience_purpose(audience), parsed.body, *signature)) {
      return refused("the ticket's signature does not verify");
    }
    TRY(check_lifetime(parsed.expires_ms, now_ms, k_call_ticket_ms_max));
    return std::move(parsed.caller);
  }
  return refused("the ticket is not for this audience");
}

Status check_call_ticket_time(const Caller& caller, int64_t now_ms) {
  return check_lifetime(caller.expires_ms, now_ms, k_call_ticket_ms_max);
}

runtime::Priority claimed_priority(std::string_view ticket, runtime::Priority asked) {
  return claim_of(ticket, asked).priority;
}

Claim claim_of(std::string_view ticket, runtime::Priority asked) {
  if (ticket.empty()) return {.priority = k_priority_lowest};
  const Result<ParsedCall> parsed = parse_call(ticket);
  if (!parsed.ok()) return {.priority = k_priority_lowest};
  return {.priority = priority_within(parsed->caller, asked), .uin = parsed->caller.identity.uin};
}

std::string make_grant(const KeyRing& issuer, const Grant& grant) {
  if (grant.issuer.size() > k_name_bytes_max || grant.right.size() > k_name_bytes_max) return {};
  if (!grant.job && (grant.actor == 0 || grant.expires_ms < 0)) return {};
  std::string out = start(grant.job ? Kind::job_grant : Kind::grant);
  put_name(out, grant.issuer);
  if (!grant.job) put_u64(out, grant.actor);
  put_u64(out, grant.object);
  put_name(out, grant.right);
  put_u64(out, grant.job ? grant.from_position : static_cast<uint64_t>(grant.expires_ms));
  return out + issuer.sign(grant_purpose(grant.job), out);
}

Result<Grant> check_grant(const KeyRing& issuer, std::string_view encoded, int64_t now_ms) {
  ParsedGrant parsed = TRY(parse_grant(encoded));
  if (!issuer.verify(grant_purpose(parsed.grant.job), parsed.body, parsed.signature)) {
    return refused("the grant's signature does not verify");
  }
  if (!parsed.grant.job) TRY(check_lifetime(parsed.grant.expires_ms, now_ms, k_call_ticket_ms_max));
  return std::move(parsed.grant);
}

}  // namespace hongyan::rpc
