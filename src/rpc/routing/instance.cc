#include "rpc/routing/instance.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace hongyan::rpc {
namespace {

// Takes what stands before the first of `separators`; empty pieces are skipped.
std::string_view next_word(std::string_view& text, std::string_view separators) {
  const size_t begin = std::min(text.find_first_not_of(separators), text.size());
  text.remove_prefix(begin);
  const std::string_view word = text.substr(0, text.find_first_of(separators));
  text.remove_prefix(word.size());
  return word;
}

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_address(std::string_view text) {
  if (text.size() > k_instance_address_bytes_max) return false;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const auto port = number_of(text.substr(colon + 1));
  const bool plain = std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view(".:-_[]%").find(c) != std::string_view::npos;
  });
  return plain && port.has_value() && *port >= 1 && *port <= 65535;
}

bool is_zone(std::string_view text) {
  return !text.empty() && text.size() <= k_zone_bytes_max && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  });
}

// "7" or "5-7", joined by commas.
Result<std::vector<NumberRange>> ranges_of(std::string_view text) {
  std::vector<NumberRange> ranges;
  while (!text.empty()) {
    const std::string_view word = next_word(text, ",");
    const size_t dash = word.find('-');
    const auto first = number_of(word.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number_of(word.substr(dash + 1));
    if (!first || !last || *first > *last) {
      return Status(Code::invalid, "\"" + std::string(word) + "\" is not a range like 5-7");
    }
    if (ranges.size() == k_segments_max) return Status(Code::invalid, "too many ranges");
    ranges.push_back({*first, *last});
  }
  if (ranges.empty()) return Status(Code::invalid, "a range is missing");
  return ranges;
}

Status set_attribute(Instance& instance, std::string_view name, std::string_view value) {
  if (name == "weight") {
    const auto weight = number_of(value);
    if (!weight || *weight < 1 || *weight > k_weight_max) {
      return Status(Code::invalid, "weight must be 1.." + std::to_string(k_weight_max));
    }
    instance.weight = static_cast<uint32_t>(*weight);
  } else if (name == "zone") {
    if (!is_zone(value)) return Status(Code::invalid, "a zone is a word of a-z, 0-9, - and _");
    instance.zone = value;
  } else if (name == "segments") {
    instance.segments = TRY(ranges_of(value));
  } else if (name == "version") {
    instance.versions = TRY(ranges_of(value));
  } else if (name == "state") {
    if (value == "up") {
      instance.state = InstanceState::up;
    } else if (value == "draining") {
      instance.state = InstanceState::draining;
    } else if (value == "down") {
      instance.state = InstanceState::down;
    } else {
      return Status(Code::invalid, "state must be up, draining or down");
    }
  } else {
    return Status(Code::invalid, "unknown attribute \"" + std::string(name) + "\"");
  }
  return {};
}

Result<Instance> parse_line(std::string_view line) {
  Instance instance;
  instance.address = next_word(line, " \t\r");
  if (!is_address(instance.address)) {
    return Status(Code::invalid, "\"" + instance.address.substr(0, 80) + "\" is not host:port");
  }
  std::vector<std::string_view> seen;
  for (;;) {
    const std::string_view word = next_word(line, " \t\r");
    if (word.empty()) return instance;
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      return Status(Code::invalid, "\"" + std::string(word.substr(0, 80)) + "\" is not name=value");
    }
    const std::string_view name = word.substr(0, equals);
    if (std::ranges::find(seen, name) != seen.end()) {
      return Status(Code::invalid, std::string(name) + " is given twice");
    }
    TRY(set_attribute(instance, name, word.substr(equals + 1)));
    seen.push_back(name);
  }
}

Result<std::vector<Instance>> sorted(std::vector<Instance> instances) {
  std::ranges::sort(instances, {}, &Instance::address);
  const auto twice = std::ranges::adjacent_find(instances, {}, &Instance::address);
  if (twice != instances.end()) {
    return Status(Code::invalid, twice->address + " is listed twice");
  }
  return instances;
}

}  // namespace

Result<std::vector<Instance>> parse_instances(std::string_view text) {
  if (text.size() > k_instances_text_bytes_max) {
    return Status(Code::too_large, "the list of instances is too long");
  }
  std::vector<Instance> instances;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto instance = parse_line(line);
    if (!instance.ok()) {
      return Status(Code::invalid,
                    "line " + std::to_string(number) + ": " + instance.status().detail());
    }
    if (instances.size() == k_instances_max) {
      return Status(Code::too_large, "more than " + std::to_string(k_instances_max) + " instances");
    }
    instances.push_back(std::move(instance).value());
  }
  return sorted(std::move(instances));
}

Result<std::vector<Instance>> parse_address_list(std::string_view text) {
  std::vector<Instance> instances;
  while (!text.empty()) {
    const std::string_view word = next_word(text, ",");
    if (word.empty()) continue;
    if (!is_address(word)) {
      return Status(Code::invalid, "\"" + std::string(word.substr(0, 80)) + "\" is not host:port");
    }
    if (instances.size() == k_instances_max) {
      return Status(Code::too_large, "more than " + std::to_string(k_instances_max) + " instances");
    }
    instances.push_back({.address = std::string(word)});
  }
  return sorted(std::move(instances));
}

std::string_view name_of(InstanceState state) {
  switch (state) {
    case InstanceState::up: return "up";
    case InstanceState::draining: return "draining";
    case InstanceState::down: return "down";
  }
  return "?";
}

}  // namespace hongyan::rpc
