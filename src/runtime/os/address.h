// "127.0.0.1:8080", "[::1]:0", "localhost:80". Numbers only: names are resolved elsewhere, never on
// the loop.
#pragma once

#include <sys/socket.h>

#include <string>

#include "base/result.h"

namespace hongyan::runtime {

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Result<Address> parse_address(const std::string& text);  // Code::invalid
std::string to_text(const Address& address);

}  // namespace hongyan::runtime
