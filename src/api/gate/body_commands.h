// Runs one command whose request is a body (envelope.h), for the long link and the short link alike: the same bytes in,
// the same answer out, whichever way they came. Nothing here fails: whatever is wrong (an unknown command, a body that
// is none, an answer too large for a frame) is a response whose base says so, so no request is left without an answer.
//
// `poll` and `identify` are answered here: they are about links. A gate whose requests hold a connection of their own
// (the short link) lets a poll wait; on a link that rings it answers at once. Owning thread only.
#pragma once

#include <string>
#include <string_view>

#include "api/gate/entry.h"
#include "api/gate/link_table.h"

namespace hongyan::api {

inline constexpr uint32_t k_heartbeat_ms = 210'000;  // As mars: NATs of phone networks forget after 5 minutes.
inline constexpr uint32_t k_typing_ms = 3'000;       // A sign that is shown for a few seconds.

struct BodyCommandsConfig {
  runtime::Duration poll_max = std::chrono::seconds(0);  // Zero: polls never wait.
};

class BodyCommands {
 public:
  BodyCommands(Env& env, Entry& entry, LinkTable& links, BodyCommandsConfig config)
      : env_(env), entry_(entry), links_(links), config_(config) {}

  // `member`: the link that rings; null for a request that stands alone. The answer is a body of at most 1 MiB.
  std::string by_id(Call& call, uint32_t id, std::string_view body, const Origin& origin, LinkMember* member);
  std::string by_path(Call& call, std::string_view path, std::string_view body, const Origin& origin, LinkMember* member);
  std::string identify(Call& call, std::string_view body, const Origin& origin, LinkMember* member);
  // A response that has nothing but its base.
  std::string refusal(const Status& status);

  bool known(std::string_view path) const;

 private:
  std::string run(Call& call, const rpc::ServedCommand* command, std::string_view body, const Origin& origin, LinkMember* member);
  void poll(Call& call, const rpc::ServedCommand& command, rpc::Message& request, const Origin& origin, rpc::Message& response);
  std::string body_of(const rpc::Message& response);

  Env& env_;
  Entry& entry_;
  LinkTable& links_;
  BodyCommandsConfig config_;
};

}  // namespace hongyan::api
