#include "access/web_gate/impl/web_commands.h"

#include <algorithm>
#include <memory>

#include "api/client/login.pb.h"
#include "api/client/sync.pb.h"
#include "api/gate/body_commands.h"
#include "api/json/json.h"

namespace hongyan::access {

using client::PollRequest;
using client::PollResponse;

namespace {

constexpr std::string_view k_poll = "poll";
constexpr std::string_view k_identify = "identify";
constexpr runtime::Duration k_identify_limit = std::chrono::seconds(10);
constexpr runtime::Duration k_poll_work = std::chrono::seconds(10);  // Beside the waiting.
constexpr uint8_t k_priority = 20;  // As sync.

// A response with nothing but its base.
using BareResponse = client::LogoutResponse;

rpc::MethodInfo own_method(std::string_view name) {
  rpc::MethodInfo method;
  method.name = name;
  method.priority = k_priority;
  return method;
}

}  // namespace

bool WebCommands::known(std::string_view path) const {
  if (path == k_poll || path == k_identify) return true;
  return entry_.commands().by_path(path) != nullptr;
}

std::string WebCommands::run(Call& call, std::string_view path, std::string_view json, const api::Origin& origin,
                             api::LinkMember* link) {
  const rpc::ServedCommand* command = entry_.commands().by_path(path);
  const bool is_poll = path == k_poll;
  const bool is_identify = path == k_identify;
  std::unique_ptr<rpc::Message> request, response;
  if (is_poll) {
    request = std::make_unique<PollRequest>();
    response = std::make_unique<PollResponse>();
  } else if (is_identify) {
    request = std::make_unique<client::IdentifyRequest>();
    response = std::make_unique<client::IdentifyResponse>();
  } else {
    CHECK(command != nullptr);
    request.reset(command->method->request()->New());
    response.reset(command->method->response()->New());
  }
  const Status parsed = parse(json, *request);
  if (!parsed.ok()) {
    entry_.refuse(parsed, *response);
  } else if (is_poll) {
    poll(call, *request, origin, *response);
  } else if (is_identify) {
    identify(call, *request, origin, link, *response);
  } else {
    entry_.handle(call, *command, *request, origin, *response);
  }
  api::settle_credit(origin, *response);
  return json_of(*response);
}

// What is long is parsed beside the loop: a body of 1 MiB takes a hundredth of a second, in which nobody else's request
// would move.
Status WebCommands::parse(std::string_view json, rpc::Message& request) {
  Status parsed;
  const auto work = [&] { parsed = api::message_from_json(json, request); };
  if (json.size() > k_short_bytes_max) {
    parser_->run(work);
  } else {
    env_.scheduler().run_on_thread_stack(work);
  }
  return parsed;
}

// The command of the same name, where there is one, says at once whether the snapshot is behind; the waiting is ours.
void WebCommands::poll(Call& call, rpc::Message& request, const api::Origin& origin, rpc::Message& response) {
  const rpc::ServedCommand* head = entry_.commands().by_path(k_poll);
  const runtime::Duration wait =
      std::min(poll_max_, runtime::Duration(std::chrono::milliseconds(static_cast<PollRequest&>(request).wait_ms())));
  const auto work = [&](Call& inner, const rpc::Identity* identity, const rpc::Message& in, rpc::Message& out) -> Status {
    const auto check = [&](Call& checking) -> Result<std::vector<client::Ring>> {
      if (head == nullptr) return std::vector<client::Ring>();
      PollResponse now;
      TRY(head->channel->call(checking, *head->method, in, now));
      return std::vector<client::Ring>(now.rings().begin(), now.rings().end());
    };
    const std::vector<client::Ring> rings = TRY(links_.poll(inner, *identity, wait, check));
    for (const client::Ring& ring : rings) *static_cast<PollResponse&>(out).add_rings() = ring;
    return {};
  };
  entry_.handle(call, own_method(k_poll), request, origin, response, wait + k_poll_work, work);
}

void WebCommands::identify(Call& call, rpc::Message& request, const api::Origin& origin, api::LinkMember* link,
                           rpc::Message& response) {
  const auto work = [&](Call& inner, const rpc::Identity* identity, const rpc::Message&, rpc::Message& out) -> Status {
    if (link != nullptr) {
      TRY(links_.attach(inner, *identity, *link));
      origin.link->identity = *identity;
    }
    static_cast<client::IdentifyResponse&>(out).set_heartbeat_ms(api::k_heartbeat_ms);
    static_cast<client::IdentifyResponse&>(out).set_typing_ms(api::k_typing_ms);
    return {};
  };
  entry_.handle(call, own_method(k_identify), request, origin, response, k_identify_limit, work);
}

std::string WebCommands::json_of(rpc::Message& response) {
  Result<std::string> json(Status(Code::internal, "not converted"));
  env_.scheduler().run_on_thread_stack([&] { json = api::json_from_message(response); });
  if (json.ok()) return std::move(json).value();
  return refusal(json.status());
}

std::string WebCommands::refusal(const Status& status) {
  BareResponse response;
  entry_.refuse(status, response);
  Result<std::string> json(Status(Code::internal, "not converted"));
  env_.scheduler().run_on_thread_stack([&] { json = api::json_from_message(response); });
  CHECK(json.ok());  // Its strings are ours.
  return std::move(json).value();
}

}  // namespace hongyan::access
