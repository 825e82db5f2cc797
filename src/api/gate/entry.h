// What every access service does with one request, whichever way it came: who asks, may they, how often, how long;
// then the call, then the BaseResponse. One Entry per process, shared by its gates.
//
//   identity   the client ticket in base, else the identity of the link; a ticket shown by another device is refused.
//              MAC and time (rpc/ticket.h), revocations, and the device's epoch as data/device says it (asked once per
//              device and trusted for a while). Anonymous commands carry the service ticket
//              "login": logic holds no key, and only the login service has such commands.
//   limits     a token bucket per device, for anonymous commands per address; too much is rate_limited.
//   address    an anonymous request carries the peer's address (base.peer_address) to whoever counts failures by it. It is
//              always set or cleared here; loopback is nobody's address, for all people may come through a proxy there.
//   priority   the command's, and one of 128 levels of the user's (of an anonymous caller: of the address), shuffled
//              every hour by a secret that all access processes share. Stamped once, inherited by every call below, and
//              signed in the call ticket.
//   overload   when requests queue for the loop (rpc/overload/dagor.h), the less important are `overloaded` before
//              anything is asked or done for them, with a retry_after_ms of their own. A request's queueing is the time
//              since its link was readable (Origin::arrived) and the length of a turn of the loop (turns.h): nobody
//              waits to be measured, so answers come in the order in which they are ready.
//   call       a call ticket of <= 60 s, a deadline. The client's ticket goes no further.
//   trace      what the request says (traceparent, in its base or as a header), or one of its own; a span when sampled.
//   answer     code, class, debug (one line of UTF-8, bounded), times and versions; a code that is not in
//              model/error_code.h becomes `internal`, is counted and logged. A ticket past half its life is renewed.
//
// Nothing here fails: the answer says what went wrong. Owning thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/client/base.pb.h"
#include "api/gate/turns.h"
#include "api/internal/device.rpc.pb.h"
#include "model/error_code.h"
#include "rpc/command/command_table.h"
#include "rpc/guard.h"
#include "rpc/lru_map.h"
#include "rpc/overload/dagor.h"
#include "rpc/rate.h"
#include "rpc/service_identity.h"
#include "rpc/ticket.h"
#include "runtime/counters/counters.h"
#include "runtime/env/env.h"
#include "runtime/trace/tracer.h"

namespace hongyan::api {

struct EntryConfig {
  runtime::Duration deadline = std::chrono::seconds(10);
  uint32_t server_version = 1;
  uint32_t min_client_version = 0;
  uint64_t config_epoch = 0;
  int64_t renew_when_left_ms = rpc::k_client_ticket_ms_max / 2;
  runtime::Duration renew_again = std::chrono::seconds(60);   // A lost answer costs this much, a busy client no more than one renewal in it.
  runtime::Duration epoch_trust = std::chrono::minutes(5);    // Revocations arrive sooner; this bounds the harm of a lost one.
  size_t devices_max = 100'000;                               // Remembered epochs, buckets; about 200 bytes each.
  bool overload_control = true;
  rpc::DagorOptions overload = {};
  rpc::Rate per_device{.per_second = 50, .burst = 100};
  rpc::Rate per_address{.per_second = 5, .burst = 20};             // Anonymous commands: each register costs an argon2.
};

struct EntryDeps {
  rpc::CommandTable commands;
  rpc::KeyRing client_tickets;
  rpc::AudienceKeys audiences;
  const rpc::Revocations& revocations;
  internal::DeviceClient device;
};

// What a link has learnt about its device. Renewing its ticket renews this too.
struct Link {
  std::optional<rpc::Identity> identity;
  // The last ticket that was shown here with a good MAC, and what it says: the same bytes say the same again. Its time,
  // and whether it was revoked, is asked each time.
  std::string shown;
  rpc::Identity shown_identity;
  int64_t shown_at_ms = 0;
};

struct Origin {
  std::string_view address;  // The peer's, without the port.
  Link* link = nullptr;      // Null: a request that stands alone.
  std::optional<runtime::Time> arrived = {};  // When it was there to be read; none: just now.
  Credit* credit = nullptr;  // Of its connection; null: nobody counts.
  std::string_view traceparent = {};  // Of a request over HTTP; what stands in its base goes first.
};

// How a device's session stands with data/device.
enum class Standing { good, superseded, closed };

class Entry {
 public:
  // Answers one command. `identity` is null for an anonymous command.
  using Work = std::function<Status(Call& call, const rpc::Identity* identity, const rpc::Message& request,
                                    rpc::Message& response)>;

