// Calls of any method from the words of a command line, for operators and for tests: fields as flags, the rest as JSON,
// the answer as JSON.
//
//   METHOD  [--as SERVICE | --uin N [--device HEX]]  [--field value ...]  [JSON]
//
// Scalar fields are flags, named as in the .proto; bytes are hex behind "0x", else as they are; repeated ones may be
// given again. JSON is the whole request in protobuf's mapping; flags are laid over it. `--help` behind a method says
// its fields. Services with rows want a ticket: --as signs a service ticket, --uin a person's, with the ring of the
// service's audience from the key file.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "process/services.h"
#include "rpc/service.h"
#include "runtime/env/env.h"
#include "runtime/tls/tls.h"

namespace hongyan::process {

struct CallerOptions {
  std::string address;    // Or any target (rpc/routing/resolver.h): the one of its instances that has the key is called.
  std::shared_ptr<runtime::TlsClient> tls = nullptr;  // Null: plain.
  std::string keys_file;  // A service's own or a deployment's secrets; empty: calls go without a ticket.
};

// A line a method: name, policy, what it is for.
std::string describe_methods(const Endpoint& endpoint);
// Its fields, with their types and what they are for.
std::string describe_method(const Endpoint& endpoint, const rpc::MethodInfo& method);
// By name, whatever its case and underscores; null: there is none.
const rpc::MethodInfo* find_method(const Endpoint& endpoint, std::string_view name);

// Code::invalid with a sentence that names the word. `words` holds neither the method nor --as, --uin, --device.
Result<std::unique_ptr<rpc::Message>> build_request(const rpc::MethodInfo& method, std::span<const std::string> words);

// Prints the answer or the error; the exit status: 0, 1 the call failed, 2 wrong usage.
int call_from_words(Env& env, const CallerOptions& options, const Endpoint& endpoint, std::vector<std::string> words);

}  // namespace hongyan::process
