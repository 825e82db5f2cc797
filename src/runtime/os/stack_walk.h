// Who called: the return addresses of a stack of frames with frame pointers, which our code keeps
// (-fno-omit-frame-pointer). Memory is read through the kernel, which refuses what is not there: a broken chain, as
// behind a library that has no frame pointers, ends the walk and nothing else. Allocates nothing and takes no lock: may be
// called from a signal handler and from operator new, on any stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hongyan::runtime {

// Whether this process may read itself that way; some sandboxes forbid it.
bool can_walk_stacks();
// `frame` is a frame pointer. The innermost first; how many were found.
size_t walk_stack(const void* frame, std::span<uintptr_t> into);

}  // namespace hongyan::runtime
