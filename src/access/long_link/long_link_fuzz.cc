// Any bytes: however they are cut, the parser finds the same frames, holds no more than it was given, and what it found
// encodes to the same frames again. The first byte chooses where the cuts are.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "access/long_link/frame.h"

using hongyan::access::Frame;
using hongyan::access::FrameParser;

namespace {

struct Parsed {
  std::vector<Frame> frames;
  bool broken = false;
};

Parsed parse(std::string_view bytes, size_t piece) {
  Parsed out;
  FrameParser parser;
  while (!bytes.empty() && !parser.broken()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    while (auto frame = parser.take(part)) out.frames.push_back(std::move(*frame));
    if (!parser.broken() && !part.empty()) std::abort();
    if (parser.unfinished_bytes() > hongyan::access::k_frame_bytes_max) std::abort();
  }
  out.broken = parser.broken();
  return out;
}

bool equal(const Frame& a, const Frame& b) {
  return a.client_version == b.client_version && a.cmdid == b.cmdid && a.seq == b.seq && a.body == b.body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Parsed whole = parse(bytes, size), pieces = parse(bytes, 1 + data[0] % 64);
  if (whole.broken != pieces.broken || !std::ranges::equal(whole.frames, pieces.frames, equal)) std::abort();
  std::string again;
  for (const Frame& frame : whole.frames) {
    hongyan::access::append_frame(again, frame.client_version, frame.cmdid, frame.seq, frame.body);
    (void)hongyan::access::kind_of(frame);
  }
  if (!std::ranges::equal(parse(again, again.size() + 1).frames, whole.frames, equal)) std::abort();
  return 0;
}
