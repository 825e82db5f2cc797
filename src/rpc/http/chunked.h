// The chunked transfer coding (RFC 9112 7.1) of a request body, without I/O. Strict where parsers differ: CRLF only,
// 1 to 7 hexadecimal digits, a size line of at most 256 bytes, a trailer of at most 4 KiB, which is dropped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hongyan::rpc {

class ChunkedDecoder {
 public:
  enum class State { size, data, data_end, trailer, done, broken, too_large };

  explicit ChunkedDecoder(size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}

  // Appends what it decodes to `body`; gives how many bytes it used: all, unless it is done or has failed.
  size_t feed(std::string_view bytes, std::string& body);
  State state() const { return state_; }

 private:
  void end_of_size_line(size_t body_bytes);
  void end_of_trailer_line();

  size_t body_bytes_max_;
  State state_ = State::size;
  std::string line_;       // Of a size or a trailer, up to its CRLF.
  size_t left_ = 0;        // Of the chunk.
  size_t trailer_bytes_ = 0;
};

}  // namespace hongyan::rpc
