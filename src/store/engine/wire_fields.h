// Top-level fields of a protobuf message by number, without its descriptor (protobuf encoding, wire types 0, 1, 2, 5):
// what filters and projections of a read are made of. Damaged bytes match no filter and project to nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/entity/store.h"

namespace hongyan::store {

bool matches(std::string_view message, const std::vector<Filter>& filters);
std::string project(std::string_view message, const std::vector<uint32_t>& fields);

}  // namespace hongyan::store
