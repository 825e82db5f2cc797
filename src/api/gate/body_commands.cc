#include "api/gate/body_commands.h"

#include <algorithm>
#include <memory>

#include "api/client/sync.rpc.pb.h"
#include "api/gate/envelope.h"
#include "base/check.h"
#include "model/error_code.h"
#include "model/limits.h"

namespace hongyan::api {

namespace {

constexpr runtime::Duration k_own_limit = std::chrono::seconds(10);  // Of what is answered here, beside waiting.
constexpr size_t k_frame_overhead_bytes = 64;                        // An answer fits a long-link frame (20), sealed too (27).

const rpc::MethodInfo& identify_method() { return client::link_methods()[0]; }

Status parse(std::string_view body, rpc::Message& request) {
  const Envelope envelope = TRY(parse_envelope(body));
  if (request.ParseFromArray(envelope.protobuf.data(), static_cast<int>(envelope.protobuf.size()))) return {};
  return model::error(model::ErrorCode::bad_frame, "the body is not the command's message");
}

}  // namespace

bool BodyCommands::known(std::string_view path) const {
  return path == identify_method().command_path || entry_.commands().by_path(path) != nullptr;
}

std::string BodyCommands::by_id(Call& call, uint32_t id, std::string_view body, const Origin& origin, LinkMember* member) {
  if (id == identify_method().command_id) return identify(call, body, origin, member);
  return run(call, entry_.commands().by_id(id), body, origin, member);
}

std::string BodyCommands::by_path(Call& call, std::string_view path, std::string_view body, const Origin& origin,
                                  LinkMember* member) {
  if (path == identify_method().command_path) return identify(call, body, origin, member);
  return run(call, entry_.commands().by_path(path), body, origin, member);
}

std::string BodyCommands::run(Call& call, const rpc::ServedCommand* command, std::string_view body, const Origin& origin,
                              LinkMember* member) {
  if (command == nullptr) {
    if (origin.credit != nullptr) origin.credit->good = false;
    return refusal({Code::unsupported, "no such command"});
  }
  const std::unique_ptr<rpc::Message> request(command->method->request()->New());
  const std::unique_ptr<rpc::Message> response(command->method->response()->New());
  const Status parsed = parse(body, *request);
  if (!parsed.ok()) {
    entry_.refuse(parsed, *response);
  } else if (command->method->response() == &client::PollResponse::default_instance() && member == nullptr) {
    poll(call, *command, *request, origin, *response);
  } else {
    entry_.handle(call, *command, *request, origin, *response);
  }
  settle_credit(origin, *response);
  return body_of(*response);
}

// The service says at once whether the snapshot is behind; the waiting is ours.
void BodyCommands::poll(Call& call, const rpc::ServedCommand& command, rpc::Message& request, const Origin& origin,
                        rpc::Message& response) {
  const auto asked = std::chrono::milliseconds(static_cast<const client::PollRequest&>(request).wait_ms());
  const runtime::Duration wait = std::min<runtime::Duration>(config_.poll_max, asked);
  const auto work = [&](Call& inner, const rpc::Identity* identity, const rpc::Message& in, rpc::Message& out) -> Status {
    const auto check = [&](Call& checking) -> Result<std::vector<client::Ring>> {
      client::PollResponse now;
      TRY(command.channel->call(checking, *command.method, in, now));
      return std::vector<client::Ring>(now.rings().begin(), now.rings().end());
    };
    const std::vector<client::Ring> rings = TRY(links_.poll(inner, *identity, wait, check));
    for (const client::Ring& ring : rings) *static_cast<client::PollResponse&>(out).add_rings() = ring;
    return {};
  };
  entry_.handle(call, *command.method, request, origin, response, wait + k_own_limit, work);
}

std::string BodyCommands::identify(Call& call, std::string_view body, const Origin& origin, LinkMember* member) {
  client::IdentifyRequest request;
  client::IdentifyResponse response;
  const Status parsed = parse(body, request);
  if (!parsed.ok()) {
    entry_.refuse(parsed, response);
    settle_credit(origin, response);
    return body_of(response);
  }
  const auto work = [&](Call& inner, const rpc::Identity* identity, const rpc::Message&, rpc::Message& out) -> Status {
    if (member != nullptr) {
      TRY(links_.attach(inner, *identity, *member));
      origin.link->identity = *identity;
    }
    static_cast<client::IdentifyResponse&>(out).set_heartbeat_ms(k_heartbeat_ms);
    static_cast<client::IdentifyResponse&>(out).set_typing_ms(k_typing_ms);
    return {};
  };
  entry_.handle(call, identify_method(), request, origin, response, k_own_limit, work);
  settle_credit(origin, response);
  return body_of(response);
}

std::string BodyCommands::refusal(const Status& status) {
  client::IdentifyResponse response;  // Of every response, field 1 is the base.
  entry_.refuse(status, response);
  return make_envelope(response.SerializeAsString());
}

std::string BodyCommands::body_of(const rpc::Message& response) {
  std::string body = make_envelope("");
  CHECK(response.AppendToString(&body));
  if (body.size() + k_frame_overhead_bytes <= model::k_request_bytes_max) return body;
  return refusal({Code::too_large, "the answer is over 1 MiB: ask for less at a time"});
}

}  // namespace hongyan::api
