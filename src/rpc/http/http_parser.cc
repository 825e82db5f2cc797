#include "rpc/http/http.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace hongyan::rpc {

namespace {

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

void HttpParser::fail(int status) {
  state_ = State::failed;
  error_ = status;
  chunked_.reset();
  request_.body = {};
  buffer_ = {};
}

void HttpParser::feed(std::string_view bytes) {
  if (state_ == State::failed) return;
  buffer_.append(bytes);
  advance();
}

void HttpParser::advance() {
  if (state_ == State::header) {
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

// "POST /api/v1/send HTTP/1.1". No proxy speaks to us: origin form only.
int HttpParser::read_request_line(std::string_view line) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (method.empty() || !std::all_of(method.begin(), method.end(), is_token_char)) return 400;
  if (!target.starts_with('/') || !std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7f; })) return 400;
  if (version.size() != 8 || !version.starts_with("HTTP/")) return 400;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return 505;
  request_.method = method;
  request_.target = target;
  request_.minor = version.back() - '0';
  return 0;
}

bool HttpParser::read_header(std::string_view header) {
  const auto refuse = [this](int status) {
    fail(status);
    return false;
  };
  request_ = HttpRequest();
  const size_t first_end = header.find("\r\n");
  if (const int error = read_request_line(header.substr(0, first_end)); error != 0) return refuse(error);
  std::string_view lines = header.substr(first_end + 2, header.size() - first_end - 4);
  int hosts = 0, lengths = 0, codings = 0;
  length_ = 0;
  chunked_.reset();
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
      const auto parsed = std::from_chars(value.data(), value.data() + value.size(), length_);
      if (value.find_first_not_of("0123456789") != std::string_view::npos || value.empty()) return refuse(400);  // Nor "5, 5".
      if (parsed.ec != std::errc() || length_ > limits_.body_bytes) return refuse(413);
    }
    if (name == "transfer-encoding") {
      ++codings;
      if (lower(value) != "chunked") return refuse(501);
    }
    request_.fields.emplace_back(std::move(name), value);
  }
  if (hosts > 1 || lengths > 1 || codings > 1 || (lengths == 1 && codings == 1)) return refuse(400);
  if (request_.minor == 1 && hosts != 1) return refuse(400);
  if (request_.minor == 0 && codings != 0) return refuse(400);
  if (codings == 1) chunked_.emplace(limits_.body_bytes);
  request_.keep_alive = request_.minor == 1 ? !request_.has_token("connection", "close") : request_.has_token("connection", "keep-alive");
  wants_continue_ = request_.minor == 1 && lower(request_.field("expect")) == "100-continue" && (length_ > 0 || chunked_);
  return true;
}

bool HttpParser::read_body() {
  size_t used = 0;
  if (chunked_) {
    used = chunked_->feed(buffer_, request_.body);
    if (chunked_->state() == ChunkedDecoder::State::broken) fail(400);
    if (chunked_->state() == ChunkedDecoder::State::too_large) fail(413);
    if (state_ == State::failed) return false;
  } else {
    used = std::min(buffer_.size(), length_ - request_.body.size());
    request_.body.append(buffer_, 0, used);
  }
  buffer_.erase(0, used);
  if (chunked_ ? chunked_->state() != ChunkedDecoder::State::done : request_.body.size() < length_) return false;
  wants_continue_ = false;
  return true;
}

size_t HttpParser::unfinished_bytes() const { return buffer_.size() + (in_body() ? request_.body.size() : 0); }

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

}  // namespace hongyan::rpc
