// Hostile bytes for the frame parser and for every kind of ticket. The first byte of the input chooses where the
// stream is cut; what parses must encode to bytes that parse to the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "rpc/frame.h"
#include "rpc/ticket.h"

namespace hongyan::rpc {
namespace {

void check_same(const Frame& a, const Frame& b) {
  CHECK(a.kind == b.kind && a.call_id == b.call_id && a.method == b.method && a.code == b.code);
  CHECK(a.remaining == b.remaining && a.text == b.text && a.body == b.body);
  CHECK(a.priority.business == b.priority.business && a.priority.user == b.priority.user);
  CHECK(a.trace.id == b.trace.id && a.trace.parent == b.trace.parent);
}

void push(FrameParser& parser, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto space = parser.space();
    const size_t count = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), count);
    parser.filled(count);
    bytes.remove_prefix(count);
  }
}

void frames(std::string_view bytes, size_t step) {
  FrameParser parser;
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), step);
    push(parser, bytes.substr(0, count));
    bytes.remove_prefix(count);
    for (;;) {
      const auto frame = parser.next();
      if (!frame.ok()) {
        CHECK(!parser.next().ok());  // Broken stays broken.
        return;
      }
      if (!frame->has_value()) break;
      std::string again;
      put_frame(again, **frame);
      FrameParser second;
      push(second, again);
      const auto same = second.next();
      CHECK(same.ok() && same->has_value());
      check_same(**frame, **same);
    }
  }
}

// As the server reads: from a shared buffer, the rest of a frame in front of what comes next. Gives the call ids.
std::vector<uint64_t> lent(std::string_view bytes, size_t step) {
  FrameParser parser;
  std::string shared(bytes.size(), '\0');
  std::vector<uint64_t> seen;
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), step);
    const size_t kept = parser.take_rest(shared.data());
    CHECK(kept + count <= shared.size());
    std::memcpy(shared.data() + kept, bytes.data(), count);
    parser.lend({shared.data(), kept + count});
    bytes.remove_prefix(count);
    for (;;) {
      const auto frame = parser.next();
      if (!frame.ok()) return seen;
      if (!frame->has_value()) break;
      seen.push_back((**frame).call_id);
    }
    parser.keep();
    CHECK(parser.rest_bytes() > 0 || parser.capacity() == 0);
  }
  return seen;
}

void tickets(std::string_view bytes) {
  const KeyRing ring({{.id = 1, .bytes = std::string(32, 'k')}});
  Call call;
  call.ticket = std::make_shared<const std::string>(bytes);
  const auto caller = caller_of(call);
  CHECK(!caller.ok() || (caller->identity.uin != 0) != !caller->service.empty());
  // Nothing is signed here with this ring: whatever verifies is a forgery.
  CHECK(!check_client_ticket(ring, bytes, 0).ok());
  CHECK(!check_call_ticket(ring, "inbox", bytes, 0).ok());
  CHECK(!check_grant(ring, bytes, 0).ok());
}

}  // namespace
}  // namespace hongyan::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  hongyan::rpc::frames(bytes, data[0] == 0 ? bytes.size() + 1 : data[0]);
  if (hongyan::rpc::lent(bytes, 7) != hongyan::rpc::lent(bytes, bytes.size() + 1)) std::abort();
  hongyan::rpc::tickets(bytes);
  return 0;
}
