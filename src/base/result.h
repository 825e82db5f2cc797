// How failure travels: Status and Result<T>. Our code does not throw; a library that throws is caught where it is
// called. TRY(expression) passes a failure to the caller and otherwise yields the value.
//
// A Status is a code and a sentence for developers. The codes below are the general ones, 1..99; what they mean to a
// client (class, text) stands in model/errors.h together with the domain's codes from 100. Never renumber: codes
// are sent to clients and stored in recordings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace hongyan {

enum class Code : uint32_t {
  ok = 0,
  cancelled = 1,         // The caller gave up or the process is closing.
  deadline = 2,          // Time ran out; the outcome of a write is unknown.
  overloaded = 3,        // Refused before any work was done.
  unavailable = 4,       // Not reachable; nothing is known to have been done.
  invalid = 5,           // The request itself is wrong; the same request will never pass.
  unauthenticated = 6,   // No ticket, or one that is expired, revoked or forged.
  forbidden = 7,         // The ticket is good but gives no such right.
  not_found = 8,
  exists = 9,
  conflict = 10,         // A precondition failed: read again and decide again.
  too_large = 11,        // Over a named limit.
  no_space = 12,         // The disk is full; reads work on.
  corrupt = 13,          // Stored bytes do not pass their check; never served.
  unsupported = 14,      // Unknown method, command, format or version.
  internal = 15,         // A bug on our side.
  io = 16,               // The disk failed.
  unknown_outcome = 17,  // Connection lost after the request left: it may have happened.
  closed = 18,           // The other side, or this object, is closed.
  read_only = 19,        // The store can't take writes.
  busy = 20,             // A lock is held by somebody else (a second server on one data directory).
  rate_limited = 21,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string detail) : code_(code), detail_(std::move(detail)) {}
  static Status good() { return {}; }

  bool ok() const { return code_ == Code::ok; }
  Code code() const { return code_; }
  const std::string& detail() const { return detail_; }  // For logs and `debug`, never shown to people, never a secret.

 private:
  Code code_ = Code::ok;
  std::string detail_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) { CHECK(!std::get<1>(state_).ok()); }

  bool ok() const { return state_.index() == 0; }
  Code code() const { return ok() ? Code::ok : std::get<1>(state_).code(); }
  Status status() const { return ok() ? Status() : std::get<1>(state_); }

  T& value() & { CHECK(ok()); return std::get<0>(state_); }
  const T& value() const& { CHECK(ok()); return std::get<0>(state_); }
  T&& value() && { CHECK(ok()); return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

namespace try_detail {
inline Status take_status(Status& status) { return std::move(status); }
template <typename T>
Status take_status(Result<T>& result) { return result.status(); }
inline void take_value(Status&) {}
template <typename T>
T take_value(Result<T>& result) { return std::move(result).value(); }
}  // namespace try_detail

}  // namespace hongyan

// The GNU statement expression keeps the happy path in one line: `const Grant grant = TRY(contacts.may_write(call, x));`
#define TRY(expression)                                                        \
  ({                                                                           \
    auto try_result_ = (expression);                                           \
    if (!try_result_.ok()) [[unlikely]] {                                      \
      return ::hongyan::try_detail::take_status(try_result_);                  \
    }                                                                          \
    ::hongyan::try_detail::take_value(try_result_);                            \
  })

// What must be true for this request; its failure is a bug of ours, answered as Code::internal.
#define ENSURE(condition)                                                      \
  do {                                                                         \
    if (!(condition)) [[unlikely]] {                                           \
      return ::hongyan::Status(::hongyan::Code::internal,                      \
                               std::string(__FILE__) + ": ENSURE failed: " #condition); \
    }                                                                          \
  } while (false)
