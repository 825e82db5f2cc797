// Where code stands, in words for people.
#pragma once

#include <string>

namespace hongyan::runtime {

// "hongyan::rpc::Server::accept_loop()+0x1c" where the program exports its symbols, else
// "hongyan-server+0x4711", which addr2line understands.
std::string describe_frame(const void* instruction);

// The function alone, for profiles: "hongyan::rpc::Server::accept_loop()", or "hongyan-server+0x4711".
std::string describe_function(const void* instruction);

}  // namespace hongyan::runtime
