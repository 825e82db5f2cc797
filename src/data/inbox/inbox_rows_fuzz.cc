// Any bytes as the keys and values an inbox finds in its store, which may stand on another machine: each is refused or
// read as what its writer would write.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "data/inbox/inbox_table.h"

namespace hongyan::inbox {
namespace {

constexpr uint64_t k_owner = 10'001;

void read(std::string_view bytes) {
  (void)last_number(bytes);
  (void)number_of(bytes);
  (void)marks_of(bytes);
  (void)uin_of({.table = entity_of(k_owner).table, .id = std::string(bytes)});
  if (const auto key = parse_view_key(bytes)) CHECK(view_key(key->conversation, key->field) == bytes);
  if (const auto row = decode_dedup(bytes)) CHECK(encode(*row) == bytes);
  if (const auto row = decode_group(bytes); row.ok()) CHECK(decode_group(row->SerializeAsString()).ok());
  const auto row = decode_log(bytes);
  if (!row.ok()) return;
  CHECK(decode_log(row->SerializeAsString()).ok());
  const std::string end = after_prefix(std::string(bytes));
  CHECK(end.empty() || end > bytes);
}

}  // namespace
}  // namespace hongyan::inbox

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hongyan::inbox::read({reinterpret_cast<const char*>(data), size});
  return 0;
}
