// WebSocket framing (RFC 6455, server side, wslay) without I/O: bytes in, text messages and bytes out. Messages over
// the limit, in more than 1,024 fragments, not UTF-8, binary or unmasked end the link with the right close code; pings
// are answered. After closed() only the output matters: write it and drop the connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hongyan::access {

class WebSocketCodec {
 public:
  using OnText = std::function<void(std::string text)>;

  explicit WebSocketCodec(size_t message_bytes_max);
  ~WebSocketCodec();
  WebSocketCodec(const WebSocketCodec&) = delete;
  WebSocketCodec& operator=(const WebSocketCodec&) = delete;

  // `on_text` for every complete message, in order; it must not feed.
  void feed(std::string_view bytes, const OnText& on_text);
  void send_text(std::string_view text);
  void ping();
  void close(uint16_t code, std::string_view reason);

  std::string take_output();
  size_t output_bytes() const;
  size_t unfinished_bytes() const;  // Of a message whose end has not come.
  bool closed() const;              // A close frame was sent or received, or the framing broke.
  bool close_received() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The Sec-WebSocket-Accept for a client's key; invalid when the key is not 16 bytes of base64.
Result<std::string> web_socket_accept(std::string_view key);

}  // namespace hongyan::access
