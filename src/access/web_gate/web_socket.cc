#include "access/web_gate/web_socket.h"

#include <openssl/sha.h>
#include <wslay/wslay.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"

namespace hongyan::access {

namespace {

constexpr int k_fragments_max = 1024;  // Per message. Each costs the same work however small it is.
constexpr std::string_view k_accept_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 1.3
constexpr size_t k_key_bytes = 16;
constexpr std::string_view k_protocol_error_frame = "\x88\x02\x03\xea";  // Close, 1002.

}  // namespace

struct WebSocketCodec::State {
  wslay_event_context_ptr context = nullptr;
  size_t message_bytes_max = 0;
  std::string_view input;
  std::string output;
  std::string message;              // Assembled here: wslay's own buffering costs an allocation per fragment.
  std::vector<std::string> messages;
  int fragments = 0;
  bool control = false;             // The frame that is being read.
  bool closing = false;             // We have said goodbye.
  bool broken = false;              // No byte is read any more.
  bool unreadable = false;          // What wslay has queued is not sent: it would follow our close.

  static State& of(void* user) { return *static_cast<State*>(user); }

  static ssize_t on_recv(wslay_event_context_ptr context, uint8_t* into, size_t count, int, void* user) {
    State& state = of(user);
    if (state.input.empty()) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    const size_t taken = std::min(count, state.input.size());
    std::memcpy(into, state.input.data(), taken);
    state.input.remove_prefix(taken);
    return static_cast<ssize_t>(taken);
  }
  static ssize_t on_send(wslay_event_context_ptr, const uint8_t* data, size_t count, int, void* user) {
    of(user).output.append(reinterpret_cast<const char*>(data), count);
    return static_cast<ssize_t>(count);
  }
  static void on_frame(wslay_event_context_ptr, const wslay_event_on_frame_recv_start_arg* frame, void* user) {
    State& state = of(user);
    state.control = frame->opcode >= WSLAY_CONNECTION_CLOSE;
    if (state.control) return;
    if (frame->opcode == WSLAY_BINARY_FRAME) return state.end(WSLAY_CODE_UNSUPPORTED_DATA, "text frames only");
    if (++state.fragments > k_fragments_max) return state.end(WSLAY_CODE_POLICY_VIOLATION, "too many fragments");
    if (frame->payload_length > state.message_bytes_max - state.message.size()) {
      state.end(WSLAY_CODE_MESSAGE_TOO_BIG, "over 1 MiB");
    }
  }
  static void on_chunk(wslay_event_context_ptr, const wslay_event_on_frame_recv_chunk_arg* chunk, void* user) {
    State& state = of(user);
    if (state.control || state.broken) return;
    state.message.append(reinterpret_cast<const char*>(chunk->data), chunk->data_length);
  }
  static void on_message(wslay_event_context_ptr, const wslay_event_on_msg_recv_arg* arg, void* user) {
    State& state = of(user);
    if (arg->opcode != WSLAY_TEXT_FRAME || state.broken) return;
    state.messages.push_back(std::exchange(state.message, {}));
    state.fragments = 0;
  }

  // The other side broke the rules: nothing it sends counts any more.
  void end(uint16_t code, std::string_view reason) {
    if (broken) return;
    say_goodbye(code, reason);
    broken = true;
    message.clear();
    wslay_event_shutdown_read(context);
  }
  void say_goodbye(uint16_t code, std::string_view reason) {
    if (std::exchange(closing, true)) return;
    wslay_event_queue_close(context, code, reinterpret_cast<const uint8_t*>(reason.data()), reason.size());
  }
  // A frame's head that no rule allows: wslay would close without a code.
  void end_unreadable() {
    broken = true;
    message.clear();
    if (std::exchange(closing, true)) return;
    unreadable = true;
    output += k_protocol_error_frame;
  }
  void flush() {
    if (unreadable) return;
    if (wslay_event_want_write(context) && wslay_event_send(context) != 0) broken = true;
  }
};

WebSocketCodec::WebSocketCodec(size_t message_bytes_max) : state_(std::make_unique<State>()) {
  const wslay_event_callbacks callbacks = {.recv_callback = State::on_recv,
                                           .send_callback = State::on_send,
                                           .genmask_callback = nullptr,
                                           .on_frame_recv_start_callback = State::on_frame,
                                           .on_frame_recv_chunk_callback = State::on_chunk,
                                           .on_frame_recv_end_callback = nullptr,
                                           .on_msg_recv_callback = State::on_message};
  state_->message_bytes_max = message_bytes_max;
  CHECK(wslay_event_context_server_init(&state_->context, &callbacks, state_.get()) == 0);
  wslay_event_config_set_no_buffering(state_->context, 1);
  wslay_event_config_set_max_recv_msg_length(state_->context, message_bytes_max);
}

WebSocketCodec::~WebSocketCodec() { wslay_event_context_free(state_->context); }

void WebSocketCodec::feed(std::string_view bytes, const OnText& on_text) {
  if (state_->broken) return;
  state_->input = bytes;
  if (wslay_event_recv(state_->context) != 0) state_->end_unreadable();
  state_->input = {};
  state_->flush();
  for (std::string& text : std::exchange(state_->messages, {})) on_text(std::move(text));
}

void WebSocketCodec::send_text(std::string_view text) {
  const wslay_event_msg message = {.opcode = WSLAY_TEXT_FRAME,
                                   .msg = reinterpret_cast<const uint8_t*>(text.data()),
                                   .msg_length = text.size()};
  if (closed() || wslay_event_queue_msg(state_->context, &message) != 0) return;
  state_->flush();
}

void WebSocketCodec::ping() {
  const wslay_event_msg message = {.opcode = WSLAY_PING, .msg = nullptr, .msg_length = 0};
  if (closed() || wslay_event_queue_msg(state_->context, &message) != 0) return;
  state_->flush();
}

void WebSocketCodec::close(uint16_t code, std::string_view reason) {
  state_->say_goodbye(code, reason);
  state_->flush();
}

std::string WebSocketCodec::take_output() { return std::exchange(state_->output, {}); }
size_t WebSocketCodec::output_bytes() const { return state_->output.size(); }
size_t WebSocketCodec::unfinished_bytes() const { return state_->message.size(); }
bool WebSocketCodec::close_received() const { return wslay_event_get_close_received(state_->context) != 0; }
bool WebSocketCodec::closed() const {
  return state_->broken || state_->closing || wslay_event_get_close_received(state_->context) || wslay_event_get_close_sent(state_->context);
}

Result<std::string> web_socket_accept(std::string_view key) {
  const auto bytes = from_base64(key);
  if (!bytes || bytes->size() != k_key_bytes) return Status(Code::invalid, "Sec-WebSocket-Key");
  const std::string text = std::string(key) + std::string(k_accept_guid);
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return to_base64(std::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

}  // namespace hongyan::access
