// One connection: bytes to frames, frames to answers, pushes between them, and the bounds on what one link may hold.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "access/long_link/long_link.h"
#include "access/long_link/proxy_logic.h"
#include "access/long_link/proxy_notify.h"
#include "api/gate/budget.h"
#include "api/gate/read_buffer.h"
#include "runtime/coro/sync.h"

namespace hongyan::access {

// What all connections share.
struct ProxyShared {
  Env& env;
  LongLinkConfig config;
  api::LinkTable& links;
  ProxyLogic& logic;
  LongLinkCounters& counters;
  api::Budget budget;
  api::Turnstile turnstile;
  std::shared_ptr<runtime::TlsServer> tls;
  SealKeys seal_keys;
};

class ProxyConnection {
 public:
  // `group` is the address group whose part of the budget it takes; empty: a front proxy's.
  ProxyConnection(ProxyShared& proxy, std::unique_ptr<runtime::Stream> stream, std::string address, std::string group);
  ~ProxyConnection();

  void run();  // Until the link ends.
  // Takes no more frames; the link ends when what it has queued has left.
  void close();

 private:
  bool shake_hands();
  void read_frames();
  Result<size_t> read_idle(Call& call, api::ReadBuffer& buffer);
  void drain();
  // False: the link takes no more.
  bool take(std::string_view bytes);
  bool take_frames(std::string_view bytes);
  bool wait_for_room();
  bool on_frame(Frame frame);
  bool agree_on_key(const Frame& frame);
  bool refuse_seal(const Frame& frame, std::string_view why);
  void send(uint32_t cmdid, uint32_t seq, std::string_view body);
  void cut();
  void wake_writer();
  void write_at_once();
  void write_output();
  bool write(std::string_view bytes);

  ProxyShared& proxy_;
  api::Arrivals arrivals_;
  std::unique_ptr<runtime::Stream> stream_;
  runtime::Time arrived_{};  // Of what was read last, or until when that waited for its own link.
  LinkContext context_;
  ProxyNotify notify_;
  FrameParser parser_;
  std::optional<SealSession> session_;  // Of a sealed link.
  uint64_t commands_ = 0;
  api::Budget::Share unfinished_;
  uint64_t frames_ = 0;
  size_t in_flight_ = 0;
  runtime::CondVar fewer_in_flight_;
  std::string output_;
  size_t unsent_bytes_ = 0;      // Handed to the writer.
  bool closing_ = false;
  bool taking_ = false;          // Frames of one read: what is answered meanwhile leaves together.
  bool writing_ = false;
  bool reader_ended_ = false;
  runtime::CondVar news_;        // For the writer of a closing link.
  runtime::Nursery requests_;
  runtime::Nursery writer_;
};

}  // namespace hongyan::access
