#include "access/long_link/proxy_logic.h"

#include "model/error_code.h"

namespace hongyan::access {

std::string ProxyLogic::answer(Call& call, const Frame& frame, runtime::Time arrived, LinkContext& context, api::LinkMember& member) {
  const FrameKind kind = kind_of(frame);
  if (kind == FrameKind::noop) {
    counters_.noops.add(1);
    return {};
  }
  counters_.commands.add(1);
  const api::Origin origin{.address = context.address, .link = &context.link, .arrived = arrived, .credit = &context.credit};
  if (kind == FrameKind::identify) return commands_.identify(call, frame.body, origin, &member);
  return commands_.by_id(call, frame.cmdid, frame.body, origin, &member);
}

std::string ProxyLogic::refusal(std::string_view why) {
  return commands_.refusal(model::error(model::ErrorCode::bad_frame, std::string(why)));
}

}  // namespace hongyan::access
