// What generated code and transports share: a method's description, a service that can be called, a channel that
// calls. Stubs and handlers take protobuf messages. An in-process channel runs the handler inline, through the same
// guard as the network's.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "rpc/ticket.h"
#include "runtime/call.h"

namespace hongyan::rpc {

using google::protobuf::Message;

// The policy of rpc/options.proto, resolved by the generator.
struct MethodPolicy {
  // Reads the declared request field; null when the policy has none.
  uint64_t (*owner)(const Message&) = nullptr;
  std::string_view (*device)(const Message&) = nullptr;
  std::string_view grant_right = {};
  std::string_view grant_issuer = {};
  uint64_t (*grant_object)(const Message&) = nullptr;
  std::string_view (*grant)(const Message&) = nullptr;
  std::span<const std::string_view> services = {};
  bool is_public = false;
  bool all = false;  // Owner and grant must both hold.
};

struct MethodInfo {
  std::string_view service;    // "Inbox"
  std::string_view name;       // "Append"
  std::string_view full_name;  // "hongyan.internal.Inbox.Append"; its stable hash is the id on the wire
  uint32_t id = 0;
  size_t index = 0;            // In its service.
  const Message* (*request)() = nullptr;   // Default instances.
  const Message* (*response)() = nullptr;
  MethodPolicy policy;
  uint32_t command_id = 0;     // 0: not a client command.
  std::string_view command_path = {};
  bool command_anonymous = false;
  uint8_t priority = 0;
  bool idempotent = false;
  // Of a request: what a channel with several instances spreads calls by. Null: the call's own key.
  uint64_t (*routing_key)(const Message&) = nullptr;
};

class Service {
 public:
  virtual ~Service() = default;
  virtual std::span<const MethodInfo> methods() const = 0;
  // `request` and `response` are of the method's types. The generated base dispatches to typed virtual functions.
  virtual Status handle(Call& call, const MethodInfo& method, const Message& request, Message& response) = 0;
};

class Channel {
 public:
  virtual ~Channel() = default;
  virtual Status call(Call& call, const MethodInfo& method, const Message& request, Message& response) = 0;
};

// Stands before every handler: tickets and policy. One per service instance.
class Interceptor {
 public:
  virtual ~Interceptor() = default;
  // The priority that a call has, which comes with `ticket` (empty: none) and asks for `asked`. Before there is a
  // message or a coroutine: cheap. This one believes what the ticket says; a guard that has the key checks it.
  virtual runtime::Priority priority(std::string_view ticket, runtime::Priority asked) {
    return claimed_priority(ticket, asked);
  }
  virtual Status before(Call& call, const MethodInfo& method, const Message& request) = 0;
};

}  // namespace hongyan::rpc
