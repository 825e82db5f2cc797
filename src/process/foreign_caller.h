// Calls of services that this program was not built with: what is served, with what messages, is asked of the server
// itself (rpc/reflection.h); requests and answers go over HTTP as JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/env/env.h"
#include "runtime/tls/tls.h"

namespace hongyan::process {

struct ForeignOptions {
  std::string address;
  std::shared_ptr<runtime::TlsClient> tls = nullptr;  // Null: plain.
  std::string ticket;  // Base64, as the field Hongyan-Ticket wants it; empty: none.
  std::optional<uint64_t> routing_key;
  runtime::Duration time = std::chrono::seconds(10);
};

// Without words lists every method with its policy and flags. Words are a method (its service before a dot, which may
// be left out where it is the only one of that name), then --help or at most one JSON text. Prints the answer or the error; the exit
// status: 0, 1 the call failed, 2 wrong usage, 3 nobody answers at the address.
int call_foreign(Env& env, const ForeignOptions& options, const std::vector<std::string>& words);

}  // namespace hongyan::process
