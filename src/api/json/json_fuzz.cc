// Any text as JSON: what the scanner lets through protobuf takes or refuses without harm, and what was taken can be
// written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/json/json.h"
#include "api/client/chat.pb.h"

using namespace hongyan;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto members = api::json_members(text);
  if (members.ok()) {
    for (const auto& [name, value] : *members) {
      if (!api::check_json(value).ok()) std::abort();
    }
  }
  client::SendRequest request;
  if (!api::message_from_json(text, request).ok()) return 0;
  const auto json = api::json_from_message(request);
  if (!json.ok()) return 0;
  client::SendRequest again;
  if (!api::message_from_json(*json, again).ok()) std::abort();
  if (again.SerializeAsString() != request.SerializeAsString()) std::abort();
  return 0;
}
