#include "rpc/command/command_table.h"

#include "base/check.h"

namespace hongyan::rpc {

void CommandTable::add(std::span<const MethodInfo> methods, Channel& channel) {
  for (const MethodInfo& method : methods) {
    if (method.command_id == 0) continue;
    CHECK(!method.command_path.empty());
    CHECK(by_id_.emplace(method.command_id, ServedCommand{&method, &channel}).second);
    CHECK(by_path_.emplace(method.command_path, method.command_id).second);
  }
}

const ServedCommand* CommandTable::by_id(uint32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

const ServedCommand* CommandTable::by_path(std::string_view path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : by_id(found->second);
}

}  // namespace hongyan::rpc
