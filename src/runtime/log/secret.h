// A value that must not be shown: a key, a password, a ticket. It can't be formatted, compared or streamed by accident;
// whoever needs it says reveal(), which a reader of the code finds.
#pragma once

#include <fmt/format.h>

#include <utility>

namespace hongyan::runtime {

template <typename T>
class Secret {
 public:
  Secret() = default;
  explicit Secret(T value) : value_(std::move(value)) {}
  const T& reveal() const { return value_; }

 private:
  T value_{};
};

}  // namespace hongyan::runtime

// A log line with a Secret does not compile.
template <typename T, typename Char>
struct fmt::formatter<hongyan::runtime::Secret<T>, Char> {
  formatter() = delete;
};
