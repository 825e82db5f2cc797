// JSON of the contract: that of rpc/json, under the names the gates know.
#pragma once

#include "rpc/json/json.h"

namespace hongyan::api {

using rpc::check_json;
using rpc::json_from_message;
using rpc::json_members;
using rpc::json_quoted;
using rpc::JsonMembers;
using rpc::k_json_depth_max;
using rpc::k_json_members_max;
using rpc::k_json_values_max;
using rpc::message_from_json;
using rpc::plain_string;

}  // namespace hongyan::api
