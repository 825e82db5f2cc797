// The integrator's door: JSON over HTTP on a loopback listener of its own, for the server of a product that keeps its
// accounts itself (docs/server-api.md). Whoever holds the secret may make users, open sessions for them, make them
// friends and send messages as them or as the system; it can't read anything. The
// operator's pages (status, counters, connections) are read there without it.
//
// Every command may be repeated: users by external_id, messages by client_msg_id, friendships by nature; a repeated
// ticket request makes another ticket. HTTP's status follows the error here, unlike on the clients' channels. Sending as
// a user needs no friendship, but whoever has blocked that user is left in peace (blocked).
//
// Lifecycle: make, start() once, stop() once, destroy. Owning thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/client/group.rpc.pb.h"
#include "api/internal/account.rpc.pb.h"
#include "api/internal/contact.rpc.pb.h"
#include "api/internal/device.rpc.pb.h"
#include "api/internal/inbox.rpc.pb.h"
#include "rpc/http/http.h"
#include "rpc/service_identity.h"
#include "rpc/ticket.h"
#include "runtime/env/env.h"

namespace hongyan::access {

struct ServerPortDeps {
  internal::AccountClient account;
  internal::DeviceClient device;
  internal::ContactClient contact;
  internal::InboxClient inbox;
  client::GroupChatClient group_chat;
  rpc::ServiceIdentity self;             // "integrator"
  rpc::AudienceKeys audiences;           // For call tickets of the users it writes as.
  std::string secret;                    // Shown as "Authorization: Bearer <secret>".
  std::function<std::string()> web_url;  // Where a ticket is used: "http://127.0.0.1:8080".
  // Pages for the operator (rpc/pages) under all paths but /api/ and /healthz; `secret` says whether the request shows
  // it. Null: none. Only for requests that were not forwarded and name this machine as their host.
  std::function<rpc::HttpResponse(const rpc::HttpRequest&, bool secret)> pages = {};
};

struct ServerPortConfig {
  std::string address = "127.0.0.1:8082";
  size_t connections_max = 256;                                  // One server's pool of connections.
  runtime::Duration read_limit = std::chrono::seconds(30);       // For one request, from its first byte.
  runtime::Duration idle_limit = std::chrono::seconds(75);
  runtime::Duration write_limit = std::chrono::seconds(30);
  runtime::Duration command_limit = std::chrono::seconds(10);
  rpc::HttpLimits http = {.body_bytes = 128 * 1024};             // 32 KiB of content as base64, and room.
};

class ServerPort {
 public:
  virtual ~ServerPort() = default;
  virtual Status start() = 0;                 // Code::busy: the address is taken. Code::invalid: it is not loopback.
  virtual std::string address() const = 0;    // With the real port.
  virtual void stop(Call& call) = 0;          // Lets what runs finish until the call's deadline.
};

std::unique_ptr<ServerPort> make_server_port(Env& env, ServerPortDeps deps, ServerPortConfig config);

}  // namespace hongyan::access
