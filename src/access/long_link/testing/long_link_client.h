// A mars client's half of the long link for tests, in coroutines of a TestEnv.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/long_link/frame.h"
#include "access/long_link/seal.h"
#include "api/gate/envelope.h"
#include "base/check.h"
#include "runtime/testing/test_env.h"
#include "runtime/tls/tls.h"

namespace hongyan::access::testing {

class LongLinkClient {
 public:
  static constexpr uint32_t k_version = 200;

  // With a fingerprint: over TLS.
  LongLinkClient(runtime::TestEnv& env, const std::string& address, const std::string& fingerprint = {}) : env_(&env) {
    Call call = env.call();
    auto stream = env.network().connect(call, address);
    CHECK(stream.ok());
    stream_ = std::move(*stream);
    if (fingerprint.empty()) return;
    auto tls = runtime::tls_connect(std::move(stream_), fingerprint);
    CHECK(tls.ok() && (*tls)->handshake(call).ok());
    stream_ = std::move(*tls);
  }
  LongLinkClient(LongLinkClient&&) = default;

  static std::string frame(uint32_t cmdid, uint32_t seq, std::string_view body) {
    std::string out;
    append_frame(out, k_version, cmdid, seq, body);
    return out;
  }
  template <typename Request>
  static std::string request(uint32_t cmdid, uint32_t seq, const Request& message) {
    return frame(cmdid, seq, api::make_envelope(message.SerializeAsString()));
  }
  bool write(std::string_view bytes) {
    Call call = env_->call();
    return stream_->write(call, bytes).ok();
  }
  // Agrees on a session key. False: refused, or whoever answers does not have that key.
  bool agree(uint8_t key_id, std::string_view server_public) {
    SealHello hello(key_id, server_public, env_->random_bytes(k_noise_key_bytes));
    write(frame(k_cmdid_seal, k_seq_identify, hello.body()));
    const auto welcome = receive();
    if (!welcome || welcome->cmdid != k_cmdid_seal || welcome->seq != k_seq_identify) return false;
    auto session = hello.finish(welcome->body);
    if (session.ok()) session_ = std::move(*session);
    return session.ok();
  }
  template <typename Request>
  std::string sealed(uint32_t cmdid, uint32_t seq, const Request& message) {
    return frame(cmdid, seq, session_->seal(k_version, cmdid, seq, api::make_envelope(message.SerializeAsString())));
  }
  // The next frame, opened when the link is sealed; nullopt at the end.
  std::optional<Frame> receive() {
    for (;;) {
      std::string_view rest = in_;
      auto frame = parser_.take(rest);
      in_.erase(0, in_.size() - rest.size());
      if (frame) {
        if (session_ && frame->cmdid != k_cmdid_noop) {
          auto body = session_->open(*frame);
          CHECK(body.ok());
          frame->body = std::move(*body);
        }
        return frame;
      }
      CHECK(!parser_.broken());
      Call call = runtime::background_call(*env_, std::chrono::minutes(30));
      char buffer[4096];
      const auto count = stream_->read(call, buffer);
      if (!count.ok() || *count == 0) return std::nullopt;
      in_.append(buffer, *count);
    }
  }
  template <typename Response>
  Response receive_response(uint32_t seq) {
    const auto frame = receive();
    CHECK(frame && frame->seq == seq && frame->client_version == k_version);
    const auto envelope = api::parse_envelope(frame->body);
    CHECK(envelope.ok());
    Response response;
    CHECK(response.ParseFromArray(envelope->protobuf.data(), static_cast<int>(envelope->protobuf.size())));
    return response;
  }
  template <typename Response, typename Request>
  Response ask(uint32_t cmdid, uint32_t seq, const Request& message) {
    write(session_ ? sealed(cmdid, seq, message) : request(cmdid, seq, message));
    return receive_response<Response>(seq);
  }
  void close() { stream_->close(); }

 private:
  runtime::TestEnv* env_;
  std::unique_ptr<runtime::Stream> stream_;
  FrameParser parser_;
  std::optional<SealSession> session_;
  std::string in_;
};

}  // namespace hongyan::access::testing
