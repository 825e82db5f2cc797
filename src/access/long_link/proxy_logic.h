// What a frame means: a heartbeat, an identify, a command. Keeps nothing between frames but what it puts into the link's
// context, so that it can be replaced while links stay open.
#pragma once

#include <optional>
#include <string>

#include "access/long_link/frame.h"
#include "access/long_link/long_link_counters.h"
#include "api/gate/body_commands.h"

namespace hongyan::access {

// All that is remembered of a link beside its socket.
struct LinkContext {
  std::string address;                             // The peer's.
  std::optional<uint32_t> client_version = {};     // Of its first frame; every frame it gets carries it.
  api::Link link = {};
  api::Credit credit = {};
};

class ProxyLogic {
 public:
  ProxyLogic(api::BodyCommands& commands, LongLinkCounters& counters) : commands_(commands), counters_(counters) {}

  // The answer's body; may wait, 10 s at most. `member` is where the link's rings go, `arrived` when the frame was there to
  // be read. Not for broken frames.
  std::string answer(Call& call, const Frame& frame, runtime::Time arrived, LinkContext& context, api::LinkMember& member);

  // An answer that has nothing but its code, ErrorCode::bad_frame.
  std::string refusal(std::string_view why);

 private:
  api::BodyCommands& commands_;
  LongLinkCounters& counters_;
};

}  // namespace hongyan::access
