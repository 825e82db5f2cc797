// Which client commands exist and where they are served: the merge of several services' methods. One table serves the
// long link (by id) and the short link and the web (by path). Built once at start; a command id or path that two
// methods claim is a CHECK. Reading never waits. The services' method tables and the channels outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>

#include "rpc/service.h"

namespace hongyan::rpc {

struct ServedCommand {
  const MethodInfo* method = nullptr;
  Channel* channel = nullptr;
};

class CommandTable {
 public:
  // Takes the methods that declare a command; the others are not for clients.
  void add(std::span<const MethodInfo> methods, Channel& channel);

  const ServedCommand* by_id(uint32_t id) const;               // Null: no such command.
  const ServedCommand* by_path(std::string_view path) const;
  const std::map<uint32_t, ServedCommand>& all() const { return by_id_; }

 private:
  std::map<uint32_t, ServedCommand> by_id_;
  std::map<std::string_view, uint32_t> by_path_;
};

}  // namespace hongyan::rpc
