// With HONGYAN_CHECK_LOCKS: how many OS mutexes each thread holds. A coroutine that waits with one
// makes the next coroutine of its thread that wants it wait for ever, so the scheduler stops the
// process instead.
#pragma once

namespace hongyan::runtime {

int os_mutexes_held();  // By the calling thread.

}  // namespace hongyan::runtime
