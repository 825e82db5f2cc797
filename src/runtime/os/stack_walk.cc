#include "runtime/os/stack_walk.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace hongyan::runtime {
namespace {

// From one frame to its caller's; more is no frame of ours.
constexpr uintptr_t k_frame_bytes_max = 1 << 20;

struct Frame {
  uintptr_t caller;
  uintptr_t returns_to;
};

bool read(uintptr_t at, Frame& into) {
  iovec here{.iov_base = &into, .iov_len = sizeof(into)};
  iovec there{.iov_base = reinterpret_cast<void*>(at), .iov_len = sizeof(into)};
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == static_cast<ssize_t>(sizeof(into));
}

}  // namespace

bool can_walk_stacks() {
  const Frame frame{};
  Frame got{};
  return read(reinterpret_cast<uintptr_t>(&frame), got);
}

size_t walk_stack(const void* frame, std::span<uintptr_t> into) {
  const int saved_errno = errno;
  size_t count = 0;
  auto at = reinterpret_cast<uintptr_t>(frame);
  Frame got{};
  while (count < into.size() && at != 0 && at % alignof(Frame) == 0 && read(at, got) && got.returns_to != 0) {
    into[count++] = got.returns_to;
    if (got.caller <= at || got.caller - at > k_frame_bytes_max) break;  // Stacks grow down.
    at = got.caller;
  }
  errno = saved_errno;
  return count;
}

}  // namespace hongyan::runtime
