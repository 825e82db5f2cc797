// A WebSocket of the web protocol (docs/protocol-web.md): one JSON text a frame.
#include <fmt/format.h>

#include <google/protobuf/util/json_util.h>

#include "bench/link.h"

namespace hongyan::bench {

namespace {

std::string masked_frame(std::string_view payload) {
  std::string frame("\x81", 1);
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65536) {
    frame += static_cast<char>(0x80 | 126);
    for (int shift : {8, 0}) frame += static_cast<char>(payload.size() >> shift);
  } else {
    frame += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(static_cast<uint64_t>(payload.size()) >> shift);
  }
  constexpr std::string_view mask = "\x11\x22\x33\x44";
  frame += mask;
  for (size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ mask[i % 4]);
  return frame;
}

// protobuf's own mapping; it takes more stack than a coroutine has.
std::string json_of(Env& env, const google::protobuf::Message& message) {
  std::string text;
  env.scheduler().run_on_thread_stack([&] { (void)google::protobuf::util::MessageToJsonString(message, &text).ok(); });
  return text;
}

bool is_ring(std::string_view text) { return text.starts_with("{\"ring\""); }

class WebLink : public Link {
 public:
  WebLink(Env& env, std::unique_ptr<runtime::Stream> stream) : env_(env), stream_(std::move(stream)) {}

  Status open(Call& call) {
    TRY(stream_->write(call, "GET /ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    size_t end;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) TRY(more(call));
    if (!in_.starts_with("HTTP/1.1 101")) return Status(Code::unavailable, in_.substr(0, end));
    in_.erase(0, end + 4);
    return {};
  }

  Status call(Call& call, std::string_view path, const google::protobuf::Message& request,
              google::protobuf::Message& response) override {
    return exchange(call, path, json_of(env_, request), &response);
  }

  // `response` null: only the code counts.
  Status exchange(Call& call, std::string_view path, std::string_view body, google::protobuf::Message* response) {
    const std::string id = std::to_string(++last_id_);
    const std::string frame = masked_frame(fmt::format(R"({{"id":"{}","path":"{}","body":{}}})", id, path, body));
    ++traffic_.frames_out;
    traffic_.bytes_out += frame.size();
    TRY(stream_->write(call, frame));
    for (;;) {
      const std::string text = TRY(next_text(call));
      if (is_ring(text)) {
        ++rings_;
        continue;
      }
      const std::string head = fmt::format(R"({{"id":"{}","body":)", id);
      if (!text.starts_with(head)) return Status(Code::internal, "not the answer: " + text.substr(0, 100));
      return answered(std::string_view(text).substr(head.size(), text.size() - head.size() - 1), response);
    }
  }

  Status next_ring(Call& call) override {
    while (rings_ == 0) {
      const std::string text = TRY(next_text(call));
      if (is_ring(text)) ++rings_;
    }
    rings_ = 0;  // One sync serves them all.
    return {};
  }

  const Traffic& traffic() const override { return traffic_; }

 private:
  Status answered(std::string_view body, google::protobuf::Message* response) {
    client::PollResponse only_base;
    google::protobuf::Message& into = response == nullptr ? only_base : *response;
    bool parsed = false;
    env_.scheduler().run_on_thread_stack([&] {
      google::protobuf::util::JsonParseOptions options;
      options.ignore_unknown_fields = true;
      parsed = google::protobuf::util::JsonStringToMessage({body.data(), body.size()}, &into, options).ok();
    });
    if (!parsed) return Status(Code::internal, "an answer is not JSON of its message");
    return status_of(into);
  }

  Status more(Call& call) {
    char buffer[16 * 1024];
    const size_t count = TRY(stream_->read(call, buffer));
    if (count == 0) return Status(Code::closed, "the server closed the link");
    traffic_.bytes_in += count;
    in_.append(buffer, count);
    return {};
  }

  // The next text frame; pings are counted by the server's idle time only, which a busy link never meets.
  Result<std::string> next_text(Call& call) {
    for (;;) {
      while (in_.size() < 2) TRY(more(call));
      const int opcode = in_[0] & 0x0f;
      uint64_t size = static_cast<uint8_t>(in_[1]) & 0x7f;
      const size_t length_bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
      while (in_.size() < 2 + length_bytes) TRY(more(call));
      if (length_bytes > 0) size = 0;
      for (size_t i = 0; i < length_bytes; ++i) size = size << 8 | static_cast<uint8_t>(in_[2 + i]);
      while (in_.size() < 2 + length_bytes + size) TRY(more(call));
      std::string payload = in_.substr(2 + length_bytes, size);
      in_.erase(0, 2 + length_bytes + size);
      ++traffic_.frames_in;
      if (opcode == 1) return payload;
      if (opcode == 8) return Status(Code::closed, "the server closed the link");
    }
  }

  Env& env_;
  std::unique_ptr<runtime::Stream> stream_;
  std::string in_;
  uint64_t last_id_ = 0;
  int rings_ = 0;
  Traffic traffic_;
};

class WebTransport : public Transport {
 public:
  WebTransport(Env& env, const ServerProcess& server) : env_(env), server_(server) {}
  std::string name() const override { return "WebSocket, JSON"; }
  Result<std::unique_ptr<Link>> connect(Call& call) override {
    auto link = std::make_unique<WebLink>(env_, TRY(env_.network().connect(call, server_.address("web"))));
    TRY(link->open(call));
    return std::unique_ptr<Link>(std::move(link));
  }
  Status identify(Call& call, Link& link, const client::BaseRequest& base) override {
    client::PollRequest request;
    *request.mutable_base() = base;
    return static_cast<WebLink&>(link).exchange(call, "identify", json_of(env_, request), nullptr);
  }

 private:
  Env& env_;
  const ServerProcess& server_;
};

}  // namespace

std::unique_ptr<Transport> make_web_transport(Env& env, const ServerProcess& server) {
  return std::make_unique<WebTransport>(env, server);
}

}  // namespace hongyan::bench
