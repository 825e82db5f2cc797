// With HONGYAN_CHECK_LOCKS: how many OS mutexes (and OS reader-writer locks) each thread holds. A
// coroutine that waits with one makes the next coroutine of its thread that wants it wait for ever,
// so the scheduler stops the process instead. Debug builds have it, and every room's test program
// (tools/cmake/HongyanRooms.cmake); elsewhere the count is 0 and nobody asks for it.
#pragma once

namespace hongyan::runtime {

int os_mutexes_held();  // By the calling thread.

}  // namespace hongyan::runtime
