// A small HTTP client for tests, in coroutines of a TestEnv.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "runtime/testing/test_env.h"
#include "runtime/tls/tls.h"

namespace hongyan::rpc::testing {

struct Answer {
  int status = 0;  // 0: the connection ended without one.
  std::vector<std::pair<std::string, std::string>> fields;  // Names in lower case.
  std::string body;

  std::string field(std::string_view lower_name) const {
    for (const auto& [name, value] : fields) {
      if (name == lower_name) return value;
    }
    return "";
  }
};

class HttpClient {
 public:
  // With a fingerprint: over TLS.
  HttpClient(runtime::TestEnv& env, const std::string& address, const std::string& fingerprint = {}) : env_(&env) {
    Call call = env.call();
    auto stream = env.network().connect(call, address);
    CHECK(stream.ok());
    stream_ = std::move(*stream);
    if (fingerprint.empty()) return;
    auto tls = runtime::tls_connect(std::move(stream_), fingerprint);
    CHECK(tls.ok() && (*tls)->handshake(call).ok());
    stream_ = std::move(*tls);
  }
  HttpClient(HttpClient&&) = default;

  static std::string post_text(std::string_view target, std::string_view body,
                               std::string_view fields = "Content-Type: application/json\r\n") {
    return "POST " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(fields) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  }
  Answer post(std::string_view target, std::string_view body, std::string_view fields = "Content-Type: application/json\r\n") {
    return raw(post_text(target, body, fields));
  }
  Answer get(std::string_view target, std::string_view fields = "") {
    return raw("GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n");
  }
  Answer raw(const std::string& bytes) {
    write(bytes);
    const bool head = bytes.starts_with("HEAD");
    return read_answer(head);
  }

  void write(std::string_view bytes) {
    Call call = env_->call();
    (void)stream_->write(call, bytes).ok();  // The server may have closed already.
  }
  // Waits for more; false at the end.
  bool more() {
    Call call = background();
    char buffer[4096];
    const auto count = stream_->read(call, buffer);
    if (!count.ok() || *count == 0) return false;
    in_.append(buffer, *count);
    return true;
  }
  // Whether the server closed without another byte.
  bool ended() { return in_.empty() && !more(); }

  Answer read_answer(bool head = false) {
    size_t end;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return {};
    }
    Answer answer;
    const std::string text = in_.substr(0, end + 2);
    in_.erase(0, end + 4);
    answer.status = std::atoi(text.c_str() + std::string_view("HTTP/1.1 ").size());
    for (size_t at = text.find("\r\n") + 2; at < text.size();) {
      const size_t line_end = text.find("\r\n", at), colon = text.find(": ", at);
      std::string name = text.substr(at, colon - at);
      for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      answer.fields.emplace_back(std::move(name), text.substr(colon + 2, line_end - colon - 2));
      at = line_end + 2;
    }
    if (head) return answer;
    const size_t size = std::strtoul(answer.field("content-length").c_str(), nullptr, 10);
    while (in_.size() < size && more()) {
    }
    answer.body = in_.substr(0, size);
    in_.erase(0, size);
    return answer;
  }

 protected:
  Call background() const { return runtime::background_call(*env_, std::chrono::minutes(10)); }

  runtime::TestEnv* env_;
  std::unique_ptr<runtime::Stream> stream_;
  std::string in_;
};

}  // namespace hongyan::rpc::testing
