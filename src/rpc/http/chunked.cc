#include "rpc/http/chunked.h"

#include <algorithm>

namespace hongyan::rpc {

namespace {

constexpr size_t k_size_digits_max = 7;
constexpr size_t k_size_line_bytes_max = 256;
constexpr size_t k_trailer_bytes_max = 4096;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool is_text(char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); }

}  // namespace

size_t ChunkedDecoder::feed(std::string_view bytes, std::string& body) {
  size_t at = 0;
  while (at < bytes.size()) {
    switch (state_) {
      case State::data: {
        const size_t count = std::min(left_, bytes.size() - at);
        body.append(bytes.substr(at, count));
        at += count;
        left_ -= count;
        if (left_ == 0) state_ = State::data_end;
        break;
      }
      case State::data_end:
        line_ += bytes[at++];
        if (line_ == "\r\n") {
          line_.clear();
          state_ = State::size;
        } else if (line_ != "\r") {
          state_ = State::broken;
        }
        break;
      case State::size:
      case State::trailer: {
        const char c = bytes[at++];
        const bool after_cr = line_.ends_with('\r');
        if (after_cr != (c == '\n') || (c != '\n' && c != '\r' && !is_text(c))) {
          state_ = State::broken;
          break;
        }
        line_ += c;
        if (line_.size() > k_size_line_bytes_max && state_ == State::size) state_ = State::broken;
        if (state_ == State::trailer && ++trailer_bytes_ > k_trailer_bytes_max) state_ = State::broken;
        if (c != '\n') break;
        if (state_ == State::size) {
          end_of_size_line(body.size());
        } else if (state_ == State::trailer) {
          end_of_trailer_line();
        }
        break;
      }
      case State::done:
      case State::broken:
      case State::too_large: return at;
    }
  }
  return at;
}

void ChunkedDecoder::end_of_size_line(size_t body_bytes) {
  size_t size = 0, digits = 0;
  while (digits < line_.size() && hex_digit(line_[digits]) >= 0) {
    if (digits < k_size_digits_max) size = size << 4 | static_cast<size_t>(hex_digit(line_[digits]));
    ++digits;
  }
  const char behind = line_[digits];  // At the least the '\r'.
  line_.clear();
  if (digits == 0 || (behind != '\r' && behind != ';')) {
    state_ = State::broken;
  } else if (digits > k_size_digits_max || size > body_bytes_max_ - body_bytes) {
    state_ = State::too_large;
  } else {
    left_ = size;
    state_ = size == 0 ? State::trailer : State::data;
  }
}

void ChunkedDecoder::end_of_trailer_line() {
  if (line_ == "\r\n") {
    state_ = State::done;
  } else if (line_.find(':') == std::string::npos || line_[0] == ' ' || line_[0] == '\t' || line_[0] == ':') {
    state_ = State::broken;
  }
  line_.clear();
}

}  // namespace hongyan::rpc
