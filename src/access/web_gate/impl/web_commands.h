// Runs one command given as JSON, for HTTP requests and WebSocket frames alike; answers "poll" and "identify" itself.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "access/web_gate/web_gate.h"
#include "rpc/json/json.h"

namespace hongyan::access {

class WebCommands {
 public:
  // Longer requests are parsed beside the loop, one after the other, and count in the gate's budget until they are done: a
  // crowd of them must not be held in memory while they wait. A message of the longest content is shorter.
  static constexpr size_t k_short_bytes_max = rpc::k_json_bytes_inline_max;

  WebCommands(Env& env, api::Entry& entry, api::LinkTable& links, runtime::Duration poll_max)
      : env_(env), entry_(entry), links_(links), poll_max_(poll_max), parser_(env.make_lane("json", 1)) {}

  bool known(std::string_view path) const;
  // The response's JSON. `link` is null for HTTP. The path is known.
  std::string run(Call& call, std::string_view path, std::string_view json, const api::Origin& origin, api::LinkMember* link);
  // A response that has nothing but its base.
  std::string refusal(const Status& status);

 private:
  void poll(Call& call, rpc::Message& request, const api::Origin& origin, rpc::Message& response);
  void identify(Call& call, rpc::Message& request, const api::Origin& origin, api::LinkMember* link, rpc::Message& response);
  Status parse(std::string_view json, rpc::Message& request);
  std::string json_of(rpc::Message& response);

  Env& env_;
  api::Entry& entry_;
  api::LinkTable& links_;
  runtime::Duration poll_max_;
  std::unique_ptr<runtime::Lane> parser_;  // One thread: what is long waits for what is long and for nobody else.
};

}  // namespace hongyan::access
