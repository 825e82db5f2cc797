// Any bytes: the envelope is refused or gives back a view of what follows its two leading bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/client/chat.pb.h"
#include "api/gate/envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto envelope = hongyan::api::parse_envelope(bytes);
  if (!envelope.ok()) return 0;
  if (envelope->protobuf.size() + 2 != size) std::abort();
  hongyan::client::SendRequest request;
  if (request.ParseFromArray(envelope->protobuf.data(), static_cast<int>(envelope->protobuf.size()))) {
    hongyan::client::SendRequest again;
    if (!again.ParseFromString(request.SerializeAsString())) std::abort();
  }
  return 0;
}
