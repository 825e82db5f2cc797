// The long link: one TCP connection per device, framed as Tencent mars frames (frame.h), over which every command is
// served by its number and rings are pushed. docs/protocol.md says what a client sees.
//
// What it promises: every frame gets an answer with its seq, in the order in which they finish; requests may come before
// the link identifies itself, and what was asked is carried out even if the link ends meanwhile. Only broken framing,
// silence, a client that does not read, a seal that does not open, and the end of its session close a link. An address that
// is not loopback is served over TLS or takes sealed bodies only (seal.h): start() refuses anything else. On loopback both
// are served; a link that has begun to seal takes nothing unsealed any more.
//
// Three parts that can become three processes: `proxy` (sockets and a small context), `proxy_logic` (what a frame
// means), `proxy_notify` (pushes from inside). Lifecycle: make, start() once, stop() once, destroy. Owning thread only.
#pragma once

#include <memory>
#include <string>

#include "access/long_link/seal.h"
#include "api/gate/body_commands.h"
#include "api/gate/entry.h"
#include "api/gate/link_table.h"
#include "api/internal/presence.rpc.pb.h"
#include "runtime/env/env.h"
#include "runtime/tls/tls.h"

namespace hongyan::access {

struct LongLinkDeps {
  api::Entry& entry;
  internal::PresenceClient presence;
  std::shared_ptr<runtime::TlsServer> tls = {};                 // Null: plain; sealed, or loopback only.
  SealKeys seal_keys = {};                                      // Empty: no link can be sealed.
};

struct LongLinkConfig {
  std::string address = "127.0.0.1:8081";
  bool sealed_only = false;                                     // Nothing but sealed bodies. Needs a seal key.
  size_t connections_max = 20'000;                              // About 16 KiB each when idle.
  size_t connections_per_address_max = 1'024;                   // Phones share their operator's address. Not for loopback.
  runtime::Duration handshake_limit = std::chrono::seconds(10); // TLS.
  runtime::Duration frame_limit = std::chrono::seconds(60);     // From a frame's first byte to its last: 1 MiB at 18 KB/s.
  runtime::Duration idle_limit = std::chrono::minutes(15);      // mars beats every 10 minutes at most.
  runtime::Duration write_limit = std::chrono::seconds(30);     // For each 64 KiB.
  size_t in_flight_max = 64;                                    // Per link; then it is not read for a while.
  size_t output_bytes_max = 4 * 1024 * 1024;                    // Unread answers of one link; over it the link is cut.
  size_t unfinished_bytes_max = 8 * 1024 * 1024;                // Of all half-received frames together.
  api::BodyCommandsConfig commands = {};
  api::LinkTableConfig links = {.gate = "long"};
};

class LongLink {
 public:
  virtual ~LongLink() = default;
  virtual Status start() = 0;                                   // Code::busy: the address is taken. Code::invalid: it needs TLS.
  virtual std::string address() const = 0;                      // With the real port.
  virtual void stop(Call& call) = 0;                            // Lets what runs finish until the call's deadline.
  virtual internal::GateService& gate_service() = 0;            // For presence, under config.links.gate.
  virtual size_t connections() const = 0;
};

std::unique_ptr<LongLink> make_long_link(Env& env, LongLinkDeps deps, LongLinkConfig config);

}  // namespace hongyan::access
