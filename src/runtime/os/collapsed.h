// Samples of stacks, added up and written as text: a line a stack, `base;outermost;...;innermost WEIGHT`, the heaviest first.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace hongyan::runtime {

class CollapsedStacks {
 public:
  static constexpr size_t k_text_bytes_max = 8 << 20;  // What is lighter is left out, and a last line says so.

  // `addresses`: the innermost first, which is where it stands; the others are where calls return to. `base` names what the
  // stack is of.
  void add(const std::string& base, std::span<const uintptr_t> addresses, double weight);
  std::string text();

 private:
  const std::string& name(uintptr_t address);
  std::map<std::pair<std::string, std::vector<uintptr_t>>, double> stacks_;
  std::map<uintptr_t, std::string> names_;
};

}  // namespace hongyan::runtime
