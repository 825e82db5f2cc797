// The scanner: one loop, one bit of memory per level.
#include <algorithm>
#include <cstdint>

#include "base/utf8.h"
#include "rpc/json/json.h"

namespace hongyan::rpc {

namespace {

Status broken(const char* why) { return Status(Code::invalid, std::string("JSON: ") + why); }

class Scanner {
 public:
  Scanner(std::string_view text, JsonMembers* members) : text_(text), members_(members) {}

  Status run() {
    enum class Want { value, first_member, first_element, member, colon, after_value };
    Want want = Want::value;
    for (;;) {
      skip_space();
      if (want == Want::after_value && depth_ == 0) return at_ == text_.size() ? Status() : broken("text after the value");
      if (at_ == text_.size()) return broken("ends too early");
      const char c = text_[at_];
      switch (want) {
        case Want::first_member:
          if (c == '}') {
            TRY(close());
            want = Want::after_value;
            break;
          }
          [[fallthrough]];
        case Want::member: {
          const size_t start = at_;
          TRY(string());
          if (depth_ == 1) name_ = text_.substr(start + 1, at_ - start - 2);
          want = Want::colon;
          break;
        }
        case Want::colon:
          if (c != ':') return broken("no ':' after a name");
          ++at_;
          skip_space();
          if (depth_ == 1) value_start_ = at_;
          want = Want::value;
          break;
        case Want::first_element:
          if (c == ']') {
            TRY(close());
            want = Want::after_value;
            break;
          }
          [[fallthrough]];
        case Want::value:
          if (++values_ > k_json_values_max) return broken("too many values");
          if (c == '{' || c == '[') {
            if (depth_ == k_json_depth_max) return broken("too deep");
            open(c == '{');
            want = c == '{' ? Want::first_member : Want::first_element;
          } else {
            TRY(scalar());
            TRY(value_ended());
            want = Want::after_value;
          }
          break;
        case Want::after_value:
          if (c == ',') {
            ++at_;
            want = in_object() ? Want::member : Want::value;
          } else if (c == (in_object() ? '}' : ']')) {
            TRY(close());
          } else {
            return broken("neither ',' nor the end after a value");
          }
          break;
      }
    }
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }
  bool in_object() const { return (objects_ >> (depth_ - 1) & 1) != 0; }
  void open(bool object) {
    objects_ = object ? objects_ | 1u << depth_ : objects_ & ~(1u << depth_);
    ++depth_;
    ++at_;
  }
  Status close() {
    --depth_;
    ++at_;
    return value_ended();
  }

  // At level 1 of an object it was a member.
  Status value_ended() {
    if (members_ == nullptr || depth_ != 1 || !in_object()) return {};
    if (members_->size() >= k_json_members_max) return broken("too many members");
    for (const auto& [other, value] : *members_) {
      if (other == name_) return broken("a member twice");
    }
    members_->emplace_back(name_, text_.substr(value_start_, at_ - value_start_));
    return {};
  }

  Status scalar() {
    const char c = text_[at_];
    if (c == '"') return string();
    if (c == '-' || (c >= '0' && c <= '9')) return number();
    return word("true") || word("false") || word("null") ? Status() : broken("not a value");
  }
  bool word(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  size_t digits() {
    const size_t start = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ - start;
  }
  bool take(std::string_view any_of) {
    if (at_ >= text_.size() || any_of.find(text_[at_]) == std::string_view::npos) return false;
    ++at_;
    return true;
  }
  Status number() {
    take("-");
    const size_t start = at_;
    const size_t whole = digits();
    if (whole == 0 || (whole > 1 && text_[start] == '0')) return broken("not a number");
    if (take(".") && digits() == 0) return broken("not a number");
    if (take("eE")) {
      take("+-");
      if (digits() == 0) return broken("not a number");
    }
    return {};
  }
  Status string() {
    if (text_[at_] != '"') return broken("no string where one must be");
    for (++at_; at_ < text_.size(); ++at_) {
      const unsigned char c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return {};
      }
      if (c < 0x20) return broken("a control character in a string");
      if (c != '\\') continue;
      if (++at_ == text_.size()) break;
      if (text_[at_] == 'u') {
        for (int i = 0; i < 4; ++i) {
          ++at_;
          if (at_ == text_.size() || std::string_view("0123456789abcdefABCDEF").find(text_[at_]) == std::string_view::npos) {
            return broken("a bad \\u escape");
          }
        }
      } else if (std::string_view("\"\\/bfnrt").find(text_[at_]) == std::string_view::npos) {
        return broken("a bad escape");
      }
    }
    return broken("a string without end");
  }

  std::string_view text_;
  JsonMembers* members_;
  size_t at_ = 0;
  int depth_ = 0;
  size_t values_ = 0;
  uint32_t objects_ = 0;       // Bit d: level d + 1 is an object.
  std::string_view name_;      // Of the member at level 1 that is being read.
  size_t value_start_ = 0;
};

}  // namespace

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) { return hongyan::is_utf8(text); }

Status check_json(std::string_view text) {
  if (!is_utf8(text)) return broken("not UTF-8");
  return Scanner(text, nullptr).run();
}

Result<JsonMembers> json_members(std::string_view text) {
  if (!is_utf8(text)) return broken("not UTF-8");
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || text[start] != '{') return broken("not an object");
  JsonMembers members;
  TRY(Scanner(text, &members).run());
  return members;
}

Result<std::string_view> plain_string(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.find('\\') != std::string_view::npos) {
    return broken("not a plain string");
  }
  return value.substr(1, value.size() - 2);
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      static constexpr char k_hex[] = "0123456789abcdef";
      out += "\\u00";
      out += k_hex[c >> 4];
      out += k_hex[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace hongyan::rpc
