// The commands of the server port: who may call, what the JSON says, which services do it. No sockets.
#pragma once

#include <google/protobuf/struct.pb.h>

#include <string>
#include <string_view>

#include "access/server_port/server_port.h"
#include "runtime/counters/counters.h"

namespace hongyan::access {

class IntegratorApi {
 public:
  IntegratorApi(Env& env, ServerPortDeps deps, ServerPortConfig config);

  // Checks the secret, runs the command, never fails: errors are {"error":{code,name,text}}.
  rpc::HttpResponse respond(const rpc::HttpRequest& request);

 private:
  using Fields = google::protobuf::Struct;
  Result<std::string> run(Call& call, std::string_view command, const Fields& fields);
  Result<std::string> make_user(Call& call, const Fields& fields);
  Result<std::string> make_ticket(Call& call, const Fields& fields);
  Result<std::string> befriend(Call& call, const Fields& fields);
  Result<std::string> send(Call& call, const Fields& fields);
  Result<client::Sent> send_to_group(Call& call, uint64_t sender, const client::Message& message);
  Result<client::Sent> send_to_person(Call& call, uint64_t sender, const client::Message& message);
  // A uin given as a number, or the one of an external id given as a string.
  Result<uint64_t> user_of(Call& call, const Fields& fields, std::string_view field);
  Status check_exists(Call& call, uint64_t uin);
  Call as_user(const Call& call, uint64_t uin) const;

  Env& env_;
  ServerPortDeps deps_;
  ServerPortConfig config_;
  runtime::Counter& requests_;
  runtime::Counter& refused_;
};

// The HTTP status of an answer to an integrator's server.
int http_status_of(uint32_t code);

}  // namespace hongyan::access
