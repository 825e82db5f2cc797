// Waiting for, and on, kernel descriptors that somebody else opened and will close: those of foreign
// libraries, for runtime/hook alone. Our own code has Streams.
//
// Several coroutines may wait for one descriptor, and one for many. From coroutines of the Env's
// scheduler; closing() also from outside of one, on the same thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "runtime/time.h"

struct iovec;

namespace hongyan::runtime {

struct Interest {
  int descriptor = -1;
  short events = 0;  // As in poll(2): POLLIN and its relatives. Errors and hang-ups always count.
};

class Readiness {
 public:
  virtual ~Readiness() = default;
  // Waits until one of them may be ready: ask the kernel again, it may have been taken by another
  // meanwhile. Code::deadline and Code::cancelled as every wait; Code::closed: the descriptor was
  // closed under the waiter; Code::unsupported: the kernel can't watch one of them, nothing was
  // waited for.
  virtual Status wait(std::span<const Interest> interests, Time deadline) = 0;
  // Said before a descriptor is closed: whoever waits for it is woken with Code::closed.
  virtual void closing(int descriptor) = 0;

  // What may wait for a disk, by who can wait for it without holding up the loop. They run to their end, whatever
  // happens to the caller: the memory is a foreign library's. Bytes, or an error number below 0; an offset of -1 is the
  // descriptor's own position.
  virtual int64_t read_file(int descriptor, std::span<const ::iovec> parts, int64_t offset) = 0;
  virtual int64_t write_file(int descriptor, std::span<const ::iovec> parts, int64_t offset) = 0;
  virtual int sync_file(int descriptor, bool data_only) = 0;
};

}  // namespace hongyan::runtime
