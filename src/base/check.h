// What must be true. CHECK stays on in production and stops the process: use it where going on could damage
// stored data. ENSURE (base/result.h) is the same for one request: it fails that request with Code::internal.
#pragma once

namespace hongyan {

// Prints `file:line: CHECK failed: condition` to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace hongyan

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) [[unlikely]] {                                           \
      ::hongyan::check_failed(__FILE__, __LINE__, #condition);                 \
    }                                                                          \
  } while (false)
