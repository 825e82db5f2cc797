// One peer of a server: its bytes, its calls under way and their answers. An object of the loop, without a coroutine;
// lives until its stream is closed and its last call has ended. For rpc/server*.cc only.
#pragma once

#include <memory>
#include <string_view>

#include "rpc/frame.h"
#include "rpc/server_state.h"

namespace hongyan::rpc {

class HttpConversation;

class ServerConnection : private runtime::StreamWatcher, private runtime::TurnStart, private runtime::TurnEnd {
 public:
  ServerConnection(ServerState& server, std::unique_ptr<runtime::Stream> stream);
  ~ServerConnection() override;

  // Begins to read. The connection may be gone when a member that is called outside of its own turn returns.
  void start();
  // Takes no more requests; ends when everything taken is answered.
  void begin_close();
  // Now, whatever is under way.
  void abort();
  void on_alarm();
  Server::Peer describe() const;

  size_t alarm_index = Alarms<ServerConnection>::k_none;  // For Alarms.
  size_t place = 0;                                       // Among the server's connections.

 private:
  friend class HttpConversation;
  enum class Parsed { all, paused, out_of_time, broken };

  void on_ready(bool readable, bool writable) override;
  void on_turn_start() override;
  void on_turn_end() override;

  // Reading.
  void take_input();
  Parsed parse(runtime::Time slice_end);
  Parsed parse_frames(runtime::Time slice_end);
  bool read_more();
  bool choose_protocol(std::string_view bytes);
  bool stops_reading() const;
  void resume_reading();
  void refuse_bytes();

  // Calls.
  bool take(const Frame& frame);
  struct Refusal {
    Code code = Code::ok;
    std::string_view why = {};
    std::string owned = {};
  };
  // How a call came in: the rest of what start_call() needs to know.
  struct Asked {
    ServerTarget& target;
    uint64_t id;
    Call call;  // Without its ticket.
    std::string_view ticket;
    std::string_view body;
    bool json = false;
    bool http = false;
    std::optional<runtime::Duration> remaining;
  };
  Refusal start_call(Asked& asked);
  void refused(const Asked& asked, const Refusal& refusal);
  void handle(ServerCall& one);
  Status parse_large(ServerCall& one);
  void finish(ServerCall& one, const Status& status);
  size_t answer(ServerCall& one, const Status& status);
  void put_answer(uint64_t id, Code code, std::string_view detail, const Message* body, size_t body_bytes);
  void put_plain(const Frame& frame);

  // Writing.
  void added();
  void write_some();
  void lose();

  void settle();
  void plan_alarm();

  ServerState& server_;
  std::unique_ptr<runtime::Stream> stream_;
  std::unique_ptr<HttpConversation> http_;  // Null: frames, or not known yet.
  FrameParser parser_;
  OutputBuffer output_;
  uint64_t last_taken_ = 0;
  uint64_t calls_ = 0;
  size_t in_flight_ = 0;
  size_t in_flight_bytes_ = 0;
  runtime::Time arrived_{};        // When what was read last can have come at the earliest: its queueing began then.
  runtime::Time last_read_{};      // Or when it was said to be readable, if nothing was read since.
  runtime::Time last_heard_{};
  runtime::Time last_progress_{};  // Of writing, or when there began to be something to write.
  runtime::Time linger_until_{};
  size_t lingered_bytes_ = 0;
  bool protocol_known_ = false;
  bool readable_ = false;
  bool blocked_ = false;    // The stream takes nothing for now.
  bool ended_ = false;      // The peer sends no more.
  bool closing_ = false;
  bool lingering_ = false;  // Everything is said; the peer is to close first.
  bool broken_ = false;
  bool in_turn_ = false;    // Must not be removed.
};

}  // namespace hongyan::rpc
