// What a server serves, for tools that were not built with it: `GET /hongyan.rpc/descriptors` answers with a serialized
// google.protobuf.FileDescriptorSet, imports first. Of its services only those that are served are in it; options
// (policy, command, priority, idempotent) stand where the .proto has them. No ticket is asked for: the names of methods
// are no secret among those who reach a server's port.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "rpc/service.h"

namespace hongyan::rpc {

inline constexpr std::string_view k_descriptors_path = "/hongyan.rpc/descriptors";

// Eats stack: call it through Scheduler::run_on_thread_stack. A method that is not compiled in is left out.
std::string describe_served(std::span<const MethodInfo* const> methods);

}  // namespace hongyan::rpc
