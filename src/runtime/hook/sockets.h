// Socket calls that wait in the coroutine; read() and write() of a socket are among them. Their
// first attempt says ENOTSOCK of anything else, and nothing has happened then. For runtime/hook.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include "runtime/hook/state.h"

namespace hongyan::runtime::hook {

ssize_t receive(State& state, int descriptor, void* into, size_t bytes, int flags, sockaddr* from,
                socklen_t* from_bytes);
ssize_t receive_message(State& state, int descriptor, msghdr* message, int flags);
ssize_t send_all(State& state, int descriptor, const void* from, size_t bytes, int flags,
                 const sockaddr* to, socklen_t to_bytes);
ssize_t send_message(State& state, int descriptor, const msghdr* message, int flags);

}  // namespace hongyan::runtime::hook
