// One WebSocket link from its handshake to its end: frames to commands, answers and rings to frames, pings, and the
// bounds on what one link may hold.
#pragma once

#include <memory>
#include <string>

#include "api/gate/budget.h"
#include "api/gate/read_buffer.h"
#include "access/web_gate/impl/web_commands.h"
#include "access/web_gate/impl/web_counters.h"
#include "access/web_gate/web_socket.h"
#include "runtime/coro/sync.h"

namespace hongyan::access {

class WebLink : public api::LinkMember {
 public:
  WebLink(Env& env, const WebGateConfig& config, WebCommands& commands, api::LinkTable& links, WebCounters& counters,
          api::Budget& budget, runtime::Stream& stream, api::Arrivals& arrivals, api::Turnstile& turnstile, api::Credit& credit,
          std::string address, std::string group);
  ~WebLink() override;

  // Until the link ends. `early`: bytes that came with the handshake.
  void run(std::string early);
  void close(uint16_t code, std::string_view reason);

  void ring(const client::Ring& ring) override;
  void close_link(api::CloseReason reason) override;

 private:
  void read_frames(std::string early);
  Result<size_t> read_idle(Call& call, api::ReadBuffer& buffer);
  void feed(std::string_view bytes);
  void on_text(std::string text);
  void answer(std::string_view id, std::string_view body);
  void send(std::string_view text);
  void cut();
  void wake_writer();
  void write_output();

  Env& env_;
  const WebGateConfig& config_;
  WebCommands& commands_;
  api::LinkTable& links_;
  WebCounters& counters_;
  runtime::Stream& stream_;
  api::Arrivals& arrivals_;
  api::Turnstile& turnstile_;
  api::Credit& credit_;
  runtime::Time arrived_{};      // Of what was read last.
  std::string address_;
  api::Link link_;
  WebSocketCodec codec_;
  api::Budget::Share unfinished_;
  size_t in_flight_ = 0;
  size_t long_bytes_ = 0;        // Of those in flight that are long.
  size_t unsent_bytes_ = 0;      // Handed to the writer.
  bool writing_ = false;
  bool cut_ = false;
  bool reader_ended_ = false;
  runtime::CondVar reader_end_;
  runtime::Nursery requests_;
  runtime::Nursery writer_;
};

}  // namespace hongyan::access