  // CHECKs that field 1 of every command's request is a BaseRequest, of its response a BaseResponse.
  Entry(Env& env, EntryDeps deps, EntryConfig config);

  const rpc::CommandTable& commands() const { return deps_.commands; }

  // `request` and `response` are of the command's types; `response` is empty.
  void handle(Call& call, const rpc::ServedCommand& command, rpc::Message& request, const Origin& origin, rpc::Message& response);
  // The same for a command that access answers itself, waiting no longer than `limit`.
  void handle(Call& call, const rpc::MethodInfo& method, rpc::Message& request, const Origin& origin,
              rpc::Message& response, runtime::Duration limit, const Work& work);
  // A request that did not get that far.
  void refuse(const Status& status, rpc::Message& response);

  // Asks data/device again, whatever is remembered. An error: it could not say.
  Result<Standing> standing(Call& call, const rpc::Identity& identity);
  bool revoked(const rpc::Identity& identity) const { return deps_.revocations.revoked(identity); }
  // Calls that access makes on its own account ("access").
  rpc::ServiceIdentity& service() { return service_; }

 private:
  // A call ticket, and of what it was made.
  struct Minted {
    std::shared_ptr<const std::string> ticket;
    rpc::Identity of;
    runtime::Priority priority;
    int64_t at_ms;
  };
  struct Known {
    uint32_t epoch;
    bool open;
    runtime::Time until;
    std::vector<Minted> minted;  // One for each business priority that the device has used.
  };
  using DeviceKey = std::pair<uint64_t, std::string>;

  struct Admitted {
    std::optional<rpc::Identity> identity;
    Call call;
  };
  Result<Admitted> admit(Call& call, const rpc::MethodInfo& method, client::BaseRequest& base, const Origin& origin,
                         runtime::Duration limit, runtime::Duration& retry_after);
  Result<rpc::Identity> identify(Call& call, const client::BaseRequest& base, const Origin& origin,
                                 runtime::Duration& retry_after);
  Result<rpc::Identity> check_shown(const std::string& ticket, Link* link);
  Status check_epoch(Call& call, const rpc::Identity& identity);
  Result<Known> ask_epoch(Call& call, const rpc::Identity& identity);
  void renew(const Admitted& admitted, const Origin& origin, client::BaseResponse& base);
  void fill(const Call& call, const Status& status, runtime::Duration retry_after, client::BaseResponse& base);
  std::shared_ptr<const std::string> call_ticket(const rpc::Identity& identity, runtime::Priority priority);
  void answer_admitted(Admitted& admitted, rpc::Message& request, const Origin& origin, rpc::Message& response,
                       const Work& work);
  Status take(runtime::Priority priority, const Origin& origin, runtime::Duration& retry_after);
  uint8_t user_level(std::string_view who);

  Env& env_;
  EntryDeps deps_;
  EntryConfig config_;
  rpc::ServiceIdentity service_;
  rpc::ServiceIdentity anonymous_;
  rpc::LruMap<DeviceKey, Known> epochs_;
  rpc::LruMap<DeviceKey, runtime::Time> renewed_;
  rpc::RateLimiter<DeviceKey> per_device_;
  rpc::RateLimiter<std::string> per_address_;
  rpc::Dagor dagor_;
  LoopLag lag_;
  runtime::Tracer& tracer_;
  int64_t shuffled_hour_ = -1;
  uint64_t shuffle_ = 0;            // Of the user levels of that hour.
  runtime::Counter& requests_;
  runtime::Counter& refused_tickets_;
  runtime::Counter& limited_;
  runtime::Counter& overloaded_;
  runtime::Counter& foreign_codes_;
  runtime::Counter& renewals_;
};

// The BaseRequest of a command's request, the BaseResponse of its response.
client::BaseRequest& base_of_request(rpc::Message& request);
client::BaseResponse& base_of_response(rpc::Message& response);
// What the connection has earned by a request that was answered so. The server's own troubles change nothing.
void settle_credit(const Origin& origin, rpc::Message& response);
// At most `bytes_max` of valid UTF-8 on one line: what is neither becomes '?'.
std::string printable(std::string_view text, size_t bytes_max);
// The part of an address that limits count by: no port, and of IPv6 the /64 that one customer holds.
std::string address_group(std::string_view peer);
// Whether only this machine reaches, or is, that address ("127.0.0.1:8080", "[::1]:8080").
bool is_loopback(std::string_view address);

}  // namespace hongyan::api
