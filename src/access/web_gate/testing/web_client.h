// A small HTTP and WebSocket client for tests, in coroutines of a TestEnv.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "access/web_gate/testing/web_socket_client.h"
#include "rpc/http/testing/http_client.h"

namespace hongyan::access::testing {

using WebClient = rpc::testing::HttpClient;

class WebSocketClient : public WebClient {
 public:
  using WebClient::WebClient;

  int open() {
    write("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    return read_answer().status;
  }
  void send(std::string_view text) { write_frame(1, text); }
  void write_frame(uint8_t opcode, std::string_view payload) { write(client_frame(opcode, payload)); }

  // Opcode 255 at the end of the connection.
  ServerFrame receive_frame() {
    for (;;) {
      if (!frames_.empty()) {
        ServerFrame frame = std::move(frames_.front());
        frames_.erase(frames_.begin());
        return frame;
      }
      frames_ = server_frames(in_);
      if (frames_.empty() && !more()) return {.opcode = 255, .payload = ""};
    }
  }
  // The next text; "" at a close or the end.
  std::string receive() {
    for (;;) {
      ServerFrame frame = receive_frame();
      if (frame.opcode == 1) return frame.payload;
      if (frame.opcode == 8 || frame.opcode == 255) return "";
    }
  }
  // Skips everything up to the close frame and gives its code; 0: none came.
  int closed() {
    for (;;) {
      const ServerFrame frame = receive_frame();
      if (frame.opcode == 255) return 0;
      if (frame.opcode != 8) continue;
      if (frame.payload.size() < 2) return 1005;
      return static_cast<uint8_t>(frame.payload[0]) << 8 | static_cast<uint8_t>(frame.payload[1]);
    }
  }

 private:
  std::vector<ServerFrame> frames_;
};

}  // namespace hongyan::access::testing
