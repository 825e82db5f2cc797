// Any bytes as what a data service sends to a store, and as what a store answers: what is taken is sent again as what
// it was. The first byte chooses which message.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "store/remote/wire.h"

namespace hongyan::store {
namespace {

// Message -> value -> message -> value -> message: the last two are the same, since all that has a meaning was kept.
template <typename Message>
void there_and_back(std::string_view bytes) {
  Message in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  auto value = from_wire(std::move(in));
  Message once, twice;
  if constexpr (std::is_same_v<Message, wire::Commit> || std::is_same_v<Message, wire::Read>) {
    if (!value.ok()) {
      CHECK(value.code() == Code::invalid);
      return;
    }
    to_wire(*value, once);
    auto again = from_wire(Message(once));
    CHECK(again.ok());
    to_wire(*again, twice);
  } else {
    to_wire(std::move(value), once);
    to_wire(from_wire(Message(once)), twice);
  }
  CHECK(once.SerializeAsString() == twice.SerializeAsString());
}

}  // namespace
}  // namespace hongyan::store

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hongyan::store;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: there_and_back<wire::Commit>(bytes); break;
    case 1: there_and_back<wire::Read>(bytes); break;
    case 2: there_and_back<wire::CommitResult>(bytes); break;
    default: there_and_back<wire::ReadResult>(bytes); break;
  }
  return 0;
}
