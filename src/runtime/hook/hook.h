// Lets unmodified blocking libraries wait in coroutines: a program that links this room has its own
// connect, recv, poll, sleep, getaddrinfo and the like (README: all of them) in front of libc's.
//
// Inside a Scope a call that would block parks the coroutine instead; everywhere else (other
// coroutines, other threads, outside of a Scope) the functions are libc's, at the price of one
// thread-local read. What a library sets on a descriptor (O_NONBLOCK, SO_RCVTIMEO, SO_SNDTIMEO) is
// in the kernel as it set it: nothing is hidden in a table, so a descriptor means the same inside
// and outside, after dup, in another thread and in a child.
//
// A wait also ends with the call's deadline (a poll reports a timeout, anything else ETIMEDOUT) or
// with cancellation (ECANCELED). A look-up of a name and an access to a file run on the Env's pool;
// they can't be taken back, so they are waited for whatever the call says.
//
// Foreign code counts on a thread's stack: run it in a coroutine of StackSize::k256.
#pragma once

#include "runtime/call.h"
#include "runtime/env/env.h"

namespace hongyan::runtime::hook {

struct State;

// From its birth to its end the calling coroutine's foreign calls wait in the coroutine. Scopes
// nest: the earlier deadline counts. Keep one tight around the foreign call, and our own code out:
// a log line written inside of one may wait too. A coroutine only; the Env's own (not a simulated
// one: CHECK).
class Scope {
 public:
  Scope(Env& env, const Call& call);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  State* state_;
};

// Libc's own functions inside of a Scope, for a moment: they block the loop.
class WithoutHooks {
 public:
  WithoutHooks();
  ~WithoutHooks();
  WithoutHooks(const WithoutHooks&) = delete;
  WithoutHooks& operator=(const WithoutHooks&) = delete;

 private:
  State* state_ = nullptr;
};

}  // namespace hongyan::runtime::hook
