// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hongyan {

struct CodePoint {
  uint32_t value = 0;
  size_t length = 0;  // Of its form in bytes; 0: what was there is no UTF-8.
};
// The one at the front of `text`, which is not empty.
CodePoint code_point(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace hongyan
