// The short link: one HTTP POST to /s/<command path> carries the same body as a frame of the long link and gets the same
// answer. It has no listener: the web gate hands it the requests under /s/.
//
// HTTP's status says only whether HTTP itself was right, since mars hides the body of anything but 200: every command,
// also an unknown one or one that failed, is 200 with a body whose base has the code. Content-Length is always there. A
// poll may wait; the device then counts as online under config.links.gate.
//
// Lifecycle: make, start() once, stop() once (waiting polls end, new requests are refused), destroy. Owning thread only.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/gate/body_commands.h"
#include "api/gate/entry.h"
#include "api/gate/link_table.h"
#include "api/internal/presence.rpc.pb.h"
#include "rpc/http/http.h"
#include "runtime/env/env.h"

namespace hongyan::access {

struct ShortLinkDeps {
  api::Entry& entry;
  internal::PresenceClient presence;
};

struct ShortLinkConfig {
  api::BodyCommandsConfig commands = {.poll_max = std::chrono::seconds(25)};  // Below the timeouts of common proxies.
  api::LinkTableConfig links = {.gate = "short"};
};

class ShortLink {
 public:
  virtual ~ShortLink() = default;
  virtual void start() = 0;
  virtual void stop(Call& call) = 0;
  // `request.path()` starts with "/s/"; `origin` has no link. May wait: as long as a command, or a poll.
  virtual rpc::HttpResponse respond(const rpc::HttpRequest& request, const api::Origin& origin) = 0;
  virtual internal::GateService& gate_service() = 0;  // For presence, under config.links.gate.
};

std::unique_ptr<ShortLink> make_short_link(Env& env, ShortLinkDeps deps, ShortLinkConfig config);

}  // namespace hongyan::access
