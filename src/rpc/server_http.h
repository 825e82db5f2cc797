// What a connection says in HTTP/1.1. A call: `POST /package.Service/Method`, Content-Type application/json (protobuf's
// JSON mapping, strict UTF-8) or application/x-protobuf; the answer has the same form. Requests of one connection are
// answered one after the other, in order.
//
// Fields of a request: Hongyan-Timeout-Ms (or grpc-timeout), Hongyan-Ticket (base64), Hongyan-Priority ("business" or
// "business/user"), Hongyan-Routing-Key, traceparent (W3C). A field that can't be understood is refused, but for
// traceparent, which is ignored then as its standard wants. Of an answer: Hongyan-Level when the server has admission;
// traceresponse of a call that was sampled.
// An error is {"code": 5, "text": "..."} with a status that says as much as HTTP can.
//
// A head that takes longer than 10 s, or a body that takes longer than 30 s, is answered 408 and the connection closed.
#pragma once

#include <optional>
#include <string_view>

#include "rpc/http/http.h"
#include "rpc/server_connection.h"

namespace hongyan::rpc {

int http_status_of(Code code);
// "1500", from grpc-timeout "100m"; nothing: not a time.
std::optional<runtime::Duration> http_timeout(std::string_view hongyan_ms, std::string_view grpc);

class HttpConversation {
 public:
  HttpConversation(ServerConnection& connection, const HttpLimits& limits) : connection_(connection), parser_(limits) {}

  void feed(std::string_view bytes);
  // Starts what is complete, until a request has to wait for its answer.
  ServerConnection::Parsed advance(runtime::Time slice_end);
  bool busy() const { return busy_; }
  // Between two requests.
  bool idle() const { return !busy_ && parser_.idle(); }
  // The answer of a call. Bytes of the body.
  size_t answer(ServerCall& one, const Status& status);
  // When the request that is being read has to be there; k_never: none is.
  runtime::Time due() const;
  void answer_timeout();

 private:
  void begin(HttpRequest request);
  void begin_call(ServerTarget& target, const HttpRequest& request);
  void show_page(HttpRequest request);
  void show_descriptors();
  void put_status(int status, std::string_view content_type, std::string_view body, std::string_view more_fields = {});
  void put_error(int status, Code code, std::string_view text, std::string_view more_fields = {});
  void done();

  ServerConnection& connection_;
  HttpParser parser_;
  runtime::Time began_{};    // The request that is being read.
  bool busy_ = false;        // A call or a page is under way.
  bool head_only_ = false;
  bool last_ = false;        // The connection ends with this answer.
};

}  // namespace hongyan::rpc
