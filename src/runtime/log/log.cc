#include "runtime/log/log.h"

#include <algorithm>

#include "base/bytes.h"

namespace hongyan::runtime {
namespace {

// A log is for people, and whatever comes from outside must not fill the disk.
constexpr size_t k_text_bytes_max = 8 * 1024;
constexpr size_t k_value_bytes_max = 1024;
constexpr std::string_view k_cut = "...";
constexpr char k_digits[] = "0123456789abcdef";

void put(fmt::memory_buffer& out, std::string_view text) { out.append(text); }

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

template <typename T>
void put_number(fmt::memory_buffer& out, T number) {
  const fmt::format_int text(number);
  out.append(std::string_view(text.data(), text.size()));
}
void put_number(fmt::memory_buffer& out, double number) { fmt::format_to(fmt::appender(out), "{}", number); }
void put_number(fmt::memory_buffer& out, bool yes) { put(out, yes ? "true" : "false"); }

void put_trace(fmt::memory_buffer& out, const Trace& trace) {
  char text[32];
  for (int i = 0; i < 16; ++i) {
    text[i] = k_digits[trace.id_high >> (60 - 4 * i) & 15];
    text[16 + i] = k_digits[trace.id >> (60 - 4 * i) & 15];
  }
  out.append(std::string_view(text, sizeof(text)));
}

bool has_trace(const Call& call) { return call.trace.id != 0 || call.trace.id_high != 0; }

// What needs no care is copied in runs.
void put_plain(fmt::memory_buffer& out, std::string_view text, bool quoted) {
  size_t run = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool escaped = quoted && (c == '"' || c == '\\');
    if (!is_control(c) && !escaped) [[likely]] continue;
    put(out, text.substr(run, i - run));
    run = i + 1;
    out.push_back('\\');
    if (escaped) {
      out.push_back(c);
    } else {
      out.push_back('x');
      out.push_back(k_digits[static_cast<unsigned char>(c) >> 4]);
      out.push_back(k_digits[c & 15]);
    }
  }
  put(out, text.substr(run));
}

bool is_word(std::string_view text) {
  for (const char c : text) {
    if (c == ' ' || c == '"' || c == '=' || c == '\\') return false;
  }
  return !text.empty();
}

void put_value(fmt::memory_buffer& out, std::string_view text) {
  const bool whole = text.size() <= k_value_bytes_max;
  const std::string_view kept = text.substr(0, k_value_bytes_max);
  const bool word = whole && is_word(kept);
  if (!word) out.push_back('"');
  put_plain(out, kept, !word);
  if (!whole) put(out, k_cut);
  if (!word) out.push_back('"');
}

void put_json_text(fmt::memory_buffer& out, std::string_view text, size_t bytes_max) {
  const std::string_view kept = text.substr(0, bytes_max);
  out.push_back('"');
  for (size_t i = 0; i < kept.size();) {
    const char c = kept[i];
    const size_t length = utf8_length(kept.substr(i));  // A cut may have broken a character too.
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (is_control(c)) {
      put(out, "\\u00");
      out.push_back(k_digits[static_cast<unsigned char>(c) >> 4]);
      out.push_back(k_digits[c & 15]);
    } else if (length == 0) {
      out.push_back('?');
    } else {
      put(out, kept.substr(i, length));
    }
    i += std::max<size_t>(length, 1);
  }
  if (kept.size() < text.size()) put(out, k_cut);
  out.push_back('"');
}

}  // namespace

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "?";
}

void Log::write_formatted(LogLevel level, fmt::string_view format, fmt::format_args args) {
  fmt::memory_buffer text;
  fmt::vformat_to(fmt::appender(text), format, args);
  write({.level = level, .text = {text.data(), text.size()}});
}

void put_text(fmt::memory_buffer& out, const LogEvent& event) {
  put_plain(out, event.text.substr(0, k_text_bytes_max), false);
  if (event.text.size() > k_text_bytes_max) put(out, k_cut);
  for (const LogField& field : event.fields) {
    out.push_back(' ');
    put(out, field.key);
    out.push_back('=');
    std::visit(
        [&out](const auto& value) {
          if constexpr (std::same_as<std::decay_t<decltype(value)>, std::string_view>) put_value(out, value);
          else put_number(out, value);
        },
        field.value);
  }
  if (event.call == nullptr) return;
  if (event.call->uin != 0) {
    put(out, " uin=");
    put_number(out, event.call->uin);
  }
  if (has_trace(*event.call)) {
    put(out, " trace=");
    put_trace(out, event.call->trace);
  }
}

void put_json(fmt::memory_buffer& out, const LogEvent& event) {
  put(out, "\"text\":");
  put_json_text(out, event.text, k_text_bytes_max);
  for (const LogField& field : event.fields) {
    put(out, ",\"");
    put(out, field.key);
    put(out, "\":");
    std::visit(
        [&out](const auto& value) {
          if constexpr (std::same_as<std::decay_t<decltype(value)>, std::string_view>) put_json_text(out, value, k_value_bytes_max);
          else put_number(out, value);
        },
        field.value);
  }
  if (event.call == nullptr) return;
  if (event.call->uin != 0) {
    put(out, ",\"uin\":");
    put_number(out, event.call->uin);
  }
  if (has_trace(*event.call)) {
    put(out, ",\"trace\":\"");
    put_trace(out, event.call->trace);
    out.push_back('"');
  }
}

}  // namespace hongyan::runtime
