// HTTP/1.1 for every listener that speaks it: a request parser without I/O and the bytes of a response.
//
// The parser takes bytes as they come and gives requests one after the other; bytes behind a request stay for the
// next (pipelining). It is strict, because a front proxy may read the same bytes: no bare CR or LF, no folded lines,
// no space before a colon, no name twice among Host, Content-Length and Transfer-Encoding, never both of the latter,
// only "chunked". Limits: header 16 KiB and 100 fields, body 1 MiB. A violation fails the parser for good.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rpc/http/chunked.h"

namespace hongyan::rpc {

struct HttpLimits {
  size_t header_bytes = 16 * 1024;
  size_t fields = 100;
  size_t body_bytes = 1024 * 1024;
};

struct HttpRequest {
  std::string method;
  std::string target;  // As sent: "/api/v1/send?x=1".
  int minor = 1;       // HTTP/1.x
  bool keep_alive = true;
  std::vector<std::pair<std::string, std::string>> fields;  // Names in lower case.
  std::string body;

  std::string_view field(std::string_view lower_name) const;  // The first; "" when absent.
  // Whether a comma-separated list field has this token, in any case.
  bool has_token(std::string_view lower_name, std::string_view lower_token) const;
  std::string_view path() const;  // The target up to '?'.
};

class HttpParser {
 public:
  explicit HttpParser(HttpLimits limits) : limits_(limits) {}

  void feed(std::string_view bytes);
  bool complete() const { return state_ == State::complete; }
  int error() const { return error_; }                       // 0, or the status to answer before closing.
  bool idle() const { return state_ == State::header && buffer_.empty(); }  // Not a byte of the next request.
  bool in_body() const { return state_ == State::body; }
  bool wants_continue() const { return wants_continue_; }    // "Expect: 100-continue", until answered or the body is there.
  void continued() { wants_continue_ = false; }

  size_t unfinished_bytes() const;                           // Held for a request whose end has not come.

  // The complete request; what was fed behind it is parsed next.
  HttpRequest take();
  // Bytes behind the last request taken: they belong to the upgraded protocol.
  std::string take_rest() { return std::exchange(buffer_, {}); }

 private:
  enum class State { header, body, complete, failed };
  void advance();
  void fail(int status);
  int read_request_line(std::string_view line);
  bool read_header(std::string_view header);
  bool read_body();

  HttpLimits limits_;
  State state_ = State::header;
  int error_ = 0;
  bool wants_continue_ = false;
  std::string buffer_;
  HttpRequest request_;
  size_t length_ = 0;                        // Of the body, when it is not chunked.
  std::optional<ChunkedDecoder> chunked_;
};

struct HttpResponse {
  int status = 200;
  std::string content_type;
  std::vector<std::pair<std::string_view, std::string>> fields;  // Beside those of every answer.
  std::string body;
  std::string_view shared_body = {};  // Instead of `body`; outlives the response (site files).
  bool close = false;
  bool for_browsers = true;  // With the fields that forbid framing, sniffing and foreign scripts.
};

// The head with every field; the body follows as it is. `length_only`: HEAD.
std::string http_head(const HttpResponse& response, bool keep_alive);
std::string_view http_reason(int status);

}  // namespace hongyan::rpc
