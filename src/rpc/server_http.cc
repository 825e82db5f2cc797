#include "rpc/server_http.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "rpc/json/json.h"
#include "rpc/reflection.h"
#include "runtime/trace/traceparent.h"

namespace hongyan::rpc {

using runtime::Duration;
using runtime::Time;
using namespace std::chrono_literals;

namespace {

constexpr auto k_head_time_max = 10s;
constexpr auto k_request_time_max = 30s;
// One slice of a connection's pipelined requests.
constexpr int k_slice_requests = 256;

template <typename T>
std::optional<T> number(std::string_view text, int base = 10) {
  T value{};
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

enum class Form { json, protobuf, other };
Form form_of(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find_first_of("; "));
  if (type == "application/json") return Form::json;
  if (type == "application/x-protobuf" || type == "application/protobuf") return Form::protobuf;
  return Form::other;
}

// Whoever asked for a trace is told where to look (W3C Trace Context, level 2).
std::string trace_field(const ServerCall& one) {
  if (!one.call.trace.sampled) return {};
  return "traceresponse: " + runtime::format_traceparent(one.call.trace) + "\r\n";
}

std::string_view type_of(bool json) { return json ? "application/json" : "application/x-protobuf"; }

// What the fields of a request say about its call.
Result<Call> call_of(const HttpRequest& request) {
  Call call;
  if (const auto text = request.field("hongyan-priority"); !text.empty()) {
    const size_t slash = text.find('/');
    const auto business = number<uint8_t>(text.substr(0, slash));
    const auto user = slash == std::string_view::npos ? uint8_t{0} : number<uint8_t>(text.substr(slash + 1));
    if (!business || !user || *user > 127) return Status(Code::invalid, "Hongyan-Priority is not business/user, 0-255/0-127");
    call.priority = {.business = *business, .user = *user};
  }
  if (const auto text = request.field("hongyan-routing-key"); !text.empty()) {
    const auto key = number<uint64_t>(text);
    if (!key) return Status(Code::invalid, "Hongyan-Routing-Key is not a number");
    call.routing_key = *key;
  }
  if (const auto trace = runtime::parse_traceparent(request.field("traceparent"))) call.trace = *trace;
  return call;
}

}  // namespace

int http_status_of(Code code) {
  switch (code) {
    case Code::ok: return 200;
    case Code::invalid: return 400;
    case Code::unauthenticated: return 401;
    case Code::forbidden: return 403;
    case Code::not_found: return 404;
    case Code::exists:
    case Code::conflict: return 409;
    case Code::too_large: return 413;
    case Code::rate_limited: return 429;
    case Code::unsupported: return 501;
    case Code::overloaded:
    case Code::unavailable:
    case Code::closed:
    case Code::cancelled:
    case Code::read_only:
    case Code::busy: return 503;
    case Code::deadline:
    case Code::unknown_outcome: return 504;
    case Code::no_space: return 507;
    case Code::corrupt:
    case Code::internal:
    case Code::io: return 500;
  }
  return 422;  // A code of the domain: the request was understood and refused.
}

std::optional<Duration> http_timeout(std::string_view hongyan_ms, std::string_view grpc) {
  if (!hongyan_ms.empty()) {
    const auto value = number<uint32_t>(hongyan_ms);
    if (!value) return std::nullopt;
    return std::chrono::milliseconds(*value);
  }
  if (grpc.size() < 2 || grpc.size() > 9) return std::nullopt;
  const auto value = number<uint32_t>(grpc.substr(0, grpc.size() - 1));
  if (!value) return std::nullopt;
  switch (grpc.back()) {
    case 'H': return std::min<Duration>(24h, std::chrono::hours(std::min(*value, 24u)));
    case 'M': return std::chrono::minutes(*value);
    case 'S': return std::chrono::seconds(*value);
    case 'm': return std::chrono::milliseconds(*value);
    case 'u': return std::chrono::microseconds(*value);
    case 'n': return std::chrono::nanoseconds(*value);
    default: return std::nullopt;
  }
}

void HttpConversation::feed(std::string_view bytes) {
  if (parser_.idle()) began_ = connection_.server_.clock;
  parser_.feed(bytes);
}

Time HttpConversation::due() const {
  if (busy_ || last_ || parser_.idle() || parser_.complete()) return runtime::k_never;
  return runtime::after(began_, parser_.in_body() ? k_request_time_max : k_head_time_max);
}

void HttpConversation::answer_timeout() {
  last_ = true;
  put_error(408, Code::deadline, "the request took too long to come");
}

ServerConnection::Parsed HttpConversation::advance(Time slice_end) {
  using Parsed = ServerConnection::Parsed;
  for (int taken = 0; !connection_.stops_reading(); ++taken) {
    if (taken == k_slice_requests || connection_.server_.clock >= slice_end) return Parsed::out_of_time;
    if (parser_.error() != 0) {
      last_ = true;
      put_error(parser_.error(), Code::invalid, http_reason(parser_.error()));
      return Parsed::paused;
    }
    if (!parser_.complete()) {
      if (parser_.wants_continue()) {
        parser_.continued();
        connection_.output_.append("HTTP/1.1 100 Continue\r\n\r\n");
        connection_.added();
      }
      return Parsed::all;
    }
    HttpRequest request = parser_.take();
    parser_.feed({});  // We upgrade to nothing: what follows is the next request.
    began_ = connection_.server_.clock;
    begin(std::move(request));
  }
  return Parsed::paused;
}

void HttpConversation::begin(HttpRequest request) {
  busy_ = true;
  head_only_ = request.method == "HEAD";
  last_ = !request.keep_alive;
  const auto& by_path = connection_.server_.by_path;
  const auto found = by_path.find(request.path());
  if (found == by_path.end() && request.path() == k_descriptors_path) return show_descriptors();
  if (found == by_path.end()) return show_page(std::move(request));
  if (request.method != "POST") {
    return put_error(405, Code::unsupported, "methods are called with POST", "Allow: POST\r\n");
  }
  begin_call(*found->second, request);
}

void HttpConversation::begin_call(ServerTarget& target, const HttpRequest& request) {
  // A page of another origin can't send these types without asking first.
  const Form form = form_of(request.field("content-type"));
  if (form == Form::other) {
    return put_error(415, Code::invalid, "Content-Type must be application/json or application/x-protobuf");
  }
  auto call = call_of(request);
  if (!call.ok()) return put_error(400, call.code(), call.status().detail());
  const auto timeout_ms = request.field("hongyan-timeout-ms"), grpc_timeout = request.field("grpc-timeout");
  std::optional<Duration> remaining = connection_.server_.options.http_time;
  if (!timeout_ms.empty() || !grpc_timeout.empty()) remaining = http_timeout(timeout_ms, grpc_timeout);
  if (!remaining) return put_error(400, Code::invalid, "Hongyan-Timeout-Ms or grpc-timeout is not a time");
  call->deadline = runtime::after(connection_.arrived_, *remaining);
  std::string ticket;
  if (const auto text = request.field("hongyan-ticket"); !text.empty()) {
    auto bytes = from_base64(text);
    if (!bytes || bytes->size() > k_ticket_bytes_max) return put_error(401, Code::unauthenticated, "Hongyan-Ticket is no ticket");
    ticket = std::move(*bytes);
  }
  ServerConnection::Asked asked{.target = target, .id = 0, .call = *call, .ticket = ticket, .body = request.body,
                                      .json = form == Form::json, .http = true, .remaining = remaining};
  const auto refusal = connection_.start_call(asked);
  if (refusal.code == Code::ok) return;
  put_error(http_status_of(refusal.code), refusal.code, refusal.owned.empty() ? refusal.why : refusal.owned);
  connection_.refused(asked, refusal);
}

size_t HttpConversation::answer(ServerCall& one, const Status& status) {
  if (!status.ok()) {
    put_error(http_status_of(status.code()), status.code(), status.detail(), trace_field(one));
    return 0;
  }
  if (one.json) {
    std::string text;
    Status made;
    const auto make = [&] {
      auto json = json_from_message(*one.response);
      if (json.ok()) {
        text = std::move(json).value();
      } else {
        made = json.status();
      }
    };
    if (one.response->ByteSizeLong() > k_json_bytes_inline_max) {
      connection_.server_.env.pool().run(make);
      connection_.server_.read_clock();
      if (connection_.broken_) return 0;
    } else {
      connection_.server_.scheduler.run_on_thread_stack(make);
    }
    if (!made.ok()) {
      put_error(500, made.code(), made.detail());
      return 0;
    }
    put_status(200, type_of(true), text, trace_field(one));
    return text.size();
  }
  const size_t bytes = one.response->ByteSizeLong();
  if (bytes > k_frame_body_bytes_max) {
    put_error(413, Code::too_large, "the answer is too large");
    return 0;
  }
  std::string body;
  one.response->AppendPartialToString(&body);
  put_status(200, type_of(false), body, trace_field(one));
  return bytes;
}

void HttpConversation::show_descriptors() {
  ServerState& server = connection_.server_;
  if (server.descriptors.empty() && !server.targets.empty()) {
    server.scheduler.run_on_thread_stack([&] {
      std::vector<const MethodInfo*> methods;
      for (const auto& target : server.targets) methods.push_back(target->method);
      server.descriptors = describe_served(methods);
    });
  }
  put_status(200, type_of(false), server.descriptors);
}

void HttpConversation::show_page(HttpRequest request) {
  ServerState& server = connection_.server_;
  if (server.options.pages == nullptr) return put_error(404, Code::not_found, "no such method or page");
  ServerConnection& connection = connection_;
  ++connection.in_flight_;
  const auto body = [this, &server, &connection, request = std::move(request)] {
    Call call = runtime::background_call(server.env, server.options.http_time);
    HttpResponse response;
    const bool shown = server.options.pages->page(call, request, response);
    server.read_clock();
    if (!connection.broken_) {
      if (shown) {
        if (response.close) last_ = true;
        last_ = last_ || connection.closing_;
        std::string bytes = http_head(response, !last_);
        if (!head_only_) bytes += response.shared_body.data() != nullptr ? response.shared_body : response.body;
        connection.output_.append(bytes);
        done();
      } else {
        put_error(404, Code::not_found, "no such method or page");
      }
    }
    --connection.in_flight_;
    if (!connection.in_turn_) connection.settle();
  };
  server.scheduler.spawn_now("rpc server shows a page", body);
}

void HttpConversation::put_error(int status, Code code, std::string_view text, std::string_view more_fields) {
  if (!is_utf8(text)) text = "";
  put_status(status, "application/json",
             fmt::format("{{\"code\":{},\"text\":{}}}\n", static_cast<uint32_t>(code), json_quoted(text)), more_fields);
}

void HttpConversation::put_status(int status, std::string_view content_type, std::string_view body,
                                  std::string_view more_fields) {
  last_ = last_ || connection_.closing_;
  fmt::memory_buffer head;
  const auto out = fmt::appender(head);
  if (status == 200) {
    head.append(std::string_view("HTTP/1.1 200 OK\r\n"));
  } else {
    fmt::format_to(out, "HTTP/1.1 {} {}\r\n", status, http_reason(status));
  }
  fmt::format_to(out, "Content-Type: {}\r\nContent-Length: {}\r\n", content_type, body.size());
  if (Admission* admission = connection_.server_.options.admission) {
    fmt::format_to(out, "Hongyan-Level: {}\r\n", admission->level());
  }
  head.append(more_fields);
  if (last_) head.append(std::string_view("Connection: close\r\n"));
  head.append(std::string_view("\r\n"));
  connection_.output_.append({head.data(), head.size()});
  if (!head_only_) connection_.output_.append(body);
  done();
}

// After an answer stands in the output.
void HttpConversation::done() {
  busy_ = false;
  if (last_) connection_.closing_ = true;
  connection_.added();
  if (!connection_.in_turn_ && !connection_.broken_) connection_.resume_reading();
}

}  // namespace hongyan::rpc
