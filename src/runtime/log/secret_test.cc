// Goal: a secret can't reach a line of the log. Method: the compiler is asked whether it could be formatted.
#include "runtime/log/secret.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace hongyan::runtime {
namespace {

template <typename T>
concept Streams = requires(std::ostream& out, const T& value) { out << value; };
template <typename T>
concept Converts = std::is_convertible_v<T, std::string_view> || std::is_convertible_v<T, std::string>;

static_assert(fmt::is_formattable<std::string>::value && !fmt::is_formattable<Secret<std::string>>::value);
static_assert(Streams<std::string> && !Streams<Secret<std::string>>);
static_assert(Converts<std::string> && !Converts<Secret<std::string>>);

TEST(Secret, is_known_only_to_who_asks) { EXPECT_EQ(Secret<std::string>("key").reveal(), "key"); }

}  // namespace
}  // namespace hongyan::runtime
