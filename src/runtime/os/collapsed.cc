#include "runtime/os/collapsed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/coro/backtrace.h"

namespace hongyan::runtime {

void CollapsedStacks::add(const std::string& base, std::span<const uintptr_t> addresses, double weight) {
  std::vector<uintptr_t> calls(addresses.begin(), addresses.end());
  // A call's own instruction is before the one it returns to, which may be of the next function.
  for (size_t i = 1; i < calls.size(); ++i) --calls[i];
  stacks_[{base, std::move(calls)}] += weight;
}

const std::string& CollapsedStacks::name(uintptr_t address) {
  const auto [at, added] = names_.try_emplace(address);
  if (added) {
    at->second = describe_function(reinterpret_cast<const void*>(address));
    std::ranges::replace(at->second, ';', ':');
  }
  return at->second;
}

std::string CollapsedStacks::text() {
  // Addresses of one function make one stack.
  std::map<std::string, double> lines;
  for (const auto& [stack, weight] : stacks_) {
    std::string line = stack.first;
    for (size_t i = stack.second.size(); i-- > 0;) line += ";" + name(stack.second[i]);
    lines[std::move(line)] += weight;
  }
  std::vector<std::pair<double, const std::string*>> order;
  for (const auto& [line, weight] : lines) order.emplace_back(weight, &line);
  std::ranges::stable_sort(order, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string out;
  for (size_t i = 0; i < order.size(); ++i) {
    if (out.size() + order[i].second->size() > k_text_bytes_max) {
      double rest = 0;
      for (; i < order.size(); ++i) rest += order[i].first;
      return out + fmt::format("(left out) {}\n", std::llround(rest));
    }
    out += fmt::format("{} {}\n", *order[i].second, std::llround(order[i].first));
  }
  return out;
}

}  // namespace hongyan::runtime
