// What a gate reads a connection into: small while little comes, so that thousands of idle connections hold no page each
// for what they may send one day; larger once it was filled.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace hongyan::api {

class ReadBuffer {
 public:
  static constexpr size_t k_small_bytes = 512;  // A command with its ticket, a heartbeat.
  static constexpr size_t k_large_bytes = 4096;

  ReadBuffer() : bytes_(k_small_bytes) {}
  // Where the next read goes. The bytes before are gone then.
  std::span<char> room() {
    const size_t wanted = last_ == bytes_.size() ? k_large_bytes : last_ <= k_small_bytes ? k_small_bytes : bytes_.size();
    if (wanted != bytes_.size()) bytes_ = std::vector<char>(wanted);
    return bytes_;
  }
  // A read took this much of it.
  std::string_view took(size_t count) {
    last_ = count;
    return {bytes_.data(), count};
  }
  // Whether it was as much as there was room for.
  bool filled() const { return last_ == bytes_.size(); }

 private:
  std::vector<char> bytes_;
  size_t last_ = 0;
};

}  // namespace hongyan::api
