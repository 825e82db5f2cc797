#include <fmt/format.h>

#include "rpc/http/http.h"

namespace hongyan::rpc {

namespace {

constexpr std::string_view k_for_browsers =
    "Content-Security-Policy: default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Frame-Options: DENY\r\n";

}  // namespace

std::string_view http_reason(int status) {
  switch (status) {
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
  }
}

std::string http_head(const HttpResponse& response, bool keep_alive) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, http_reason(response.status));
  const size_t length = response.shared_body.data() != nullptr ? response.shared_body.size() : response.body.size();
  if (!response.content_type.empty()) out += fmt::format("Content-Type: {}\r\n", response.content_type);
  if (response.status != 101 && response.status != 304) out += fmt::format("Content-Length: {}\r\n", length);
  if (response.status != 101) out += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  if (response.for_browsers) out += k_for_browsers;
  for (const auto& [name, value] : response.fields) out += fmt::format("{}: {}\r\n", name, value);
  return out + "\r\n";
}

}  // namespace hongyan::rpc
