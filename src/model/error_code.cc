#include "model/error_code.h"

namespace hongyan::model {

namespace {
constexpr ErrorInfo k_errors[] = {
#define HONGYAN_ROW(number, name, error_class, text) {number, #name, error_class, text},
    HONGYAN_ERRORS(HONGYAN_ROW)
#undef HONGYAN_ROW
};
static_assert(static_cast<uint32_t>(Code::rate_limited) == 21 && static_cast<uint32_t>(Code::internal) == 15);
}  // namespace

std::span<const ErrorInfo> error_table() { return k_errors; }

const ErrorInfo& error_info(uint32_t code) {
  for (const ErrorInfo& row : k_errors) {
    if (row.code == code) return row;
  }
  return error_info(static_cast<uint32_t>(ErrorCode::internal));
}

}  // namespace hongyan::model
