// The only file that includes Boost.Beast, which is slow to compile.
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <optional>

#include "access/web_gate/http.h"
#include "base/check.h"

namespace hongyan::access {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr size_t k_chunk_header_bytes_max = 4 * 1024;  // A chunk's size line or the trailer: what may wait unparsed.

bool is_token_char(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos && c != '\0';
}
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}
std::string_view trimmed(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

// One header line as RFC 9112 allows it; lines that only lenient parsers take are where smuggling lives.
bool good_field_line(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  if (!std::all_of(line.begin(), line.begin() + static_cast<long>(colon), is_token_char)) return false;
  return std::all_of(line.begin() + static_cast<long>(colon), line.end(),
                     [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); });
}

}  // namespace

struct HttpParser::Body {
  http::request_parser<http::string_body> parser;
};

HttpParser::HttpParser(HttpLimits limits) : limits_(limits) {}
HttpParser::~HttpParser() = default;

void HttpParser::fail(int status) {
  state_ = State::failed;
  error_ = status;
  body_.reset();
  buffer_.clear();
}

void HttpParser::feed(std::string_view bytes) {
  if (state_ == State::failed) return;
  buffer_.append(bytes);
  advance();
}

void HttpParser::advance() {
  if (state_ == State::header) {
    // An empty line before a request line is a habit of old clients (RFC 9112 2.2).
    if (buffer_.starts_with("\r\n")) buffer_.erase(0, 2);
    const size_t end = std::string_view(buffer_).substr(0, limits_.header_bytes).find("\r\n\r\n");
    if (end == std::string::npos) {
      if (buffer_.size() >= limits_.header_bytes) fail(431);
      return;
    }
    const std::string header = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    if (!read_header(header)) return;
    state_ = State::body;
  }
  if (state_ == State::body && read_body()) state_ = State::complete;
}

bool HttpParser::read_header(std::string_view header) {
  const auto refuse = [this](int status) {
    fail(status);
    return false;
  };
  request_ = HttpRequest();
  const size_t first_end = header.find("\r\n");
  const std::string_view first = header.substr(0, first_end);
  std::string_view lines = header.substr(first_end + 2, header.size() - first_end - 4);
  if (first.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) return refuse(400);
  int hosts = 0, lengths = 0, codings = 0;
  while (!lines.empty()) {
    const size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    lines = end == std::string_view::npos ? std::string_view() : lines.substr(end + 2);
    if (!good_field_line(line)) return refuse(400);
    if (request_.fields.size() == limits_.fields) return refuse(431);
    const size_t colon = line.find(':');
    std::string name = lower(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "host") ++hosts;
    if (name == "content-length") {
      ++lengths;
      if (value.empty() || value.find_first_not_of("0123456789") != std::string_view::npos) return refuse(400);  // Nor "5, 5".
    }
    if (name == "transfer-encoding") {
      ++codings;
      if (lower(value) != "chunked") return refuse(501);
    }
    request_.fields.emplace_back(std::move(name), value);
  }
  if (hosts > 1 || lengths > 1 || codings > 1 || (lengths == 1 && codings == 1)) return refuse(400);

  body_ = std::make_unique<Body>();
  auto& parser = body_->parser;
  parser.header_limit(static_cast<uint32_t>(limits_.header_bytes));
  parser.body_limit(limits_.body_bytes);
  parser.eager(true);
  beast::error_code error;
  const size_t used = parser.put(boost::asio::const_buffer(header.data(), header.size()), error);
  if (error == http::error::body_limit) return refuse(413);
  if (error == http::error::bad_version) return refuse(505);
  if (error && error != http::error::need_more) return refuse(400);
  if (!parser.is_header_done() || used != header.size()) return refuse(400);
  const auto& message = parser.get();
  const unsigned version = message.version();
  if (version != 10 && version != 11) return refuse(505);
  request_.minor = version == 11 ? 1 : 0;
  if (version == 11 && hosts != 1) return refuse(400);
  if (version == 10 && codings != 0) return refuse(400);
  request_.method = std::string(message.method_string());
  request_.target = std::string(message.target());
  if (request_.target.empty() || request_.target[0] != '/') return refuse(400);  // No proxy: origin form only.
  request_.keep_alive = parser.keep_alive();
  wants_continue_ = version == 11 && lower(request_.field("expect")) == "100-continue" && !parser.is_done();
  return true;
}

bool HttpParser::read_body() {
  auto& parser = body_->parser;
  while (!parser.is_done()) {
    if (buffer_.empty()) return false;
    beast::error_code error;
    const size_t used = parser.put(boost::asio::const_buffer(buffer_.data(), buffer_.size()), error);
    buffer_.erase(0, used);
    if (error == http::error::body_limit) {
      fail(413);
      return false;
    }
    if (error && error != http::error::need_more) {
      fail(400);
      return false;
    }
    if (used == 0) {
      if (buffer_.size() > k_chunk_header_bytes_max) fail(400);
      return false;
    }
  }
  request_.body = std::move(parser.get().body());
  body_.reset();
  wants_continue_ = false;
  return true;
}

size_t HttpParser::unfinished_bytes() const {
  return buffer_.size() + (body_ != nullptr ? body_->parser.get().body().size() : 0);
}

HttpRequest HttpParser::take() {
  CHECK(complete());
  HttpRequest request = std::move(request_);
  request_ = HttpRequest();
  state_ = State::header;
  if (!request.has_token("connection", "upgrade")) advance();
  return request;
}

std::string_view HttpRequest::field(std::string_view lower_name) const {
  for (const auto& [name, value] : fields) {
    if (name == lower_name) return value;
  }
  return {};
}

bool HttpRequest::has_token(std::string_view lower_name, std::string_view lower_token) const {
  for (const auto& [name, value] : fields) {
    if (name != lower_name) continue;
    std::string_view rest = value;
    for (;;) {
      const size_t comma = rest.find(',');
      if (lower(trimmed(rest.substr(0, comma))) == lower_token) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

std::string_view HttpRequest::path() const { return std::string_view(target).substr(0, target.find('?')); }

}  // namespace hongyan::access
