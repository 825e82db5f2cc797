#include "store/engine/wire_fields.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"

namespace hongyan::store {

namespace {

struct Field {
  uint32_t number = 0;
  std::optional<uint64_t> varint;
  std::optional<std::string_view> bytes;
  std::string_view whole;  // Tag and value.
};

std::optional<Field> next_field(std::string_view& rest) {
  Reader reader(rest);
  const auto tag = reader.varint();
  if (!tag || *tag >> 3 == 0 || *tag >> 3 > (1u << 29) - 1) return std::nullopt;
  Field field{.number = static_cast<uint32_t>(*tag >> 3), .varint = {}, .bytes = {}, .whole = {}};
  switch (*tag & 7) {
    case 0: field.varint = reader.varint(); if (!field.varint) return std::nullopt; break;
    case 1: if (!reader.bytes(8)) return std::nullopt; break;
    case 2: field.bytes = reader.sized(); if (!field.bytes) return std::nullopt; break;
    case 5: if (!reader.bytes(4)) return std::nullopt; break;
    default: return std::nullopt;
  }
  field.whole = rest.substr(0, rest.size() - reader.rest().size());
  rest = reader.rest();
  return field;
}

// proto3 leaves default values out: an absent field equals 0 and "".
bool matches_one(std::string_view message, const Filter& filter) {
  uint64_t number = 0;
  std::string_view bytes;
  while (!message.empty()) {
    const auto field = next_field(message);
    if (!field) return false;
    if (field->number != filter.field) continue;
    if (field->varint) number = *field->varint;
    if (field->bytes) bytes = *field->bytes;
  }
  if (filter.number && *filter.number != number) return false;
  if (filter.bytes && *filter.bytes != bytes) return false;
  return true;
}

}  // namespace

bool matches(std::string_view message, const std::vector<Filter>& filters) {
  return std::all_of(filters.begin(), filters.end(), [&](const Filter& filter) { return matches_one(message, filter); });
}

std::string project(std::string_view message, const std::vector<uint32_t>& fields) {
  std::string out;
  while (!message.empty()) {
    const auto field = next_field(message);
    if (!field) return {};
    if (std::find(fields.begin(), fields.end(), field->number) != fields.end()) out.append(field->whole);
  }
  return out;
}

}  // namespace hongyan::store
