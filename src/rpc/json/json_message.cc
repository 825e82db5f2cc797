// The only file that includes json_util, which is slow to compile.
#include <google/protobuf/util/json_util.h>

#include "rpc/json/json.h"

namespace hongyan::rpc {

Status message_from_json(std::string_view text, google::protobuf::Message& message) {
  TRY(check_json(text));
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos || text[text.find_first_not_of(" \t\r\n")] != '{') {
    return Status(Code::invalid, "JSON: not an object");
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage({text.data(), text.size()}, &message, options);
  if (status.ok()) return {};
  return Status(Code::invalid, "JSON: " + std::string(status.message().data(), status.message().size()));
}

Result<std::string> json_from_message(const google::protobuf::Message& message) {
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json);
  if (status.ok()) return json;
  return Status(Code::internal, "to JSON: " + std::string(status.message().data(), status.message().size()));
}

}  // namespace hongyan::rpc
